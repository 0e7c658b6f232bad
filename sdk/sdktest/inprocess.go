package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	binary "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
)

// Limits is what one call may use, as a portal's runtimes limit it. A field
// that is zero limits nothing.
type Limits struct {
	// Timeout is how long a call may take.
	Timeout time.Duration
	// Input and Output are the sizes of the call and of its answer on the
	// wire, in bytes.
	Input, Output int64
	// HostCalls is how many calls of host services one call may make, and
	// HostBytes how much they may move, in bytes.
	HostCalls, HostBytes int64
}

// InProcess returns the plugin as a guest of the test's own process. Limits
// count as they do in a portal and are told in the same words, so a test sees
// what a user would. Memory and instructions are not limited here, and a call
// that does not end with its time is left behind: "callboard plugin run" has a
// real sandbox.
func InProcess(p *sdk.Plugin, l Limits) Guest {
	return func(ctx context.Context, host sdk.Host, in []byte) []byte {
		reply := replier(in)
		if l.Input > 0 && int64(len(in)) > l.Input {
			return reply(refuse(plugin.CodeLimit, "the call has %d bytes; the plugin takes at most %d", len(in), l.Input))
		}
		if l.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, l.Timeout)
			defer cancel()
		}
		m := &meter{limits: l, host: host}
		done := make(chan []byte, 1)
		go func() { done <- p.Call(ctx, m.ask, in) }()
		var out []byte
		select {
		case out = <-done:
		case <-ctx.Done():
		}
		m.stop()
		switch {
		case ctx.Err() == context.DeadlineExceeded && l.Timeout > 0:
			return reply(refuse(plugin.CodeTimeout, "the call took longer than %s", l.Timeout))
		case ctx.Err() != nil:
			return reply(refuse(plugin.CodeUpstream, "the caller gave up"))
		case l.Output > 0 && int64(len(out)) > l.Output:
			return reply(refuse(plugin.CodeLimit, "the answer has %s, the limit is %s", size(int64(len(out))), size(l.Output)))
		}
		return out
	}
}

// limitsOf returns the limits that a manifest names. What it leaves to the
// portal limits nothing here.
func limitsOf(l manifest.Limits) (out Limits, err error) {
	if l.Timeout != "" {
		if out.Timeout, err = time.ParseDuration(l.Timeout); err != nil {
			return out, fmt.Errorf("limits.timeout: %w", err)
		}
	}
	for _, size := range []struct {
		text string
		to   *int64
	}{{l.Input, &out.Input}, {l.Output, &out.Output}, {l.HostBytes, &out.HostBytes}} {
		if size.text == "" {
			continue
		}
		n, err := parseSize(size.text)
		if err != nil {
			return out, fmt.Errorf("limits: %w", err)
		}
		*size.to = int64(n)
	}
	out.HostCalls = l.HostCalls
	return out, nil
}

// replier writes results in the envelope in which a call came.
func replier(in []byte) func(plugin.Result) []byte {
	if binary.Is(in) {
		return func(r plugin.Result) []byte { return binary.AppendResult(nil, r) }
	}
	return func(r plugin.Result) []byte {
		out, err := json.Marshal(r)
		if err != nil { // cannot be: a Result of strings
			return nil
		}
		return out
	}
}

// size writes a number of bytes in the largest unit that divides it.
func size(n int64) string {
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.suffix)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// meter counts the host calls of one call. They are answered one at a time, as
// a guest's are.
type meter struct {
	limits Limits
	host   sdk.Host
	mu     sync.Mutex
	calls  int64
	bytes  int64
	over   bool
}

func (m *meter) ask(ctx context.Context, call plugin.HostCall) plugin.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	m.bytes += int64(len(binary.AppendHostCall(nil, call)))
	result := m.answer(ctx, call)
	n := int64(len(binary.AppendResult(nil, result)))
	if m.limits.HostBytes > 0 && m.bytes+n > m.limits.HostBytes {
		result = m.tooMuch()
		n = int64(len(binary.AppendResult(nil, result)))
	}
	m.bytes += n
	return result
}

func (m *meter) answer(ctx context.Context, call plugin.HostCall) (result plugin.Result) {
	switch {
	case m.host == nil:
		return refuse(plugin.CodeUnsupported, "host services cannot be called here")
	case m.limits.HostCalls > 0 && m.calls > m.limits.HostCalls:
		return refuse(plugin.CodeLimit, "one call may make at most %d calls of host services", m.limits.HostCalls)
	case m.limits.HostBytes > 0 && m.bytes > m.limits.HostBytes:
		return m.tooMuch()
	case m.over || ctx.Err() != nil:
		return refuse(plugin.CodeTimeout, "the time of the call is over")
	}
	return m.host(ctx, call)
}

func (m *meter) tooMuch() plugin.Result {
	return refuse(plugin.CodeLimit, "one call may exchange at most %s with host services", size(m.limits.HostBytes))
}

// stop refuses the host calls of what a call left behind.
func (m *meter) stop() {
	if m.mu.TryLock() { // one that runs now sees that its context is over
		m.over = true
		m.mu.Unlock()
	}
}
