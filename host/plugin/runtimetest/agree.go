package runtimetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Case is one call in which all runtimes of a plugin must agree.
type Case struct {
	Name string
	Call v1.Call
	// Limits changes those of the suite; Host answers host calls.
	Limits func(*plugin.Limits)
	Host   plugin.HostFunc
	// Code is how the runtime ends the call, empty where the guest answers;
	// Says is part of the failure's message, or of the guest's error.
	Code host.Code
	Says string
	// Body is the JSON that the guest answers, or empty for any; Error is the
	// code of the error that it answers.
	Body, Error string
	// Alone says that the case would hurt a test's own process: runtimes whose
	// name is InProcess leave it out.
	Alone bool
	// Loose says that messages may differ in their figures.
	Loose bool
}

// InProcess is the name of the runtime in a test's own process.
const InProcess = "in-process"

// Agree makes the calls in each module and compares what comes of them: the
// results, the errors with their words, and what was counted. Modules are of
// the same plugin, by the names of their runtimes.
func Agree(t *testing.T, modules map[string]plugin.Module, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			ends := map[string]ending{}
			for name, m := range modules {
				if c.Alone && name == InProcess {
					continue
				}
				ends[name] = c.run(t, m)
				c.check(t, name, ends[name])
			}
			for one, a := range ends {
				for other, b := range ends {
					if one < other {
						c.compare(t, one+" and "+other, a, b, one != InProcess && other != InProcess)
					}
				}
			}
		})
	}
}

// ending is what came of one call.
type ending struct {
	outcome plugin.Outcome
	err     error
}

func (c Case) run(t *testing.T, m plugin.Module) ending {
	lim := Limits()
	lim.Timeout = 30 * time.Second
	if c.Limits != nil {
		c.Limits(&lim)
	}
	call := c.Call
	call.DeadlineMillis = lim.Timeout.Milliseconds()
	o, err := m.Call(t.Context(), plugin.Work{Call: call, Limits: lim, World: plugin.World{Host: c.Host}})
	return ending{o, err}
}

// check compares an ending with what the case wants.
func (c Case) check(t *testing.T, name string, e ending) {
	t.Helper()
	r := e.outcome.Result
	switch {
	case c.Code != "":
		if host.CodeOf(e.err) != c.Code || !strings.Contains(e.err.Error(), c.Says) {
			t.Errorf("%s: ended with %v (%s), %.200s %v; want %s with %q", name, e.err, host.CodeOf(e.err), r.Body, r.Error, c.Code, c.Says)
		}
	case e.err != nil:
		t.Errorf("%s: ended with %v (%v)", name, e.err, host.AsError(e.err).Err)
	case c.Error != "":
		if r.Error == nil || r.Error.Code != c.Error || !strings.Contains(r.Error.Message, c.Says) {
			t.Errorf("%s: answered %.200s %v, want the error %s with %q", name, r.Body, r.Error, c.Error, c.Says)
		}
	case r.Error != nil:
		t.Errorf("%s: answered the error %v", name, r.Error)
	case c.Body != "" && !sameJSON(r.Body, []byte(c.Body)):
		t.Errorf("%s: answered %.200s, want %.200s", name, r.Body, c.Body)
	}
}

// compare compares two endings of the same call, and where both count, what
// they counted.
func (c Case) compare(t *testing.T, who string, a, b ending, count bool) {
	t.Helper()
	if host.CodeOf(a.err) != host.CodeOf(b.err) {
		t.Errorf("%s: one ended with %v, the other with %v", who, a.err, b.err)
		return
	}
	if a.err != nil {
		x, y := host.AsError(a.err), host.AsError(b.err)
		if !c.Loose && (x.Message != y.Message || x.Hint != y.Hint) {
			t.Errorf("%s: one says %q (%s), the other %q (%s)", who, x.Message, x.Hint, y.Message, y.Hint)
		}
		return
	}
	x, y := a.outcome, b.outcome
	if !reflect.DeepEqual(x.Result.Error, y.Result.Error) {
		t.Errorf("%s: one answered %+v, the other %+v", who, x.Result.Error, y.Result.Error)
	}
	if !sameJSON(x.Result.Body, y.Result.Body) || !bytes.Equal(x.Result.Data, y.Result.Data) {
		t.Errorf("%s: one answered %.200s and %.50q, the other %.200s and %.50q", who, x.Result.Body, x.Result.Data, y.Result.Body, y.Result.Data)
	}
	counted := func(u plugin.Usage) [4]int64 { return [4]int64{u.Input, u.Output, u.HostCalls, u.HostBytes} }
	if count && counted(x.Usage) != counted(y.Usage) {
		t.Errorf("%s: counted input, output, host calls and host bytes %v and %v", who, counted(x.Usage), counted(y.Usage))
	}
}

