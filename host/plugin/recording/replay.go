package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Run is a recorded call that was made again.
type Run struct {
	Result  pluginv1.Result `json:"result"`
	Failure *Failure        `json:"failure,omitempty"`
	Usage   Usage           `json:"usage"`
	// Strayed says where the guest asked for something that the recording does
	// not hold; what it answered after that says little.
	Strayed []string `json:"strayed,omitempty"`

	outcome plugin.Outcome
	err     error
}

// Replay makes the recorded call on a module. Nothing outside is reached: host
// services answer from the recording, clocks and randomness are the recorded
// ones, and sleeping takes no time.
func Replay(ctx context.Context, m plugin.Module, r *Recording) (*Run, error) {
	p := &player{rec: r, used: make([]bool, len(r.Host))}
	call := r.Call
	call.Body = compact(call.Body)
	o, err := m.Call(ctx, plugin.Work{Call: call, Limits: r.Limits.limits(), World: plugin.World{
		Host: p.host, Walltime: p.walltime, Nanotime: p.nanotime, Random: p, Sleep: func(time.Duration) {},
	}})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	run := &Run{Usage: usageOf(o), Failure: failureOf(err), Strayed: p.strayed, outcome: o, err: err}
	if err == nil {
		run.Result = o.Result
	}
	return run, nil
}

// player answers a guest from a recording.
type player struct {
	rec            *Recording
	used           []bool
	wall, nano     int
	random         int
	strayed        []string
	strayedInClock bool
	// inOrder answers by position where the request itself was changed.
	inOrder bool
	asked   int
}

// maxStrayed bounds how many deviations are told.
const maxStrayed = 20

func (p *player) stray(format string, args ...any) {
	if len(p.strayed) < maxStrayed {
		p.strayed = append(p.strayed, fmt.Sprintf(format, args...))
	}
}

// host answers with the first recorded answer to the same request that was not
// given yet. Another release may ask in another order.
func (p *player) host(_ context.Context, call pluginv1.HostCall) pluginv1.Result {
	if p.asked++; p.inOrder && p.asked <= len(p.rec.Host) {
		return p.rec.Host[p.asked-1].Answer
	}
	for i, e := range p.rec.Host {
		if !p.used[i] && same(e.Call, call) {
			p.used[i] = true
			answer := e.Answer
			answer.Body = compact(answer.Body)
			return answer
		}
	}
	p.stray("it called %s %s with %.200s, which is not in the recording", call.Service, call.Method, call.Body)
	return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeUnsupported, Message: "the recording has no answer to this"}}
}

func same(a, b pluginv1.HostCall) bool {
	return a.Service == b.Service && a.Method == b.Method && bytes.Equal(a.Data, b.Data) && bytes.Equal(compact(a.Body), compact(b.Body))
}

func (p *player) clockStrays() {
	if !p.strayedInClock {
		p.strayedInClock = true
		p.stray("it read the clock more often than in the recording")
	}
}

// walltime gives the recorded readings; beyond them time goes on in steps of a
// microsecond.
func (p *player) walltime() (int64, int32) {
	readings := p.rec.Walltime
	if p.wall < len(readings) {
		p.wall++
		return readings[p.wall-1].Sec, readings[p.wall-1].Nsec
	}
	p.clockStrays()
	last := p.rec.At
	if n := len(readings); n > 0 {
		last = time.Unix(readings[n-1].Sec, int64(readings[n-1].Nsec))
	}
	p.wall++
	last = last.Add(time.Duration(p.wall-len(readings)) * time.Microsecond)
	return last.Unix(), int32(last.Nanosecond())
}

func (p *player) nanotime() int64 {
	readings := p.rec.Nanotime
	if p.nano < len(readings) {
		p.nano++
		return readings[p.nano-1]
	}
	p.clockStrays()
	last := int64(1)
	if n := len(readings); n > 0 {
		last = readings[n-1]
	}
	p.nano++
	return last + int64(p.nano-len(readings))*int64(time.Microsecond)
}

// Read gives the recorded randomness, and zeros beyond it.
func (p *player) Read(b []byte) (int, error) {
	n := copy(b, p.rec.Random[min(p.random, len(p.rec.Random)):])
	p.random += len(b)
	if n < len(b) {
		clear(b[n:])
		p.stray("it drew more randomness than in the recording")
	}
	return len(b), nil
}

// Difference is one thing that a replay did otherwise.
type Difference struct {
	// Where is "result.body/status", "failure", "fuel" and the like.
	Where    string `json:"where"`
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
}

