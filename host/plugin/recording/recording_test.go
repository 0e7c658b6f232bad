package recording

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// guest is a module whose code is a Go function of its call and world.
type guest func(ctx context.Context, w plugin.Work) (plugin.Outcome, error)

func (g guest) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) { return g(ctx, w) }
func (g guest) Facts() plugin.Facts                                             { return plugin.Facts{} }
func (g guest) Close(context.Context) error                                     { return nil }

// curious is a guest that looks at everything in its world and answers with it.
// Its fuel is the length of what it has seen.
func curious(_ context.Context, w plugin.Work) (plugin.Outcome, error) {
	sec, nsec := w.World.Walltime()
	nano := w.World.Nanotime()
	random := make([]byte, 8)
	if _, err := w.World.Random.Read(random); err != nil {
		return plugin.Outcome{}, err
	}
	said := []string{fmt.Sprint(sec, nsec, nano), base64.StdEncoding.EncodeToString(random), string(w.Call.Body)}
	for i := range 2 {
		a := w.World.Host(context.Background(), pluginv1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(fmt.Sprintf(`{"key":"%d"}`, i))})
		if a.Error != nil {
			said = append(said, a.Error.Code)
		}
		said = append(said, string(a.Body), string(a.Data))
	}
	body, err := json.Marshal(said)
	if err != nil {
		return plugin.Outcome{}, err
	}
	return plugin.Outcome{Result: pluginv1.Result{Body: body}, Usage: plugin.Usage{Fuel: int64(len(body)), Memory: 1 << 20, HostCalls: 2}}, nil
}

// work is a call with a live world.
func work(body string) plugin.Work {
	n := 0
	return plugin.Work{
		Call:   pluginv1.Call{Capability: "route/v1", Method: "handle", Tenant: "acme", Body: json.RawMessage(body)},
		Limits: plugin.Limits{Timeout: time.Second, Memory: 1 << 20, Input: 1 << 20, Output: 1 << 20, HostCalls: 10, HostBytes: 1 << 20, Fuel: 1 << 20},
		World: plugin.World{Random: rand.Reader, Host: func(context.Context, pluginv1.HostCall) pluginv1.Result {
			n++
			return pluginv1.Result{Body: json.RawMessage(fmt.Sprintf(`{"value": "answer <%d>"}`, n)), Data: []byte{byte(n)}}
		}},
	}
}

func record(t *testing.T, g guest, w plugin.Work) *Recording {
	t.Helper()
	tape := Record(&w)
	o, err := g(t.Context(), w)
	r := tape.Finish(o, err)
	if r == nil {
		t.Fatal("the call was too large to keep")
	}
	r.Plugin = "acme/board"
	return r
}

