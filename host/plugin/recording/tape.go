package recording

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Tape records one call while it runs.
type Tape struct {
	begin time.Time

	mu   sync.Mutex
	rec  Recording
	size int
	full bool
}

// Record puts a tape between a call and its world. The call goes on as without
// it, only its answers pass by here.
func Record(w *plugin.Work) *Tape {
	w.Call.Body = compact(w.Call.Body)
	t := &Tape{begin: time.Now(), rec: Recording{Format: Format, Call: w.Call, Limits: limitsOf(w.Limits)}}
	world := w.World
	if world.Walltime == nil {
		world.Walltime = func() (int64, int32) {
			now := time.Now()
			return now.Unix(), int32(now.Nanosecond())
		}
	}
	if world.Nanotime == nil {
		world.Nanotime = func() int64 { return int64(time.Since(t.begin)) }
	}
	if world.Random == nil {
		world.Random = rand.Reader
	}
	w.World.Host = func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result {
		return t.host(ctx, world.Host, call)
	}
	if world.Host == nil {
		w.World.Host = nil
	}
	w.World.Walltime = func() (int64, int32) {
		sec, nsec := world.Walltime()
		t.note(16, func() { t.rec.Walltime = append(t.rec.Walltime, Reading{sec, nsec}) })
		return sec, nsec
	}
	w.World.Nanotime = func() int64 {
		n := world.Nanotime()
		t.note(12, func() { t.rec.Nanotime = append(t.rec.Nanotime, n) })
		return n
	}
	w.World.Random = taped{t, world.Random}
	return t
}

// note adds to the recording unless that would make it too large.
func (t *Tape) note(size int, add func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size += size; t.full || t.size > MaxBytes {
		t.full = true
		return
	}
	add()
}

func (t *Tape) host(ctx context.Context, next plugin.HostFunc, call pluginv1.HostCall) pluginv1.Result {
	answer := next(ctx, call)
	answer.Body = compact(answer.Body)
	kept := Exchange{Call: call, Answer: answer}
	kept.Call.Body, kept.Call.Data = clone(call.Body), clone(call.Data)
	kept.Answer.Body, kept.Answer.Data = clone(answer.Body), clone(answer.Data)
	t.note(200+len(call.Body)+len(call.Data)+len(answer.Body)+len(answer.Data), func() { t.rec.Host = append(t.rec.Host, kept) })
	return answer
}

// clone copies bytes that the sandbox may use again.
func clone[T ~[]byte](b T) T {
	if b == nil {
		return nil
	}
	return append(T{}, b...)
}

// taped is randomness that is written down.
type taped struct {
	tape *Tape
	next io.Reader
}

// Read draws from the real source.
func (r taped) Read(p []byte) (int, error) {
	n, err := r.next.Read(p)
	r.tape.note(n*4/3, func() { r.tape.rec.Random = append(r.tape.rec.Random, p[:n]...) })
	return n, err
}

// Finish ends the tape with what came of the call. It returns nil where the
// call was too large to keep.
func (t *Tape) Finish(o plugin.Outcome, err error) *Recording {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full || len(o.Result.Body)+len(o.Result.Data)+len(t.rec.Call.Body)+len(t.rec.Call.Data) > MaxBytes {
		return nil
	}
	r := t.rec
	r.At = t.begin.UTC().Truncate(time.Microsecond)
	r.Call.Body, r.Call.Data = clone(r.Call.Body), clone(r.Call.Data)
	r.end(o, err)
	return &r
}

// end writes down an outcome.
func (r *Recording) end(o plugin.Outcome, err error) {
	r.Result, r.Failure = pluginv1.Result{}, failureOf(err)
	if err == nil {
		r.Result = pluginv1.Result{Body: clone(o.Result.Body), Data: clone(o.Result.Data), Error: o.Result.Error}
	}
	r.Usage = usageOf(o)
}

func failureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	e := host.AsError(err)
	return &Failure{Code: e.Code, Message: e.Message}
}

func usageOf(o plugin.Outcome) Usage {
	return Usage{Fuel: o.Usage.Fuel, Memory: o.Usage.Memory, HostCalls: o.Usage.HostCalls}
}

// compact returns JSON without white space, so that a recording that somebody
// has formatted is the same call. What is no JSON stays as it is.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
