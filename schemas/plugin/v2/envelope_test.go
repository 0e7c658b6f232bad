package plugin_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	v2 "github.com/callboard-dev/callboard/schemas/plugin/v2"
)

func yes(v bool) *bool { return &v }

// samples are messages with every field, and with none.
func samples() map[string]any {
	return map[string]any{
		"call": v1.Call{ABI: 2, Capability: "route/v1", Method: "handle", Tenant: "acme",
			Caller:      v1.Caller{Kind: "user", Name: "Ann", Role: "member", Ref: "user:default/ann"},
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", DeadlineMillis: 1500,
			Body: json.RawMessage(`{"operationId":"greet"}`), Data: []byte{0, 1, 254, 255}},
		"call-empty":   v1.Call{ABI: 2},
		"result":       v1.Result{Body: json.RawMessage(`{"text":"Grüße"}`), Data: []byte{0xCB}},
		"result-empty": v1.Result{},
		"result-error": v1.Result{Error: &v1.Error{Code: "rate-limited", Message: "asked too often", Hint: "Wait.", RetryAfterSeconds: 30, Retryable: yes(true)}},
		"result-bare":  v1.Result{Error: &v1.Error{}},
		"hostcall":     v1.HostCall{Service: "kv/v1", Method: "get", Body: json.RawMessage(`{"key":"a"}`), Data: []byte("raw")},
	}
}

func write(m any) []byte {
	switch m := m.(type) {
	case v1.Call:
		return v2.AppendCall(nil, m)
	case v1.Result:
		return v2.AppendResult(nil, m)
	default:
		return v2.AppendHostCall(nil, m.(v1.HostCall))
	}
}

func read(like any, b []byte) (any, error) {
	switch like.(type) {
	case v1.Call:
		return v2.ParseCall(b)
	case v1.Result:
		return v2.ParseResult(b)
	default:
		return v2.ParseHostCall(b)
	}
}

// TestGolden keeps the bytes for ever: testdata holds, for each message, its
// bytes in hexadecimal.
func TestGolden(t *testing.T) {
	for name, m := range samples() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".hex")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := hex.DecodeString(strings.Join(strings.Fields(string(raw)), ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := write(m); !bytes.Equal(got, want) {
				t.Errorf("%s: wrote\n%x, want\n%x", file, got, want)
			}
			got, err := read(m, want)
			if err != nil || !reflect.DeepEqual(got, m) {
				t.Errorf("%s: read %+v, %v; want %+v", file, got, err, m)
			}
		})
	}
}