// Compare lists what the replay did otherwise. With exact, fuel and memory
// must be the same too, as they are for the same release.
func Compare(r *Recording, run *Run, exact bool) []Difference {
	var out []Difference
	add := func(where, recorded, replayed string) {
		if recorded != replayed {
			out = append(out, Difference{where, clip(recorded), clip(replayed)})
		}
	}
	add("failure", failureText(r.Failure), failureText(run.Failure))
	add("result.error", errorText(r.Result.Error), errorText(run.Result.Error))
	if !bytes.Equal(compact(r.Result.Body), compact(run.Result.Body)) {
		out = append(out, bodyDifferences(r.Result.Body, run.Result.Body)...)
	}
	if !bytes.Equal(r.Result.Data, run.Result.Data) {
		out = append(out, Difference{"result.data", fmt.Sprintf("%d bytes", len(r.Result.Data)), fmt.Sprintf("%d other bytes", len(run.Result.Data))})
	}
	if exact {
		add("fuel", fmt.Sprint(r.Usage.Fuel), fmt.Sprint(run.Usage.Fuel))
		add("memory", fmt.Sprint(r.Usage.Memory), fmt.Sprint(run.Usage.Memory))
		add("hostCalls", fmt.Sprint(r.Usage.HostCalls), fmt.Sprint(run.Usage.HostCalls))
	}
	for _, s := range run.Strayed {
		out = append(out, Difference{"request", "", clip(s)})
	}
	return out
}

func failureText(f *Failure) string {
	if f == nil {
		return ""
	}
	return string(f.Code) + ": " + f.Message
}

func errorText(e *pluginv1.Error) string {
	if e == nil {
		return ""
	}
	return e.Error()
}

// maxShown bounds how much of a value a difference shows.
const maxShown = 400

func clip(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD")))
}

// bodyDifferences names the members of two JSON documents that differ.
func bodyDifferences(recorded, replayed json.RawMessage) []Difference {
	var a, b any
	if json.Unmarshal(recorded, &a) != nil || json.Unmarshal(replayed, &b) != nil {
		return []Difference{{"result.body", clip(string(recorded)), clip(string(replayed))}}
	}
	var out []Difference
	diff("result.body", a, b, &out)
	if len(out) == 0 { // other bytes, the same document
		out = append(out, Difference{"result.body", clip(string(recorded)), clip(string(replayed))})
	}
	return out
}

// maxDifferences bounds how many differences of one body are told.
const maxDifferences = 50

func diff(at string, a, b any, out *[]Difference) {
	if len(*out) >= maxDifferences {
		return
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			diffObjects(at, x, y, out)
			return
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			for i := range x {
				diff(fmt.Sprintf("%s/%d", at, i), x[i], y[i], out)
			}
			return
		}
	}
	if l, r := text(a), text(b); l != r {
		*out = append(*out, Difference{at, clip(l), clip(r)})
	}
}

func diffObjects(at string, a, b map[string]any, out *[]Difference) {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		x, inA := a[k]
		y, inB := b[k]
		switch {
		case inA && inB:
			diff(at+"/"+k, x, y, out)
		case inA:
			*out = append(*out, Difference{at + "/" + k, clip(text(x)), ""})
		default:
			*out = append(*out, Difference{at + "/" + k, "", clip(text(y))})
		}
	}
}

func text(v any) string {
	if v == nil {
		return "null"
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// Worse reports whether a replay failed where the recording did not: what an
// upgrade must not do.
func Worse(r *Recording, run *Run) bool {
	if len(run.Strayed) > 0 {
		return false // it asked for what nobody answered; that says nothing
	}
	blamed := func(f *Failure, e *pluginv1.Error) bool {
		return f != nil || e != nil && e.Code == pluginv1.CodeInternal
	}
	return blamed(run.Failure, run.Result.Error) && !blamed(r.Failure, r.Result.Error)
}

// Verify replays a recording on the release that it was made with and says
// whether it ends the same, bit for bit.
func Verify(ctx context.Context, m plugin.Module, r *Recording) error {
	run, err := Replay(ctx, m, r)
	if err != nil {
		return err
	}
	if d := Compare(r, run, true); len(d) > 0 {
		return host.Errorf(host.CodeConflict, "the replay differs from the recording at %s: %s became %s", d[0].Where, d[0].Recorded, d[0].Replayed)
	}
	return nil
}
