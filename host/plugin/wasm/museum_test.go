package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// visit is one call of an exhibit, with the host calls that it makes and what
// they are answered, in their order, and with what it answers itself.
type visit struct {
	Name string          `json:"name"`
	Call pluginv1.Call   `json:"call"`
	Host []exchanged     `json:"host"`
	Want pluginv1.Result `json:"want"`
}

type exchanged struct {
	Call   pluginv1.HostCall `json:"call"`
	Answer pluginv1.Result   `json:"answer"`
}

// TestMuseum runs a guest of each released SDK, as it was built then, on every
// path: what a host once answered it answers for ever. An exhibit is a folder
// testdata/museum/vX.Y.Z with the guest, its source and its visits; it is never
// changed. A release of the SDK adds one.
func TestMuseum(t *testing.T) {
	exhibits, err := filepath.Glob("../testdata/museum/v*")
	if err != nil || len(exhibits) == 0 {
		t.Fatalf("the museum is empty (%v)", err)
	}
	for _, dir := range exhibits {
		code, visits := exhibit(t, dir)
		for _, path := range paths() {
			t.Run(filepath.Base(dir)+"/"+path, func(t *testing.T) {
				m, err := open(t, path).Compile(t.Context(), manifest.DigestOf(code), code)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := m.Close(context.Background()); err != nil {
						t.Error(err)
					}
				}()
				for _, v := range visits {
					t.Run(v.Name, func(t *testing.T) { v.make(t, m) })
				}
			})
		}
	}
}

// exhibit reads a folder of the museum.
func exhibit(t *testing.T, dir string) (code []byte, visits []visit) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "plugin.wasm.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if code, err = io.ReadAll(packed); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "visits.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &visits); err != nil || len(visits) == 0 {
		t.Fatalf("%s has no visits: %v", dir, err)
	}
	return code, visits
}

// make makes the call and compares all that the guest says.
func (v visit) make(t *testing.T, m plugin.Module) {
	n := 0
	w := plugin.Work{Call: v.Call, Limits: runtimetest.Limits()}
	w.World.Host = func(_ context.Context, c pluginv1.HostCall) pluginv1.Result {
		if n >= len(v.Host) {
			t.Errorf("the guest calls %s %s %s, more than it did", c.Service, c.Method, c.Body)
			return pluginv1.Result{}
		}
		want := v.Host[n]
		n++
		if got, asked := text(c), text(want.Call); got != asked {
			t.Errorf("host call %d is\n%s, want\n%s", n, got, asked)
		}
		return want.Answer
	}
	o, err := m.Call(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if n != len(v.Host) {
		t.Errorf("the guest made %d host calls, want %d", n, len(v.Host))
	}
	if got, want := text(o.Result), text(v.Want); got != want {
		t.Errorf("the guest answers\n%s, want\n%s", got, want)
	}
}

// text is a message as JSON without white space.
func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err.Error()
	}
	return b.String()
}