// reread writes a recording to a file and reads it back.
func reread(t *testing.T, r *Recording) *Recording {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	out, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplay(t *testing.T) {
	r := reread(t, record(t, curious, work(`{"a": "<b>"}`)))
	t.Run("EndsTheSame", func(t *testing.T) {
		if err := Verify(t.Context(), guest(curious), r); err != nil {
			t.Error(err)
		}
	})
	t.Run("AnAlteredAnswerChangesTheResult", func(t *testing.T) {
		altered := *r
		altered.Host = append([]Exchange(nil), r.Host...)
		altered.Host[1].Answer.Body = json.RawMessage(`{"value":"other"}`)
		run, err := Replay(t.Context(), guest(curious), &altered)
		if err != nil {
			t.Fatal(err)
		}
		if d := Compare(r, run, true); len(d) == 0 || !strings.Contains(d[0].Replayed, "other") {
			t.Errorf("got %v", d)
		}
	})
	for name, alter := range map[string]func(*Recording){
		"AnAlteredClock":      func(r *Recording) { r.Walltime[0].Sec++ },
		"AnAlteredMonotonic":  func(r *Recording) { r.Nanotime[0]++ },
		"AlteredRandomness":   func(r *Recording) { r.Random[0]++ },
		"AnAlteredInput":      func(r *Recording) { r.Call.Body = json.RawMessage(`{"a":1}`) },
		"AnAlteredAttachment": func(r *Recording) { r.Host[0].Answer.Data = []byte("x") },
	} {
		t.Run(name+"ChangesTheResult", func(t *testing.T) {
			altered := reread(t, r)
			alter(altered)
			if err := Verify(t.Context(), guest(curious), altered); host.CodeOf(err) != host.CodeConflict {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("OtherRequestsStray", func(t *testing.T) {
		run, err := Replay(t.Context(), guest(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
			a := w.World.Host(ctx, pluginv1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(`{"key":"7"}`)})
			w.World.Walltime()
			w.World.Walltime()
			return plugin.Outcome{Result: pluginv1.Result{Error: a.Error}}, nil
		}), r)
		if err != nil || len(run.Strayed) != 2 || run.Result.Error.Code != pluginv1.CodeUnsupported {
			t.Errorf("got %+v, %v", run, err)
		}
		if Worse(r, run) {
			t.Error("a call that nobody could answer counts as broken")
		}
	})
	t.Run("OtherOrderIsAnswered", func(t *testing.T) {
		run, err := Replay(t.Context(), guest(func(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
			for _, key := range []string{"1", "0"} {
				if a := w.World.Host(ctx, pluginv1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(`{ "key": "` + key + `" }`)}); a.Error != nil {
					return plugin.Outcome{}, a.Error
				}
			}
			return plugin.Outcome{}, nil
		}), r)
		if err != nil || len(run.Strayed) != 0 || run.Failure != nil {
			t.Errorf("got %+v, %v", run, err)
		}
	})
	t.Run("FailuresAreTheSameFailures", func(t *testing.T) {
		broken := guest(func(context.Context, plugin.Work) (plugin.Outcome, error) {
			return plugin.Outcome{Usage: plugin.Usage{Fuel: 7}}, host.Errorf(host.CodePluginFuel, "out of fuel")
		})
		failed := reread(t, record(t, broken, work(`1`)))
		if failed.Failure == nil || failed.Failure.Code != host.CodePluginFuel || failed.Usage.Fuel != 7 {
			t.Fatalf("got %+v", failed)
		}
		if err := Verify(t.Context(), broken, failed); err != nil {
			t.Error(err)
		}
		run, err := Replay(t.Context(), broken, r)
		if err != nil || !Worse(r, run) {
			t.Error("a release that breaks is not worse than one that answers")
		}
	})
}

func TestCompare(t *testing.T) {
	r := &Recording{Result: pluginv1.Result{Body: json.RawMessage(`{"a":1,"list":[1,2],"gone":true}`)}, Usage: Usage{Fuel: 1}}
	run := &Run{Result: pluginv1.Result{Body: json.RawMessage(`{"a":2,"list":[1,3],"new":null}`)}, Usage: Usage{Fuel: 2}}
	var got []string
	for _, d := range Compare(r, run, false) {
		got = append(got, d.Where+" "+d.Recorded+">"+d.Replayed)
	}
	want := "result.body/a 1>2; result.body/gone true>; result.body/list/1 2>3; result.body/new >null"
	if strings.Join(got, "; ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	run.Result.Body = json.RawMessage(`{"gone":true,"a":1, "list":[1,2]}`)
	if d := Compare(r, run, false); len(d) != 1 || d[0].Where != "result.body" {
		t.Errorf("another order of members: %v", d)
	}
	run.Result.Body = json.RawMessage(` {"a":1,"list":[1,2],"gone":true} `)
	if d := Compare(r, run, true); len(d) != 1 || d[0].Where != "fuel" {
		t.Errorf("other fuel: %v", d)
	}
}

func TestTooLargeIsNotKept(t *testing.T) {
	w := work(`1`)
	w.World.Host = func(context.Context, pluginv1.HostCall) pluginv1.Result {
		return pluginv1.Result{Data: make([]byte, MaxBytes)}
	}
	tape := Record(&w)
	o, err := curious(t.Context(), w)
	if r := tape.Finish(o, err); r != nil {
		t.Errorf("%d bytes of answers were kept", MaxBytes)
	}
}

func TestAttach(t *testing.T) {
	r := record(t, curious, work(`1`))
	code := bytes.Repeat([]byte("wasm"), 1000)
	if err := r.Attach(code); err != nil {
		t.Fatal(err)
	}
	got, err := reread(t, r).Module()
	if err != nil || !bytes.Equal(got, code) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	r.CodeDigest = "sha256:other"
	if _, err := r.Module(); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), "sha256:other") {
		t.Errorf("code that is not what the recording says: %v", err)
	}
	r.Code = []byte("no gzip")
	if _, err := r.Module(); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func TestRead(t *testing.T) {
	good := `{"format":"callboard.dev/recording/v1","plugin":"a/b","at":"2026-01-02T03:04:05Z","call":{"abi":1,"capability":"route/v1","method":"handle","tenant":"t","caller":{"kind":"","name":"","role":""}},
"limits":{"timeoutMillis":1000,"memory":1024,"input":1,"output":1,"hostCalls":0,"hostBytes":0,"fuel":0},"result":{},"usage":{"fuel":0,"memory":0,"hostCalls":0}}`
	for name, c := range map[string]struct{ from, to, says string }{
		"AnotherFormat":  {"recording/v1", "recording/v9", "reads"},
		"UnknownMember":  {`"result"`, `"extra":1,"result"`, "extra"},
		"NoMethod":       {`"handle"`, `""`, "method"},
		"HugeMemory":     {`"memory":1024`, `"memory":99999999999999`, "memory"},
		"EndlessTimeout": {`"timeoutMillis":1000`, `"timeoutMillis":99999999`, "timeoutMillis"},
		"AnotherABI":     {`"abi":1`, `"abi":99`, "ABI 99"},
		"NegativeFuel":   {`"fuel":0}`, `"fuel":-1}`, "fuel"},
		"NotJSON":        {`"result":{}`, `"result":{`, "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.from, c.to, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := Read(strings.NewReader(text)); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Read(strings.NewReader(good)); err != nil {
		t.Error(err)
	}
}

// FuzzRead: a file of a stranger is read or refused, and what was read can be
// written, redacted and compared.
func FuzzRead(f *testing.F) {
	w := work(`{"password":"x"}`)
	tape := Record(&w)
	o, err := curious(context.Background(), w)
	var b bytes.Buffer
	if err := tape.Finish(o, err).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(strings.Replace(b.String(), `"plugin": ""`, `"plugin": "a/b"`, 1))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		r.Redact([]string{"secret"})
		if _, err := r.Module(); err != nil && host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
		if _, err := Replay(context.Background(), guest(curious), r); err != nil {
			t.Error(err)
		}
		if err := r.Write(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
