package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/sandbox"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// explain turns why a call ended into a failure that names what was exceeded:
// the limit and the figure. Last is what the guest wrote last.
func explain(err error, lim *plugin.Limits, took time.Duration, last string) error {
	if errors.Is(err, sandbox.ErrUnclean) {
		out := host.Errorf(host.CodeInternal, "the plugin's sandbox was not clean after a call").
			WithHint("it was thrown away; the host's log says what differed")
		out.Err = errors.Join(plugin.ErrIsolation, err)
		return out
	}
	out := explained(err, lim, took, last)
	out.Err = err
	return out
}

func explained(err error, lim *plugin.Limits, took time.Duration, last string) *host.Error {
	var (
		known  *host.Error
		fault  *kernel.Fault
		failed *sandbox.Failed
		trap   *sandbox.Trap
		exit   *sys.ExitError
	)
	switch {
	case errors.As(err, &known):
		out := *known
		return &out
	case errors.As(err, &fault):
		return exceeded(fault, lim, took, last)
	case errors.As(err, &failed):
		text := fmt.Sprintf("%s returned %d", pluginv1.ExportCall, failed.Code)
		if failed.Message != "" {
			text += ": " + failed.Message
		}
		return crashed(text, last)
	case errors.As(err, &exit):
		return crashed(fmt.Sprintf("it ended itself with exit code %d", exit.ExitCode()), last)
	case errors.As(err, &trap):
		return crashed(trap.Text, last)
	case errors.Is(err, sandbox.ErrClosed):
		return host.Errorf(host.CodeUnavailable, "the plugin's code is being unloaded").WithHint("try again in a moment")
	case errors.Is(err, context.Canceled):
		return exceeded(&kernel.Fault{Kind: kernel.Cancelled}, lim, took, last)
	case errors.Is(err, context.DeadlineExceeded):
		return exceeded(&kernel.Fault{Kind: kernel.Deadline}, lim, took, last)
	}
	return host.Errorf(host.CodeInternal, "the plugin could not be run")
}

// exceeded says which limit a call hit.
func exceeded(f *kernel.Fault, lim *plugin.Limits, took time.Duration, last string) *host.Error {
	switch f.Kind {
	case kernel.Deadline:
		// The caller may have had less time than the plugin may take.
		limit := lim.Timeout
		if d := time.Duration(f.Limit); took < limit && d > 0 {
			limit = d.Round(time.Millisecond)
		}
		return host.Errorf(host.CodePluginTimeout, "the call took longer than %s", limit).
			WithHint("ask for less at a time, or raise limits.timeout in the manifest")
	case kernel.Cancelled:
		return host.Errorf(host.CodeUnavailable, "the caller gave up after %s", took.Round(time.Millisecond))
	case kernel.Memory:
		text := fmt.Sprintf("the call needed more than %s of memory", manifest.FormatBytes(lim.Memory))
		if f.Used > 0 {
			text += fmt.Sprintf(" (it asked for %s)", manifest.FormatBytes(f.Used))
		}
		return host.Errorf(host.CodePluginMemory, "%s", text).
			WithHint("work on less at a time, or raise limits.memory in the manifest")
	case kernel.Output:
		return host.Errorf(host.CodePluginOutput, "the answer has %s, the limit is %s", manifest.FormatBytes(f.Used), manifest.FormatBytes(lim.Output)).
			WithHint("answer less at a time, for example by pages, or raise limits.output in the manifest")
	case kernel.Fuel:
		return host.Errorf(host.CodePluginFuel, "the call used more than %d units of fuel, about one for each instruction", lim.Fuel).
			WithHint("ask for less at a time, or raise limits.fuel in the manifest")
	case kernel.Storm:
		return host.AsError(lim.Storm(f.Used))
	case kernel.Stack:
		return crashed("it overflowed its stack", last)
	}
	return crashed(f.Error(), last)
}

// maxText is how much of what a guest says is repeated.
const maxText = 500

func crashed(text, last string) *host.Error {
	if last != "" {
		text += ": " + last
	}
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return host.Errorf(host.CodePluginTrap, "the plugin crashed: %s", text).
		WithHint("this is a defect of the plugin; its output is in the host's log")
}

// lastWords finds the line with which a Go guest says why it ends.
func lastWords(stderr []byte) string {
	for line := range strings.Lines(string(stderr)) {
		for _, begin := range [...]string{"panic: ", "fatal error: ", "runtime: goroutine stack exceeds"} {
			if strings.HasPrefix(line, begin) {
				return strings.ToValidUTF8(strings.TrimSpace(line), "")
			}
		}
	}
	return ""
}
