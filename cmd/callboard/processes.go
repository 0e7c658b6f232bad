package main

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/process"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// openProcesses adds the runtime of plugins that run as processes of their
// own. Other systems than Linux go without: there is no shim for them.
func (p *portal) openProcesses(runtimes map[string]plugin.Runtime) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	processes, err := process.New(process.Settings{
		Dir: filepath.Join(p.config.Data, "cache", "process"), Log: p.telemetry.Logger(),
		Failed: func(digest, tenant string, why error) { p.house.FailedToStay(digest, tenant, why) },
	})
	if err != nil {
		return err
	}
	p.processes, runtimes[manifestv1.RuntimeProcess] = processes, processes
	return nil
}

// closePlugins lets calls finish and ends what is left of the processes.
func (p *portal) closePlugins(ctx context.Context) error {
	err := p.house.Close(ctx)
	if p.processes != nil {
		err = errors.Join(err, p.processes.Close(ctx))
	}
	return err
}
