package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/flame"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// workbench is a plugin that is built, compiled and put before a portal in
// memory, ready for calls.
type workbench struct {
	bundle *manifest.Bundle
	module plugin.Module
	scale  *scale
	portal *sdktest.Host
	bench  *bench
	close  []func(context.Context) error
}

// Close frees the module and its runtime.
func (w *workbench) Close(ctx context.Context) error {
	var errs []error
	for _, c := range w.close {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}

// lay makes a workbench of the plugin in dir. With watched, each function of
// the guest is heard.
func (s Settings) lay(cmd *cobra.Command, dir string, t trial, watched bool) (*workbench, error) {
	if err := s.buildIfSource(cmd, dir, t.noBuild); err != nil {
		return nil, err
	}
	w := &workbench{bench: &bench{ctx: cmd.Context()}}
	if err := s.fill(cmd, dir, t, watched, w); err != nil {
		return nil, errors.Join(err, w.Close(cmd.Context()))
	}
	return w, nil
}

// fill puts the parts of a workbench in place.
func (s Settings) fill(cmd *cobra.Command, dir string, t trial, watched bool, w *workbench) (err error) {
	if w.bundle, err = manifest.OpenFolder(dir); err != nil {
		return err
	}
	options, err := s.options(dir, t)
	if err != nil {
		return err
	}
	limits, err := limitsOf(w.bundle.Manifest.Limits)
	if err != nil {
		return err
	}
	if watched {
		err = s.watchedModule(cmd, dir, w)
	} else {
		err = s.plainModule(cmd.Context(), w)
	}
	if err != nil {
		return err
	}
	w.scale = &scale{Module: w.module}
	err = w.bench.protect(func() error {
		w.portal = sdktest.NewGuest(w.bench, guestOf(w.scale, limits), options...)
		return nil
	})
	if w.portal == nil {
		return w.scale.explained(errors.Join(err, errors.Join(w.bench.faults...)))
	}
	return err
}

// plainModule compiles the code as a server does.
func (s Settings) plainModule(ctx context.Context, w *workbench) error {
	runtime, err := s.runtimeOf(w.bundle.Manifest)
	if err != nil {
		return err
	}
	w.close = append(w.close, runtime.Close)
	if w.module, err = runtime.Compile(ctx, w.bundle.CodeDigest, w.bundle.Code); err != nil {
		return err
	}
	w.close = append([]func(context.Context) error{w.module.Close}, w.close...)
	return nil
}

// watchedModule compiles the code so that each function is heard. A Go plugin is
// built once more for it, with the names of its functions.
func (s Settings) watchedModule(cmd *cobra.Command, dir string, w *workbench) error {
	if w.bundle.Manifest.Runtime != manifestv1.RuntimeWASM {
		return host.Errorf(host.CodeInvalid, "only a plugin of the runtime wasm has a profile, and this one's is %q", w.bundle.Manifest.Runtime)
	}
	code := w.bundle.Code
	if isGo, err := hasGo(dir); err != nil {
		return err
	} else if isGo {
		if code, err = s.named(cmd, dir); err != nil {
			return err
		}
	}
	m, err := flame.Open(cmd.Context(), code)
	if err != nil {
		return err
	}
	w.module, w.close = m, []func(context.Context) error{m.Close}
	return nil
}

// named builds the Go plugin in dir with the names of its functions.
func (s Settings) named(cmd *cobra.Command, dir string) (code []byte, err error) {
	work, err := s.open(cmd, dir, manifestv1.RuntimeWASM)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, work.Close()) }()
	temp, err := os.MkdirTemp("", "callboard-named-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	built, err := work.BuildNamed(cmd.Context(), filepath.Join(temp, "plugin.wasm"), cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	return os.ReadFile(built.File)
}

// scale weighs the calls of a module.
type scale struct {
	plugin.Module
	mu     sync.Mutex
	last   plugin.Usage
	failed error // why the last call failed, in the host's words
}

// Call passes the call on and keeps what it used.
func (c *scale) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	o, err := c.Module.Call(ctx, w)
	c.mu.Lock()
	c.last, c.failed = o.Usage, err
	c.mu.Unlock()
	return o, err
}

// used is what the last call used.
func (c *scale) used() plugin.Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// explained gives a failed call the form that the command line prints. Where
// the sandbox ended the call, its own error says more than the envelope's.
func (c *scale) explained(err error) error {
	c.mu.Lock()
	failed := c.failed
	c.mu.Unlock()
	if err == nil || failed == nil {
		return explained(err)
	}
	out := *host.AsError(failed)
	return coded(&out)
}

// printUsage prints what a call used, in one line.
func printUsage(out io.Writer, f plugin.Facts, u plugin.Usage) {
	parts := []string{"took " + u.Wall.String()}
	if f.Metered {
		parts = append(parts, "fuel "+grouped(u.Fuel))
	}
	if u.Memory > 0 {
		parts = append(parts, "memory "+sizeText(u.Memory))
	}
	parts = append(parts, fmt.Sprintf("%s in, %s out", sizeText(u.Input), sizeText(u.Output)),
		fmt.Sprintf("%d host calls with %s", u.HostCalls, sizeText(u.HostBytes)),
		strings.TrimSpace(f.Runtime+" "+f.Path)+fmt.Sprintf(", ABI %d", f.ABI))
	fmt.Fprintln(out, strings.Join(parts, " · "))
}

// grouped writes a number with a space between groups of three digits.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// writeProfile writes what the watched call used to a file: a picture where its
// name ends with .svg, else folded stacks. It prints the dearest functions.
func writeProfile(errOut io.Writer, file, title string, p *flame.Profile) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("writing --profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if filepath.Ext(file) == ".svg" {
		err = p.WriteSVG(f, title)
	} else {
		err = p.WriteFolded(f)
	}
	if err != nil {
		return err
	}
	const dearest = 8
	for _, share := range p.Top(dearest) {
		fmt.Fprintf(errOut, "%5.1f %%  %s\n", 100*float64(share.Fuel)/float64(max(1, p.Total())), share.Function)
	}
	_, err = fmt.Fprintln(errOut, "Profile:", file)
	return err
}
