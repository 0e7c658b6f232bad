package process

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/process/shim"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	v1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// The test's program is the shim, too, as callboard is.
func TestMain(m *testing.M) {
	if shim.Wanted(os.Args) {
		os.Exit(shim.Run(os.Args))
	}
	os.Exit(m.Run())
}

// conformance is the guest of these tests.
const conformance = "examples/conformance"

// request is examples/conformance/acts.Request.
type request struct {
	Act  string `json:"act"`
	N    int    `json:"n,omitempty"`
	Text string `json:"text,omitempty"`
}

// stage is a runtime with the conformance plugin.
type stage struct {
	t       testing.TB
	runtime *Runtime
	module  *module
	digest  string
}

func open(t testing.TB, set func(*Settings)) *stage {
	t.Helper()
	return openCode(t, runtimetest.Program(t, conformance), set)
}

func openCode(t testing.TB, code []byte, set func(*Settings)) *stage {
	t.Helper()
	s := Settings{Dir: filepath.Join(t.TempDir(), "programs"), Backoff: time.Millisecond, Grace: 300 * time.Millisecond}
	if set != nil {
		set(&s)
	}
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("closing the runtime: %v", err)
		}
	})
	digest := manifest.DigestOf(code)
	m, err := r.Compile(t.Context(), digest, code)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, runtime: r, module: m.(*module), digest: digest}
}

func work(tenant string, r request, lim plugin.Limits, fn plugin.HostFunc) plugin.Work {
	body, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return plugin.Work{
		Call:   v1.Call{Capability: "conformance/v1", Method: "act", Tenant: tenant, DeadlineMillis: lim.Timeout.Milliseconds(), Body: body},
		Limits: lim, World: plugin.World{Host: fn},
	}
}

// act makes a call that has to answer, and decodes the answer.
func (s *stage) act(tenant string, r request, out any) {
	s.t.Helper()
	o, err := s.module.Call(context.Background(), work(tenant, r, runtimetest.Limits(), nil))
	if err != nil || o.Result.Error != nil {
		s.t.Fatalf("%s: %v %v (%v)", r.Act, err, o.Result.Error, host.AsError(err))
	}
	if err := json.Unmarshal(o.Result.Body, out); err != nil {
		s.t.Fatalf("%s answered %s: %v", r.Act, o.Result.Body, err)
	}
}

// fails makes a call that has to fail, and returns how.
func (s *stage) fails(tenant string, r request, lim plugin.Limits) error {
	s.t.Helper()
	o, err := s.module.Call(context.Background(), work(tenant, r, lim, nil))
	if err == nil {
		s.t.Fatalf("%s answered %.200s %v", r.Act, o.Result.Body, o.Result.Error)
	}
	return err
}

func TestCall(t *testing.T) {
	s := open(t, nil)
	var got string
	s.act("acme", request{Act: "echo", Text: "hällo"}, &got)
	if got != "hällo" {
		t.Errorf("got %q", got)
	}
	begin := time.Now()
	for range 100 {
		s.act("acme", request{Act: "echo", Text: "hällo"}, &got)
	}
	t.Logf("a call takes %s; %+v", time.Since(begin)/100, s.module.Facts())
}