func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// Conformance are the cases of the plugin in examples/conformance.
func Conformance() []Case {
	var out []Case
	for _, group := range [][]Case{talking(), asking(), exceeding(), breaking()} {
		out = append(out, group...)
	}
	return out
}

// act is a call of the conformance plugin.
func act(name string, n int, text string) v1.Call {
	body, err := json.Marshal(struct {
		Act  string `json:"act"`
		N    int    `json:"n,omitempty"`
		Text string `json:"text,omitempty"`
	}{name, n, text})
	if err != nil {
		panic(err) // cannot be: two strings and a number
	}
	return v1.Call{
		Capability: "conformance/v1", Method: "act", Tenant: "acme", Body: body, Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Caller: v1.Caller{Kind: "user", Name: "Ann", Role: "member", Ref: "user:default/ann"},
	}
}

// talking: what goes in and comes out.
func talking() []Case {
	attached := act("attach", 0, "")
	attached.Data = []byte("\x00\xffraw\n")
	stranger := act("echo", 0, "")
	stranger.Capability = "stranger/v1"
	junk := act("echo", 0, "")
	junk.Body = []byte(`"no request"`)
	return []Case{
		{Name: "Echo", Call: act("echo", 0, "hällo <&> \u2028"), Body: `"hällo <\u0026> \u2028"`},
		{Name: "LargeEcho", Call: act("echo", 0, strings.Repeat("é", 200_000))},
		{Name: "Who", Call: act("who", 0, ""), Body: `{"tenant":"acme","caller":{"Kind":"user","Name":"Ann","Role":"member","Ref":"user:default/ann"},
			"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`},
		{Name: "Data", Call: attached, Body: `"as it came"`},
		{Name: "Deadline", Call: act("deadline", 0, ""), Body: `{"known":true,"future":true,"soon":true}`},
		{Name: "ErrorWithoutCode", Call: act("error", 0, ""), Error: v1.CodeInternal, Says: "nothing more is known"},
		{Name: "ErrorWithEverything", Call: act("fail", 7, v1.CodeRateLimited), Error: v1.CodeRateLimited, Says: "as asked for"},
		{Name: "ErrorOfTheCaller", Call: act("fail", 0, v1.CodeNotFound), Error: v1.CodeNotFound},
		{Name: "Panic", Call: act("panic", 0, ""), Error: v1.CodeInternal, Says: "acts.go:"},
		{Name: "UnknownAct", Call: act("fly", 0, ""), Error: v1.CodeUnsupported, Says: `"fly"`},
		{Name: "UnknownCapability", Call: stranger, Error: v1.CodeUnsupported, Says: "stranger/v1"},
		{Name: "UnfitRequest", Call: junk, Error: v1.CodeInvalid},
	}
}