// TestTheDocsShowTheGoldenBytes keeps docs/plugin-abi.md right.
func TestTheDocsShowTheGoldenBytes(t *testing.T) {
	page, err := os.ReadFile("../../../docs/plugin-abi.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```text title=\"([a-z-]+)\"\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(shown) < 4 {
		t.Fatalf("the page shows %d messages", len(shown))
	}
	for _, m := range shown {
		sample, ok := samples()[m[1]]
		if got := hex.EncodeToString(write(sample)); !ok || got != strings.Join(strings.Fields(m[2]), "") {
			t.Errorf("%s is %s", m[1], got)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	for name, m := range samples() {
		longer := append(write(m), 200, 3, 0, 0, 0, 'n', 'e', 'w')
		if got, err := read(m, longer); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: read %+v, %v", name, got, err)
		}
	}
	inner := []byte{0xCB, 2, 2, 3, 13, 0, 0, 0, 1, 1, 0, 0, 0, 'x', 99, 2, 0, 0, 0, 1, 2}
	if got, err := v2.ParseResult(inner); err != nil || got.Error == nil || got.Error.Code != "x" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	var version *v2.VersionError
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"nothing":                          {nil, v2.ErrNoMessage},
		"JSON":                             {[]byte(`{"body":1}`), v2.ErrNoMessage},
		"another kind":                     {[]byte{0xCB, 2, 1}, v2.ErrNoMessage},
		"half a head of a field":           {[]byte{0xCB, 2, 2, 1, 0}, v2.ErrCut},
		"a field longer than the message":  {[]byte{0xCB, 2, 2, 1, 2, 0, 0, 0, 'x'}, v2.ErrCut},
		"a length of 4 GiB":                {[]byte{0xCB, 2, 2, 1, 255, 255, 255, 255, 'x'}, v2.ErrCut},
		"a tag twice":                      {[]byte{0xCB, 2, 2, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}, v2.ErrOrder},
		"tags that descend":                {[]byte{0xCB, 2, 2, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0}, v2.ErrOrder},
		"the tag 0":                        {[]byte{0xCB, 2, 2, 0, 0, 0, 0, 0}, v2.ErrOrder},
		"a text that is not UTF-8":         {[]byte{0xCB, 2, 2, 3, 6, 0, 0, 0, 1, 1, 0, 0, 0, 0xFF}, v2.ErrValue},
		"a number of four bytes":           {[]byte{0xCB, 2, 2, 3, 9, 0, 0, 0, 4, 4, 0, 0, 0, 1, 2, 3, 4}, v2.ErrValue},
		"seconds beyond all measure":       {[]byte{0xCB, 2, 2, 3, 13, 0, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, v2.ErrValue},
		"a truth value of 2":               {[]byte{0xCB, 2, 2, 3, 6, 0, 0, 0, 5, 1, 0, 0, 0, 2}, v2.ErrValue},
		"an error that ends inside itself": {[]byte{0xCB, 2, 2, 3, 1, 0, 0, 0, 5}, v2.ErrCut},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := v2.ParseResult(tt.in); !errors.Is(err, tt.want) || !reflect.DeepEqual(got, v1.Result{}) {
				t.Errorf("got %+v, %v; want %v", got, err, tt.want)
			}
		})
	}
	t.Run("a version that is not read", func(t *testing.T) {
		_, err := v2.ParseResult([]byte{0xCB, 3, 2})
		if !errors.As(err, &version) || version.Version != 3 || !strings.Contains(err.Error(), "ABI 3") {
			t.Errorf("got %v", err)
		}
	})
}

func TestIs(t *testing.T) {
	if v2.Is(nil) || v2.Is([]byte(`{}`)) || !v2.Is([]byte{0xCB, 3, 9}) {
		t.Error("a message is taken for what it is not")
	}
}

func TestWritingCostsNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 1<<10)
	c := samples()["call"].(v1.Call)
	r := samples()["result"].(v1.Result)
	message := v2.AppendResult(nil, r)
	for name, f := range map[string]func(){
		"a call":            func() { buf = v2.AppendCall(buf[:0], c) },
		"a result":          func() { buf = v2.AppendResult(buf[:0], r) },
		"a result, reading": func() { _, _ = v2.ParseResult(message) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s costs %v allocations", name, n)
		}
	}
}

// FuzzParse: whatever is read is written as it was understood, and nothing
// panics or reads beyond its message.
func FuzzParse(f *testing.F) {
	for _, m := range samples() {
		f.Add(write(m))
	}
	f.Add([]byte{0xCB, 2, 2, 3, 13, 0, 0, 0, 1, 1, 0, 0, 0, 'x', 99, 2, 0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, like := range []any{v1.Call{}, v1.Result{}, v1.HostCall{}} {
			m, err := read(like, in)
			if err != nil {
				if !reflect.ValueOf(m).IsZero() {
					t.Errorf("an error with %+v", m)
				}
				continue
			}
			again, err := read(like, write(m))
			if err != nil || !reflect.DeepEqual(normal(again), normal(m)) {
				t.Errorf("%+v becomes %+v (%v)", m, again, err)
			}
		}
	})
}

// normal makes empty parts nil: they are left out when written.
func normal(m any) string {
	b, err := json.Marshal(m)
	if err != nil { // a body that is no JSON
		return string(write(m))
	}
	return string(b)
}
