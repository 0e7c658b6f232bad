package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	wire "github.com/callboard-dev/callboard/schemas/plugin/process"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

// module is a release's program.
type module struct {
	keeper   *keeper
	settings Settings
	digest   string
	program  *program
}

var _ plugin.Module = (*module)(nil)

// maxTimeout ends a call whatever its limits are.
const maxTimeout = 15 * time.Minute

// Call makes one call in the process of the call's tenant. The time limit
// begins when the process answers; until then ctx alone does.
func (m *module) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	var out plugin.Outcome
	w.Call.ABI = wire.Protocol
	in := v2.AppendCall(nil, w.Call)
	out.Usage.Input = int64(len(in))
	if limit := w.Limits.Input; limit > 0 && out.Usage.Input > limit {
		return out, tooLarge(out.Usage.Input, limit)
	}
	begin := time.Now()
	g, err := m.keeper.lend(ctx, key{m.digest, w.Call.Tenant}, m.order(w))
	out.Usage.Waited = time.Since(begin)
	if err != nil {
		return out, err
	}
	g.outlet.open(w.Limits.Log, w.Limits.LogBytes)
	guilty, err := g.call(ctx, in, w, &out)
	m.keeper.giveBack(g, guilty)
	return out, err
}

// order is what the tenant's process is made of.
func (m *module) order(w plugin.Work) order {
	return order{
		program: m.program, memory: max(w.Limits.Memory, m.settings.MinMemory),
		name: "callboard-plugin " + w.Call.Tenant + " " + strings.TrimPrefix(m.digest, "sha256:")[:12],
	}
}

// Facts says how calls are run; Why names the layers of protection that this
// system lacks, as far as a process has shown it.
func (m *module) Facts() plugin.Facts {
	m.keeper.mu.Lock()
	defer m.keeper.mu.Unlock()
	f := plugin.Facts{Runtime: "process", Path: "process", ABI: wire.Protocol, Why: strings.Join(m.keeper.lacking, "; ")}
	for id, s := range m.keeper.slots {
		if s.guest != nil && id.digest == m.digest {
			if size, err := memoryOf(s.guest.runner.pid()); err == nil {
				f.Bytes += size.resident
			}
		}
	}
	return f
}

// Revive lets the process of the tenant, named as in its calls, be started
// again after it failed too often.
func (m *module) Revive(tenant string) { m.keeper.revive(key{m.digest, tenant}) }

// Close ends the release's processes. Calls that still run finish first.
func (m *module) Close(ctx context.Context) error { return m.keeper.retire(ctx, m.digest) }

// maxHostCall is the largest request of a guest to a host service.
const maxHostCall = 16 << 20

// talk is one call: a stream to the guest, in which its host calls come back.
type talk struct {
	work   plugin.Work
	stream grpc.ClientStream

	sending sync.Mutex // a stream may not be closed while it is written to
	mu      sync.Mutex
	usage   plugin.Usage // under mu
}

// errStillRunning says that a guest did not end with its time.
var errStillRunning = errors.New("the guest is still running")

// errStorm says that a guest would not stop to call host services. It is likely
// to go on, whether or not somebody listens.
var errStorm = errors.New("the guest does not stop to call host services")

// said is how a talk ended.
type said struct {
	result v1.Result
	err    error
}

// call makes one call. A guilty one left its handler running in the guest.
func (g *guest) call(ctx context.Context, in []byte, w plugin.Work, out *plugin.Outcome) (guilty bool, err error) {
	if w.Limits.Timeout <= 0 || w.Limits.Timeout > maxTimeout {
		w.Limits.Timeout = maxTimeout
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.Limits.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	line, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	t := &talk{work: w}
	t.stream, err = g.conn.NewStream(line, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+wire.Service+"/"+wire.Method,
		grpc.MaxCallRecvMsgSize(int(max(w.Limits.Output, maxHostCall)+maxHead)), grpc.MaxCallSendMsgSize(wire.MaxMessageBytes))
	if err != nil {
		return false, g.explain(err, w.Limits)
	}
	done := make(chan said, 1)
	go func() { done <- t.run(ctx, in) }()
	s, timely := t.wait(ctx, g.settings.Grace, done)
	out.Result = s.result
	out.Usage = t.used(out.Usage)
	out.Usage.Wall = time.Since(begin)
	if size, err := memoryOf(g.runner.pid()); err == nil {
		out.Usage.Memory = size.resident
	}
	switch {
	case !timely:
		out.Result = v1.Result{}
		return errors.Is(s.err, errStillRunning), overdue(ctx, w.Limits.Timeout, deadline.Sub(begin), out.Usage.Wall)
	case errors.Is(s.err, errStorm):
		return true, host.AsError(s.err)
	case s.err != nil && host.CodeOf(s.err) == host.CodeInternal:
		return false, g.explain(s.err, w.Limits)
	}
	return false, s.err
}

// maxHead is more than what an envelope adds to its limits.
const maxHead = 4 << 10

// wait returns what the talk came to. One that has not come to its end with
// its time is told so, and waited for a little longer.
func (t *talk) wait(ctx context.Context, grace time.Duration, done <-chan said) (s said, timely bool) {
	select {
	case s = <-done:
		return s, ctx.Err() == nil || s.err == nil && s.result.Error == nil
	case <-ctx.Done():
	}
	// Beside, because a guest that reads nothing keeps what is being sent.
	go func() {
		t.sending.Lock()
		defer t.sending.Unlock()
		_ = t.stream.CloseSend() // the guest may be gone: then the talk ends, too
	}()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case s = <-done:
		return s, false
	case <-late.C:
		return said{err: errStillRunning}, false
	}
}

