package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// kilobyte is the JSON of a string, 1 KiB in all.
func kilobyte() json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", 1022) + `"`) }

// BenchmarkHouse is what the house adds to a call: a guest that takes no time.
func BenchmarkHouse(b *testing.B) {
	s := newScripted(b, nil)
	s.board(b, "1.0.0", "")
	c, ctx := s.admin(), context.Background()
	r := plugin.Request{Plugin: "board", Capability: "schedule/v1", Method: "render", Body: kilobyte()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.house.Ask(ctx, c, r); err != nil {
			b.Fatal(err)
		}
	}
}

// median returns the middle of durations.
func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// timed returns how long something takes.
func timed(b *testing.B, do func() error) time.Duration {
	begin := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// BenchmarkFigureHostPath compares the whole way of a call through the host,
// with grants, limits, trace, ledger and a sandbox of its own, with a plain
// echo of go-plugin: both move 1 KiB there and back, turn by turn.
func BenchmarkFigureHostPath(b *testing.B) {
	s := newStage(b, nil)
	manifest := strings.Replace(fmt.Sprintf(museumYAML, "1.0.0"), "acme/museum", "acme/guest", 1)
	s.install(b, folder(b, manifest, runtimetest.Guest(b, "c")), plugin.InstallOptions{Enable: true})
	peer, c, ctx, body := runtimetest.Peer(b), s.admin(), context.Background(), kilobyte()
	ours := func() error {
		return s.house.Call(ctx, c, "guest", "view/v1", "echo", body, nil)
	}
	theirs := func() error {
		_, err := peer(ctx, body)
		return err
	}
	for range 200 {
		timed(b, ours)
		timed(b, theirs)
	}
	b.ResetTimer()
	var a, p []time.Duration
	for range 3000 {
		a, p = append(a, timed(b, ours)), append(p, timed(b, theirs))
	}
	b.StopTimer()
	b.ReportMetric(median(a).Seconds()*1e6, "us/call")
	b.ReportMetric(median(p).Seconds()*1e6, "us/peer")
	b.ReportMetric(float64(median(a))/float64(median(p)), "figure:runtime/host_path_vs_goplugin")
}

// BenchmarkFigureTenants enables a plugin that is compiled already on a
// thousand tenants, and makes the first call of each.
func BenchmarkFigureTenants(b *testing.B) {
	const tenants = 1000
	for b.Loop() {
		b.StopTimer()
		s := newScripted(b, nil)
		src := folder(b, fmt.Sprintf(scriptYAML, "1.0.0"), []byte("1.0.0"))
		var all []host.Caller
		for n := range tenants {
			t := host.Tenant{ID: host.NewTenantID(), Slug: fmt.Sprint("t", n)}
			c := host.NewCaller(t, host.Principal{Kind: host.KindUser, ID: "u", Name: "ann@example.com", Role: host.RoleAdmin})
			if _, err := s.house.Install(b.Context(), c, src, plugin.InstallOptions{AcceptAll: true}); err != nil {
				b.Fatal(err)
			}
			all = append(all, c)
		}
		b.StartTimer()
		took := timed(b, func() error {
			for _, c := range all {
				if _, err := s.house.Enable(b.Context(), c, "board"); err != nil {
					return err
				}
			}
			return nil
		})
		var first []time.Duration
		for _, c := range all {
			first = append(first, timed(b, func() error {
				return s.house.Call(b.Context(), c, "board", "view/v1", "render", 1, nil)
			}))
		}
		slices.Sort(first)
		b.ReportMetric(took.Seconds(), "figure:runtime/enable_1000_tenants")
		b.ReportMetric(first[tenants*99/100].Seconds()*1000, "figure:runtime/first_call_1000_tenants") // the 99th of a hundred
	}
}

// BenchmarkFigureReady starts a host on which 25 plugins are enabled: no code
// is loaded before somebody calls.
func BenchmarkFigureReady(b *testing.B) {
	s := newScripted(b, nil)
	for n := range 25 {
		manifest := strings.Replace(fmt.Sprintf(scriptYAML, "1.0.0"), "acme/board", fmt.Sprint("acme/board", n), 1)
		s.install(b, folder(b, manifest, fmt.Append(nil, n)), plugin.InstallOptions{AcceptAll: true, Enable: true})
	}
	eventually(b, "what was installed is loaded", func() bool { return s.script.compiles.Load() == 25 })
	const before = 25
	for b.Loop() {
		h := s.make(b, s.data)
		took := timed(b, func() error { return h.Start(b.Context()) })
		if loaded := s.script.compiles.Load() - before; loaded != 0 || len(h.Active(s.tenant.ID)) != 25 {
			b.Fatalf("%d plugins were loaded, %d are active", loaded, len(h.Active(s.tenant.ID)))
		}
		b.ReportMetric(took.Seconds()*1000, "figure:runtime/ready_25_plugins")
		b.StopTimer()
		if err := h.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
