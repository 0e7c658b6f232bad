package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// The failures of a call, in the words of the sandbox: a caller cannot tell
// the runtimes apart by them.

func tooLarge(n, limit int64) error {
	return host.Errorf(host.CodeTooLarge, "the call has %d bytes; the plugin takes at most %d", n, limit).
		WithHint("send less at a time")
}

// overdue says that a call ended with its time, or with its caller.
func overdue(ctx context.Context, limit, had, took time.Duration) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return host.Errorf(host.CodeUnavailable, "the caller gave up after %s", took.Round(time.Millisecond))
	}
	// The caller may have had less time than the plugin may take.
	if had > 0 && had < limit-time.Millisecond {
		limit = had.Round(time.Millisecond)
	}
	return host.Errorf(host.CodePluginTimeout, "the call took longer than %s", limit).
		WithHint("ask for less at a time, or raise limits.timeout in the manifest")
}

func tooMuchOutput(n, limit int64) error {
	return host.Errorf(host.CodePluginOutput, "the answer has %s, the limit is %s", manifest.FormatBytes(n), manifest.FormatBytes(limit)).
		WithHint("answer less at a time, for example by pages, or raise limits.output in the manifest")
}

func outOfMemory(limit int64) error {
	return host.Errorf(host.CodePluginMemory, "the call needed more than %s of memory", manifest.FormatBytes(limit)).
		WithHint("work on less at a time, or raise limits.memory in the manifest")
}

func crashed(text string) error {
	const most = 500
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return host.Errorf(host.CodePluginTrap, "the plugin crashed: %s", text).
		WithHint("this is a defect of the plugin; its output is in the host's log")
}

// busy is what a caller is told who may come again.
func busy(after time.Duration, format string, args ...any) error {
	e := host.Errorf(host.CodeUnavailable, format, args...).WithHint("try again in a moment")
	e.RetryAfter = max(after.Round(time.Second), time.Second)
	return e
}

// How a Go program begins to say that it dies.
const (
	panicked   = "panic: "
	fatalError = "fatal error: "
)

// lastWords finds the line with which a program said why it ends.
func lastWords(stderr string) string {
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, panicked) || strings.HasPrefix(line, fatalError) {
			return strings.TrimSpace(strings.ToValidUTF8(line, ""))
		}
	}
	return ""
}

// diedOfMemory reports whether a program's last words are about memory.
func diedOfMemory(stderr string) bool {
	for _, words := range []string{"out of memory", "cannot allocate memory", "failed to reserve memory", "cannot allocate heap metadata", "failed to create new OS thread"} {
		if strings.Contains(stderr, words) {
			return true
		}
	}
	return false
}

// explain tells why a conversation broke off: by the size of a message, or
// with the end of the process.
func (g *guest) explain(err error, limits plugin.Limits) error {
	if status.Code(err) == codes.ResourceExhausted {
		return tooMuchOutput(limits.Output+1, limits.Output)
	}
	wait := time.NewTimer(g.settings.Grace)
	defer wait.Stop()
	select {
	case <-g.gone:
	case <-wait.C:
		return crashed("its answer broke off: " + status.Convert(err).Message())
	}
	out := g.obituary(limits)
	var he *host.Error
	if errors.As(out, &he) && he.Err == nil {
		he.Err = err
	}
	return out
}

// obituary tells of what the process died; it is gone.
func (g *guest) obituary(limits plugin.Limits) error {
	said := g.stderr.text()
	switch {
	case g.stopped.Load():
		return busy(0, "the plugin's process was stopped while the call ran")
	case diedOfMemory(said), g.group != nil && g.group.OutOfMemory():
		return outOfMemory(limits.Memory)
	}
	text := "its process ended"
	if state := g.runner.state(); state != nil {
		text = describe(*state)
	}
	if words := lastWords(said); words != "" {
		text += ": " + words
	}
	return crashed(text)
}

// describe says how a process ended, in the sandbox's words where it has any.
func describe(s ending) string {
	if s.signal != "" {
		return "it was ended by the signal " + s.signal
	}
	return fmt.Sprintf("it ended itself with exit code %d", s.code)
}