// run says what is asked and answers host calls until the result is there.
func (t *talk) run(ctx context.Context, in []byte) said {
	if err := t.send(in); err != nil {
		return said{err: t.broken(err)}
	}
	for {
		m := &wrapperspb.BytesValue{}
		if err := t.stream.RecvMsg(m); err != nil {
			return said{err: err}
		}
		if !wire.IsHostCall(m.GetValue()) {
			return t.result(m.GetValue())
		}
		answer, err := t.answer(ctx, m.GetValue())
		if err != nil {
			return said{err: errors.Join(errStorm, err)}
		}
		if err := t.send(answer); err != nil {
			return said{err: t.broken(err)}
		}
	}
}

// broken returns why a message could not be sent: the stream's end says it.
func (t *talk) broken(err error) error {
	if end := t.stream.RecvMsg(&wrapperspb.BytesValue{}); end != nil {
		return end
	}
	return err
}

func (t *talk) send(message []byte) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.stream.SendMsg(wrapperspb.Bytes(message))
}

// result reads the guest's result.
func (t *talk) result(message []byte) said {
	t.mu.Lock()
	t.usage.Output = int64(len(message))
	t.mu.Unlock()
	if limit := t.work.Limits.Output; limit > 0 && int64(len(message)) > limit {
		return said{err: tooMuchOutput(int64(len(message)), limit)}
	}
	r, err := v2.ParseResult(message)
	switch {
	case err != nil:
		return said{err: host.Errorf(host.CodePluginOutput, "the answer is not a result of ABI %d: %v", wire.Protocol, err)}
	case !utf8.Valid(r.Body) || len(r.Body) > 0 && !json.Valid(r.Body):
		return said{err: host.Errorf(host.CodePluginOutput, "the body of the answer is not JSON")}
	}
	return said{result: r}
}

// answer serves one host call within the call's limits. A storm of calls is an
// error.
func (t *talk) answer(ctx context.Context, request []byte) ([]byte, error) {
	calls, moved := t.spend(1, len(request))
	if err := t.work.Limits.Storm(calls); err != nil {
		return nil, err
	}
	raw := v2.AppendResult(nil, t.serve(ctx, request, calls, moved))
	limit := t.work.Limits.HostBytes
	if limit > 0 && moved+int64(len(raw)) > limit {
		raw = v2.AppendResult(nil, t.tooMuch())
	} else if len(raw) > wire.MaxMessageBytes-maxHead {
		raw = v2.AppendResult(nil, refused(v1.CodeLimit, "the answer does not fit into the plugin's memory"))
	}
	t.spend(0, len(raw))
	return raw, nil
}

func (t *talk) serve(ctx context.Context, request []byte, calls, moved int64) (result v1.Result) {
	defer func() {
		if recover() != nil {
			result = refused(v1.CodeInternal, "the host service failed")
		}
	}()
	l := t.work.Limits
	switch {
	case t.work.World.Host == nil:
		return refused(v1.CodeUnsupported, "host services cannot be called here")
	case len(request) > maxHostCall:
		return refused(v1.CodeInvalid, "the call of the host service is larger than %s", manifest.FormatBytes(maxHostCall))
	case l.HostCalls > 0 && calls > l.HostCalls:
		return refused(v1.CodeLimit, "one call may make at most %d calls of host services", l.HostCalls)
	case l.HostBytes > 0 && moved > l.HostBytes:
		return t.tooMuch()
	}
	call, err := v2.ParseHostCall(request)
	switch {
	case err != nil || len(call.Body) > 0 && !json.Valid(call.Body):
		return refused(v1.CodeInvalid, "the call of the host service is not one of ABI %d", wire.Protocol)
	case ctx.Err() != nil:
		return refused(v1.CodeTimeout, "the time of the call is over")
	}
	return t.work.World.Host(ctx, call)
}

// spend counts host calls and the bytes that they move, and returns the sums.
func (t *talk) spend(calls int64, bytes int) (allCalls, allBytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.HostCalls += calls
	t.usage.HostBytes += int64(bytes)
	return t.usage.HostCalls, t.usage.HostBytes
}

func (t *talk) tooMuch() v1.Result {
	return refused(v1.CodeLimit, "one call may exchange at most %s with host services", manifest.FormatBytes(t.work.Limits.HostBytes))
}

// used adds what the talk has used.
func (t *talk) used(u plugin.Usage) plugin.Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	u.Output, u.HostCalls, u.HostBytes = t.usage.Output, t.work.Limits.Made(t.usage.HostCalls), t.usage.HostBytes
	return u
}

func refused(code, format string, args ...any) v1.Result {
	return v1.Result{Error: &v1.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}
