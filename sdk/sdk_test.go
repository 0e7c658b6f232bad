package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// offer makes an offer of the test's own door, which takes the name as its
// body.
func offer(name string, h sdk.Handler) sdk.Option {
	return sdk.Offer{Capability: "test/v1", Method: "do", Name: name, Handle: h,
		Decode: func(body json.RawMessage) (string, any, error) {
			var text string
			err := json.Unmarshal(body, &text)
			return text, text, err
		}}
}

// call sends one call with the body and decodes the Result.
func call(t *testing.T, p *sdk.Plugin, host sdk.Host, c plugin.Call) plugin.Result {
	t.Helper()
	if c.ABI == 0 {
		c.ABI = plugin.ABI
	}
	if c.Capability == "" {
		c.Capability, c.Method = "test/v1", "do"
	}
	in, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw(t, p, host, in)
}

func raw(t *testing.T, p *sdk.Plugin, host sdk.Host, in []byte) plugin.Result {
	t.Helper()
	var out plugin.Result
	if err := json.Unmarshal(p.Call(t.Context(), host, in), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// noHost refuses every service.
func noHost(context.Context, plugin.HostCall) plugin.Result {
	return plugin.Result{Error: &plugin.Error{Code: plugin.CodeUnsupported, Message: "no services here"}}
}

func answers(v any) sdk.Handler {
	return func(*sdk.Context, any) (any, error) { return v, nil }
}

func fails(err error) sdk.Handler {
	return func(*sdk.Context, any) (any, error) { return nil, err }
}

func TestCallAnswers(t *testing.T) {
	p := sdk.New(offer("one", answers(map[string]int{"n": 1})), offer("two", answers("II")))
	for body, want := range map[string]string{`"one"`: `{"n":1}`, `"two"`: `"II"`} {
		got := call(t, p, noHost, plugin.Call{Body: json.RawMessage(body)})
		if got.Error != nil || string(got.Body) != want {
			t.Errorf("%s answers %s, %v; want %s", body, got.Body, got.Error, want)
		}
	}
}

func TestCallRefuses(t *testing.T) {
	p := sdk.New(offer("one", answers(1)), offer("unfit", answers(make(chan int))))
	tests := map[string]struct {
		plugin *sdk.Plugin
		in     string
		code   string
		words  string
	}{
		"what is not JSON":         {p, "hello", plugin.CodeInvalid, "decoding the call"},
		"another ABI":              {p, `{"abi":9}`, plugin.CodeUnsupported, "speaks ABI 9"},
		"an unknown capability":    {p, `{"abi":1,"capability":"cost/v1","method":"list"}`, plugin.CodeUnsupported, "does not offer cost/v1 list"},
		"an unknown method":        {p, `{"abi":1,"capability":"test/v1","method":"undo"}`, plugin.CodeUnsupported, "does not offer test/v1 undo"},
		"an offer that is not":     {p, `{"abi":1,"capability":"test/v1","method":"do","body":"three"}`, plugin.CodeUnsupported, `"three"`},
		"a body that does not fit": {p, `{"abi":1,"capability":"test/v1","method":"do","body":3}`, plugin.CodeInvalid, "decoding a test/v1 request"},
		"an answer without JSON":   {p, `{"abi":1,"capability":"test/v1","method":"do","body":"unfit"}`, plugin.CodeInternal, "encoding the answer"},
		"a name that is there twice": {sdk.New(offer("one", answers(1)), offer("one", answers(2))),
			`{"abi":1,"capability":"test/v1","method":"do","body":"one"}`, plugin.CodeInternal, "offered twice"},
		"an offer without a name": {sdk.New(offer("", answers(1))),
			`{"abi":1,"capability":"test/v1","method":"do","body":"one"}`, plugin.CodeInternal, "has no name"},
		"an offer without a handler": {sdk.New(offer("one", nil)),
			`{"abi":1,"capability":"test/v1","method":"do","body":"one"}`, plugin.CodeInternal, "has no handler"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := raw(t, tt.plugin, noHost, []byte(tt.in))
			if got.Error == nil || got.Error.Code != tt.code || !strings.Contains(got.Error.Message, tt.words) {
				t.Errorf("got %s, %+v; want %s with %q", got.Body, got.Error, tt.code, tt.words)
			}
		})
	}
}

func TestErrorReachesTheCaller(t *testing.T) {
	inner := sdk.Errorf(sdk.CodeRateLimited, "asked too often").WithHint("Wait.").WithRetryAfter(1500 * time.Millisecond)
	tests := map[string]struct {
		err  error
		want plugin.Error
	}{
		"with code, hint and time":  {inner, plugin.Error{Code: "rate-limited", Message: "asked too often", Hint: "Wait.", RetryAfterSeconds: 2}},
		"wrapped, under its words":  {fmt.Errorf("reading runs: %w", inner), plugin.Error{Code: "rate-limited", Message: "reading runs: asked too often", Hint: "Wait.", RetryAfterSeconds: 2}},
		"as a defect if it is none": {errors.New("oh"), plugin.Error{Code: "internal", Message: "oh"}},
		"as a timeout":              {fmt.Errorf("waiting: %w", context.DeadlineExceeded), plugin.Error{Code: "timeout", Message: "waiting: context deadline exceeded"}},
		"with words if it has none": {&sdk.Error{Code: sdk.CodeConflict}, plugin.Error{Code: "conflict", Message: "the plugin failed without saying why"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := call(t, sdk.New(offer("one", fails(tt.err))), noHost, plugin.Call{Body: json.RawMessage(`"one"`)})
			if got.Error == nil || *got.Error != tt.want {
				t.Errorf("got %+v, want %+v", got.Error, tt.want)
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	cause := errors.New("cause")
	e := sdk.Errorf(sdk.CodeUpstream, "asking: %w", cause)
	if sdk.CodeOf(nil) != "" || sdk.CodeOf(cause) != sdk.CodeInternal || sdk.CodeOf(fmt.Errorf("more: %w", e)) != sdk.CodeUpstream {
		t.Error("a code is wrong")
	}
	if !errors.Is(e, cause) {
		t.Error("the cause is lost")
	}
}

func TestPanicBecomesAnErrorWithItsPlace(t *testing.T) {
	var logged plugin.HostCall
	host := func(_ context.Context, c plugin.HostCall) plugin.Result { logged = c; return plugin.Result{} }
	tests := map[string]struct {
		handler sdk.Handler
		words   string
	}{
		"of a value":  {func(*sdk.Context, any) (any, error) { panic("ouch") }, "ouch"},
		"of an index": {func(*sdk.Context, any) (any, error) { return []int{}[len(t.Name())], nil }, "index out of range"},
		"of a nil":    {func(*sdk.Context, any) (any, error) { var c *sdk.Context; return c.Tenant(), nil }, "nil pointer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := call(t, sdk.New(offer("one", tt.handler)), host, plugin.Call{Body: json.RawMessage(`"one"`)})
			if got.Error == nil || got.Error.Code != plugin.CodeInternal || !strings.Contains(got.Error.Message, tt.words) {
				t.Fatalf("got %+v", got.Error)
			}
			if !strings.Contains(got.Error.Message, "sdk_test.go:") && !strings.Contains(got.Error.Message, "context.go:") {
				t.Errorf("%q does not say where", got.Error.Message)
			}
			if logged.Service != "log/v1" || !strings.Contains(string(logged.Body), "sdk_test.go") {
				t.Errorf("logged %s %s, want the stack", logged.Service, logged.Body)
			}
		})
	}
}

func TestContext(t *testing.T) {
	ask := func(c plugin.Call, look func(*sdk.Context) error) plugin.Result {
		c.Body = json.RawMessage(`"one"`)
		return call(t, sdk.New(offer("one", func(ctx *sdk.Context, _ any) (any, error) { return nil, look(ctx) })), noHost, c)
	}
	t.Run("says who asks and for whom", func(t *testing.T) {
		c := plugin.Call{Tenant: "acme", Traceparent: "00-aa-bb-01", Caller: plugin.Caller{Kind: "user", Name: "ann", Role: "viewer", Ref: "user:default/ann"}}
		got := ask(c, func(ctx *sdk.Context) error {
			if ctx.Tenant() != "acme" || ctx.Traceparent() != "00-aa-bb-01" || ctx.Caller() != (sdk.Caller{Kind: "user", Name: "ann", Role: "viewer", Ref: "user:default/ann"}) {
				return fmt.Errorf("%v %v %v", ctx.Tenant(), ctx.Traceparent(), ctx.Caller())
			}
			return nil
		})
		if got.Error != nil {
			t.Error(got.Error)
		}
	})
	t.Run("tells its deadline", func(t *testing.T) {
		got := ask(plugin.Call{DeadlineMillis: 60_000}, func(ctx *sdk.Context) error {
			d, ok := ctx.Deadline()
			if left := time.Until(d); !ok || left < 50*time.Second || left > 61*time.Second || ctx.Err() != nil {
				return fmt.Errorf("%v %v %v", d, ok, ctx.Err())
			}
			return nil
		})
		if got.Error != nil {
			t.Error(got.Error)
		}
	})
	t.Run("refuses host calls after its deadline", func(t *testing.T) {
		got := ask(plugin.Call{DeadlineMillis: 1}, func(ctx *sdk.Context) error {
			for ctx.Err() == nil { // at most a millisecond
			}
			return sdk.Do(ctx, "kv/v1", "get", nil, nil)
		})
		if got.Error == nil || got.Error.Code != plugin.CodeTimeout {
			t.Errorf("got %+v", got.Error)
		}
	})
	t.Run("takes over the parent's end", func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		cancel()
		p := sdk.New(offer("one", func(ctx *sdk.Context, _ any) (any, error) { return nil, ctx.Err() }))
		out := string(p.Call(parent, noHost, []byte(`{"abi":1,"capability":"test/v1","method":"do","body":"one"}`)))
		if !strings.Contains(out, "context canceled") {
			t.Errorf("got %s", out)
		}
	})
}

func TestDo(t *testing.T) {
	type pair struct{ A, B int }
	tests := map[string]struct {
		result plugin.Result
		in     any
		code   sdk.Code
		want   pair
	}{
		"decodes the answer":        {plugin.Result{Body: json.RawMessage(`{"A":1,"B":2}`)}, pair{1, 2}, "", pair{1, 2}},
		"accepts an empty answer":   {plugin.Result{}, nil, "", pair{}},
		"gives the host's refusal":  {plugin.Result{Error: &plugin.Error{Code: "limit", Message: "full"}}, nil, sdk.CodeLimit, pair{}},
		"takes unknown codes down":  {plugin.Result{Error: &plugin.Error{Code: "new", Message: "?"}}, nil, sdk.CodeInternal, pair{}},
		"refuses an unfit answer":   {plugin.Result{Body: json.RawMessage(`[]`)}, nil, sdk.CodeInternal, pair{}},
		"refuses an unfit question": {plugin.Result{}, make(chan int), sdk.CodeInternal, pair{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := sdk.New(offer("one", func(ctx *sdk.Context, _ any) (any, error) {
				var got pair
				derived, cancel := context.WithCancel(ctx)
				defer cancel()
				if err := sdk.Do(derived, "x/v1", "y", tt.in, &got); sdk.CodeOf(err) != tt.code {
					return nil, fmt.Errorf("got the error %v, want %q", err, tt.code)
				}
				if got != tt.want {
					return nil, fmt.Errorf("got %v, want %v", got, tt.want)
				}
				return nil, nil
			}))
			host := func(context.Context, plugin.HostCall) plugin.Result { return tt.result }
			if got := call(t, p, host, plugin.Call{Body: json.RawMessage(`"one"`)}); got.Error != nil {
				t.Error(got.Error)
			}
		})
	}
	t.Run("refuses a context of no call", func(t *testing.T) {
		if err := sdk.Do(t.Context(), "x/v1", "y", nil, nil); sdk.CodeOf(err) != sdk.CodeInternal {
			t.Errorf("got %v", err)
		}
	})
}

func TestOffersNamesThemInOrder(t *testing.T) {
	got := fmt.Sprint(sdk.New(offer("b", answers(1)), offer("a", answers(1))).Offers())
	if want := "[{test/v1 b} {test/v1 a}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
