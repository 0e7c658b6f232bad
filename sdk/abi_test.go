package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	binary "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
)

// binaryCall makes a call in ABI 2.
func binaryCall(t *testing.T, p *sdk.Plugin, host sdk.Host, c plugin.Call) plugin.Result {
	t.Helper()
	out := p.Call(t.Context(), host, binary.AppendCall(nil, c))
	result, err := binary.ParseResult(out)
	if err != nil {
		t.Fatalf("a call of ABI 2 is answered %q: %v", out, err)
	}
	return result
}

func TestBothABIsGetTheSameAnswers(t *testing.T) {
	p := sdk.New(offer("one", answers(map[string]int{"n": 1})), offer("two", fails(sdk.Errorf(sdk.CodeConflict, "no").WithHint("Wait.").WithRetry(false))), offer("unfit", answers(make(chan int))))
	for _, body := range []string{`"one"`, `"two"`, `"three"`, `3`, `"unfit"`} {
		c := plugin.Call{Capability: "test/v1", Method: "do", Body: json.RawMessage(body)}
		text, second := call(t, p, noHost, c), binaryCall(t, p, noHost, c)
		a, _ := json.Marshal(text)
		b, _ := json.Marshal(second)
		if string(a) != string(b) {
			t.Errorf("%s: ABI 1 answers %s, ABI 2 %s", body, a, b)
		}
	}
	t.Run("and what is broken is said in the call's own", func(t *testing.T) {
		out := p.Call(t.Context(), noHost, []byte{0xCB, 3, 1})
		result, err := binary.ParseResult(out)
		if err != nil || result.Error == nil || result.Error.Code != plugin.CodeInvalid || !strings.Contains(result.Error.Message, "ABI 3") {
			t.Errorf("got %+v, %v", result.Error, err)
		}
	})
}

func TestDataTravelsBesideTheBody(t *testing.T) {
	host := func(_ context.Context, c plugin.HostCall) plugin.Result {
		return plugin.Result{Body: json.RawMessage(`{"A":1}`), Data: append([]byte("host "), c.Data...)}
	}
	p := sdk.New(offer("one", func(ctx *sdk.Context, _ any) (any, error) {
		var out struct{ A int }
		data, err := sdk.Exchange(ctx, "x/v1", "y", nil, ctx.Data(), &out)
		return sdk.Attached{Body: out.A, Data: data}, err
	}))
	c := plugin.Call{Capability: "test/v1", Method: "do", Body: json.RawMessage(`"one"`), Data: []byte{0, 0xFF}}
	for name, got := range map[string]plugin.Result{"ABI 1": call(t, p, host, c), "ABI 2": binaryCall(t, p, host, c)} {
		if got.Error != nil || string(got.Body) != "1" || string(got.Data) != "host \x00\xff" {
			t.Errorf("%s: got %s, %q, %v", name, got.Body, got.Data, got.Error)
		}
	}
}

func TestRetry(t *testing.T) {
	tests := map[string]struct {
		err  error
		want bool
	}{
		"no error":                     {nil, false},
		"a rate limit":                 {sdk.Errorf(sdk.CodeRateLimited, "x"), true},
		"an upstream":                  {fmt.Errorf("y: %w", sdk.Errorf(sdk.CodeUpstream, "x")), true},
		"an upstream that is for good": {sdk.Errorf(sdk.CodeUpstream, "x").WithRetry(false), false},
		"a wrong credential":           {sdk.Errorf(sdk.CodeUnauthorised, "x"), false},
		"a conflict that passes":       {sdk.Errorf(sdk.CodeConflict, "x").WithRetry(true), true},
		"a deadline":                   {context.DeadlineExceeded, true},
		"a defect":                     {errors.New("x"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sdk.Retryable(tt.err); got != tt.want {
				t.Errorf("got %t", got)
			}
			if tt.err == nil {
				return
			}
			// It is the same on the other side of the wall.
			result := call(t, sdk.New(offer("one", fails(tt.err))), noHost, plugin.Call{Body: json.RawMessage(`"one"`)})
			var back error
			call(t, sdk.New(offer("one", func(ctx *sdk.Context, _ any) (any, error) {
				back = sdk.Do(ctx, "x/v1", "y", nil, nil)
				return nil, nil
			})), func(context.Context, plugin.HostCall) plugin.Result { return result }, plugin.Call{Body: json.RawMessage(`"one"`)})
			if got := sdk.Retryable(back); got != tt.want || sdk.CodeOf(back) != sdk.CodeOf(tt.err) {
				t.Errorf("behind the wall it is %v, %t", back, got)
			}
		})
	}
}

func TestWarmingUpAsksForNothing(t *testing.T) {
	handled, asked := false, 0
	p := sdk.New(route.HandleJSON("one", func(*sdk.Context, route.Request, struct{ A int }) (map[string]int, error) {
		handled = true
		return nil, nil
	}), sdk.Offer{Capability: "test/v1", Method: "do", Name: "two", Handle: answers(1),
		Decode: func(json.RawMessage) (string, any, error) { return "two", nil, nil }, Warm: func() { panic("cold") }})
	host := func(_ context.Context, c plugin.HostCall) plugin.Result {
		asked++
		return plugin.Result{Error: &plugin.Error{Code: plugin.CodeUnsupported, Message: c.Service}}
	}
	for range 3 {
		got := binaryCall(t, p, host, plugin.Call{Capability: "callboard/warmup", Method: "warmup"})
		if got.Error == nil || got.Error.Code != plugin.CodeUnsupported {
			t.Errorf("got %+v", got)
		}
	}
	if handled || asked != 3 {
		t.Errorf("a handler ran: %t; the host was asked %d times", handled, asked)
	}
}

func TestHandleJSONAnswersAsHandleDoes(t *testing.T) {
	type out struct {
		Text string `json:"text"`
	}
	p := sdk.New(
		route.HandleJSON("quick", func(_ *sdk.Context, _ route.Request, in out) (out, error) { return in, nil }),
		route.Handle("slow", func(_ *sdk.Context, r route.Request) (route.Response, error) {
			var in out
			if err := r.Decode(&in); err != nil {
				return route.Response{}, err
			}
			return route.JSON(in)
		}),
		route.HandleJSON("unfit", func(*sdk.Context, route.Request, out) (chan int, error) { return make(chan int), nil }),
	)
	ask := func(operation, body string) plugin.Result {
		c := plugin.Call{Capability: "route/v1", Method: "handle", Body: json.RawMessage(`{"operationId":"` + operation + `","method":"POST","path":"/","body":` + body + `}`)}
		return binaryCall(t, p, noHost, c)
	}
	for _, body := range []string{`{"text":"<é\u2028>"}`, `null`, `{"text":1}`} {
		a, _ := json.Marshal(ask("quick", body))
		b, _ := json.Marshal(ask("slow", body))
		if string(a) != string(b) {
			t.Errorf("%s: %s, %s", body, a, b)
		}
	}
	if got := ask("unfit", `{}`); got.Error == nil || !strings.Contains(got.Error.Message, "encoding the response") {
		t.Errorf("got %+v", got)
	}
}
