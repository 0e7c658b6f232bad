package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	pluginv2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

func TestDecodeResult(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for name, c := range map[string]struct {
		abi    int
		answer string
		body   string // empty: it is refused
	}{
		"JSON":              {1, `{"body":{"a":1}}`, `{"a":1}`},
		"JSONOfABI2Guest":   {2, `{"body":1}`, `1`},
		"Binary":            {2, string(pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage(`2`)})), `2`},
		"BinaryOfABI1Guest": {1, string(pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage(`2`)})), ""},
		"Nothing":           {1, ``, ""},
		"NothingOfABI2":     {2, ``, ""},
		"Junk":              {1, `junk`, ""},
		"Two":               {1, `{"body":1}{"body":2}`, ""},
		"TwoWithAComma":     {1, `{"body":1},`, ""},
		"UnknownField":      {1, `{"body":1,"shell":"sh"}`, ""},
		"NoUTF8":            {1, "{\"body\":\"\xff\"}", ""},
		"Deep":              {1, `{"body":` + deep + `}`, ""},
		"BinaryCut":         {2, string(pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage(`2222`)}))[:8], ""},
		"BinaryNoJSON":      {2, string(pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage(`{`)})), ""},
		"BinaryNoUTF8":      {2, string(pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage("\"\xff\"")})), ""},
		"BinaryCall":        {2, string(pluginv2.AppendCall(nil, pluginv1.Call{})), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := decodeResult(c.abi, []byte(c.answer))
			if (c.body == "") != (host.CodeOf(err) == host.CodePluginOutput) || string(r.Body) != c.body {
				t.Errorf("got %s, %v", r.Body, err)
			}
		})
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(1, []byte(`{"body":1}`))
	f.Add(2, pluginv2.AppendResult(nil, pluginv1.Result{Body: json.RawMessage(`2`), Data: []byte("x")}))
	f.Fuzz(func(t *testing.T, abi int, answer []byte) {
		r, err := decodeResult(abi, answer)
		if err != nil && host.CodeOf(err) != host.CodePluginOutput {
			t.Errorf("not explained: %v", err)
		}
		if len(r.Body) > 0 && !json.Valid(r.Body) {
			t.Errorf("the body %q is not JSON", r.Body)
		}
	})
}

func FuzzHostCall(f *testing.F) {
	f.Add([]byte(`{"service":"a/v1","method":"m","body":1}`))
	f.Add(pluginv2.AppendHostCall(nil, pluginv1.HostCall{Service: "a/v1", Body: json.RawMessage(`1`)}))
	f.Fuzz(func(t *testing.T, request []byte) {
		x := exchange{limits: &plugin.Limits{HostCalls: 10, HostBytes: 1 << 20}, host: func(_ context.Context, c pluginv1.HostCall) pluginv1.Result {
			if len(c.Body) > 0 && !json.Valid(c.Body) {
				t.Errorf("the body %q is not JSON", c.Body)
			}
			return pluginv1.Result{Body: json.RawMessage(`1`)}
		}}
		before := bytes.Clone(request)
		answer := x.answer(context.Background(), request)
		if _, err := readResult(answer); err != nil || !bytes.Equal(before, request) || x.calls != 1 {
			t.Errorf("answered %q, %v", answer, err)
		}
	})
}

// readResult reads an answer in the envelope that it has.
func readResult(b []byte) (r pluginv1.Result, err error) {
	if pluginv2.Is(b) {
		return pluginv2.ParseResult(b)
	}
	err = json.Unmarshal(b, &r)
	return r, err
}

func TestHostCalls(t *testing.T) {
	ok := func(context.Context, pluginv1.HostCall) pluginv1.Result {
		return pluginv1.Result{Body: json.RawMessage(`"1234567890"`), Data: []byte("data")}
	}
	one, two := []byte(`{"service":"a/v1"}`), pluginv2.AppendHostCall(nil, pluginv1.HostCall{Service: "a/v1", Data: []byte("x")})
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		host    plugin.HostFunc
		limits  plugin.Limits
		request []byte
		times   int
		ctx     context.Context
		code    string
	}{
		"JSON":          {host: ok, request: one},
		"Binary":        {host: ok, request: two},
		"Nobody":        {request: one, code: pluginv1.CodeUnsupported},
		"Nothing":       {host: ok, code: pluginv1.CodeInvalid},
		"Junk":          {host: ok, request: []byte("{"), code: pluginv1.CodeInvalid},
		"BinaryJunk":    {host: ok, request: two[:5], code: pluginv1.CodeInvalid},
		"TooLarge":      {host: ok, request: make([]byte, maxHostCall+1), code: pluginv1.CodeInvalid},
		"TooMany":       {host: ok, request: two, limits: plugin.Limits{HostCalls: 3}, times: 4, code: pluginv1.CodeLimit},
		"AnswerTooLong": {host: ok, request: one, limits: plugin.Limits{HostBytes: 30}, code: pluginv1.CodeLimit},
		"TooMuch":       {host: ok, request: one, limits: plugin.Limits{HostBytes: 10}, code: pluginv1.CodeLimit},
		"TimeIsOver":    {host: ok, request: one, ctx: over, code: pluginv1.CodeTimeout},
		"Panic":         {host: func(context.Context, pluginv1.HostCall) pluginv1.Result { panic("boom") }, request: one, code: pluginv1.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			x := exchange{host: c.host, limits: &c.limits}
			if c.ctx == nil {
				c.ctx = context.Background()
			}
			var answer []byte
			for range max(1, c.times) {
				answer = x.answer(c.ctx, c.request)
			}
			r, err := readResult(answer)
			if err != nil || pluginv2.Is(answer) != pluginv2.Is(c.request) {
				t.Fatalf("got %q, %v", answer, err)
			}
			if c.code == "" && (r.Error != nil || string(r.Data) != "data") || c.code != "" && (r.Error == nil || r.Error.Code != c.code) {
				t.Errorf("got %q", answer)
			}
			if x.bytes == 0 || x.calls == 0 {
				t.Errorf("counted %d calls and %d bytes", x.calls, x.bytes)
			}
		})
	}
}

// speaking builds a guest that says which ABI it speaks and answers with its
// input.
func speaking(abi int32) []byte {
	b := &runtimetest.Assembly{}
	length := b.Import("extism:host/env", "input_length", none, long)
	offset := b.Import("extism:host/env", "input_offset", none, long)
	output := b.Import("extism:host/env", "output_set", two, none)
	b.Memory(1, 0)
	b.Export(pluginv2.ExportABI, b.Function(none, word, none, runtimetest.Int32(abi)))
	b.Export(pluginv1.ExportCall, b.Function(none, word, none, runtimetest.Call(offset), runtimetest.Call(length), runtimetest.Call(output), zero))
	return b.Bytes()
}

// TestABI: host and guest agree on the highest ABI that both speak.
func TestABI(t *testing.T) {
	for _, path := range paths() {
		r := open(t, path)
		for says, want := range map[int32]int{-1: 1, 1: 1, 2: 2, 3: 2, 99: 2} {
			if got := compile(t, r, speaking(says)).Facts().ABI; got != want {
				t.Errorf("%s: a guest of ABI %d is spoken to in %d", path, says, got)
			}
		}
		code := speaking(0)
		if _, err := r.Compile(t.Context(), digestOf(code), code); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%s: a guest of no ABI gave %v", path, err)
		}
		// The input of ABI 2 is a call of it: as an answer it is refused.
		m := compile(t, r, speaking(2))
		if _, err := m.Call(t.Context(), work("x")); host.CodeOf(err) != host.CodePluginOutput || !strings.Contains(err.Error(), "ABI 2") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
