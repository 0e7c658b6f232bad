package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/fault"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// bench stands in for a test: it collects what a test would fail with.
type bench struct {
	ctx    context.Context
	faults []error
}

// stop is what a fatal failure unwinds with.
type stop struct{}

func (*bench) Helper() {}

func (b *bench) Context() context.Context { return b.ctx }

func (b *bench) Errorf(format string, args ...any) {
	b.faults = append(b.faults, errors.New(strings.TrimPrefix(fmt.Sprintf(format, args...), "sdktest: ")))
}

func (b *bench) Fatalf(format string, args ...any) {
	b.Errorf(format, args...)
	panic(stop{})
}

// protect runs f and ends at its first fatal failure.
func (b *bench) protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if _, ours := v.(stop); !ours {
				panic(v)
			}
		}
	}()
	return f()
}

// explained gives an error of the SDK the form that the command line prints:
// the code that a portal gives it, and its hint.
func explained(err error) error {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return err
	}
	out := coded(fault.FromGuest(&pluginv1.Error{Code: string(e.Code), Message: e.Message, Hint: e.Hint}))
	if e.RetryAfter > 0 {
		out.Hint = strings.TrimSpace(fmt.Sprintf("%s Try again in %s.", out.Hint, e.RetryAfter))
	}
	return out
}

// coded puts an error's code in front of its message.
func coded(e *host.Error) *host.Error {
	e.Message = string(e.Code) + ": " + e.Message
	return e
}

// printLogs prints what the plugin logged.
func printLogs(w io.Writer, lines []sdktest.LogLine) {
	for _, line := range lines {
		fmt.Fprintf(w, "[%s] %s", line.Level, line.Message)
		for _, name := range slices.Sorted(maps.Keys(line.Fields)) {
			fmt.Fprintf(w, " %s=%q", name, line.Fields[name])
		}
		fmt.Fprintln(w)
	}
}

var _ sdktest.TB = (*bench)(nil)