// asking: the way to host services.
func asking() []Case {
	answers := func(_ context.Context, call v1.HostCall) v1.Result {
		return v1.Result{Body: []byte(fmt.Sprintf(`{"service":%q,"method":%q,"asked":%s}`, call.Service, call.Method, call.Body)), Data: call.Data}
	}
	cases := []Case{
		{Name: "HostAnswers", Call: act("ask", 1, "raw"), Host: answers, Body: `{"service":"stage/v1","method":"do","asked":{"act":"ask","n":1,"text":"raw"}}`},
		{Name: "HostIsAbsent", Call: act("ask", 0, ""), Error: v1.CodeUnsupported, Says: "cannot be called here"},
		{Name: "HostCallsAtTheLimit", Call: act("storm", 5, ""), Host: answers, Limits: func(l *plugin.Limits) { l.HostCalls = 5 }, Body: `{"answered":5,"refused":""}`},
		{Name: "HostCallsBeyondTheLimit", Call: act("storm", 8, ""), Host: answers, Limits: func(l *plugin.Limits) { l.HostCalls = 5 }, Body: `{"answered":5,"refused":"limit"}`},
		{Name: "HostCallsWithoutEnd", Call: act("storm", 5000, ""), Host: answers, Limits: func(l *plugin.Limits) { l.HostCalls = 5 }, Code: host.CodeLimit, Says: "only 5 times", Alone: true},
		{Name: "HostBytesBeyondTheLimit", Call: act("storm", 50, "0123456789"), Host: answers, Limits: func(l *plugin.Limits) { l.HostBytes = 3000 }},
		{Name: "HostBytesOfOneAnswer", Call: act("ask", 0, ""), Limits: func(l *plugin.Limits) { l.HostBytes = 3000 }, Error: v1.CodeLimit, Says: "3000B",
			Host: func(context.Context, v1.HostCall) v1.Result { return v1.Result{Data: make([]byte, 4000)} }},
		{Name: "HostPanics", Call: act("ask", 0, ""), Error: v1.CodeInternal, Alone: true, Host: func(context.Context, v1.HostCall) v1.Result { panic("boom") }},
	}
	for _, code := range []string{v1.CodeInvalid, v1.CodeNotFound, v1.CodeForbidden, v1.CodeNotGranted, v1.CodeNotReady, v1.CodeConflict,
		v1.CodeLimit, v1.CodeRateLimited, v1.CodeTimeout, v1.CodeUpstream, v1.CodeUnauthorised, v1.CodeInternal} {
		cases = append(cases, Case{Name: "HostRefuses/" + code, Call: act("ask", 0, ""), Error: code, Says: "not today", Host: func(context.Context, v1.HostCall) v1.Result {
			return v1.Result{Error: &v1.Error{Code: code, Message: "not today", Hint: "Come back.", RetryAfterSeconds: 3}}
		}})
	}
	return cases
}

// exceeding: limits are hit at the same byte and told in the same words.
func exceeding() []Case {
	short := func(l *plugin.Limits) { l.Timeout = 300 * time.Millisecond }
	waits := func(ctx context.Context, _ v1.HostCall) v1.Result {
		<-ctx.Done()
		return v1.Result{}
	}
	const output = 3 + 5 + 2 + 1000 // head, field's head, quotes, text
	large := act("echo", 0, strings.Repeat("x", 1000))
	return []Case{
		{Name: "OutputAtTheLimit", Call: act("flood", 1000, ""), Limits: func(l *plugin.Limits) { l.Output = output }},
		{Name: "OutputBeyondTheLimit", Call: act("flood", 1000, ""), Limits: func(l *plugin.Limits) { l.Output = output - 1 }, Code: host.CodePluginOutput, Says: fmt.Sprint(output)},
		{Name: "HugeOutput", Call: act("flood", 5<<20, ""), Code: host.CodePluginOutput, Says: "1MiB"},
		{Name: "InputBeyondTheLimit", Call: large, Limits: func(l *plugin.Limits) { l.Input = 1000 }, Code: host.CodeTooLarge, Says: "1000"},
		{Name: "TimeAsleep", Call: act("doze", 0, ""), Limits: short, Code: host.CodePluginTimeout, Says: "300ms"},
		{Name: "TimeWaitingForTheHost", Call: act("ask", 0, ""), Limits: short, Host: waits, Code: host.CodePluginTimeout, Says: "300ms"},
		{Name: "TimeInALoop", Call: act("spin", 0, ""), Limits: short, Code: host.CodePluginTimeout, Says: "300ms", Alone: true},
		{Name: "Memory", Call: act("allocate", 0, ""), Limits: func(l *plugin.Limits) { l.Memory = 32 << 20 }, Code: host.CodePluginMemory, Says: "32MiB", Alone: true, Loose: true},
	}
}

// breaking: guests that end themselves, and what is not theirs.
func breaking() []Case {
	return []Case{
		{Name: "Exit", Call: act("exit", 3, ""), Code: host.CodePluginTrap, Says: "exit code 3", Alone: true},
		{Name: "PanicOfOwnGoroutine", Call: act("abort", 0, ""), Code: host.CodePluginTrap, Says: "panic: nobody catches this", Alone: true, Loose: true},
		{Name: "NoFiles", Call: act("read", 0, "/etc/passwd"), Body: `{"read":false,"bytes":0}`, Alone: true},
		{Name: "AnswersAfterAll", Call: act("echo", 0, "still here"), Body: `"still here"`},
	}
}
