package limit

import (
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

func TestLimits(t *testing.T) {
	usual, ceiling := Defaults()
	asked := Of(manifestv1.Limits{Timeout: "45s", Memory: "128MiB", Fuel: 5e9, HostBytes: "much", Concurrency: 2})
	got := asked.Or(usual).Within(ceiling)
	if got.Timeout != ceiling.Timeout || got.Memory != 128<<20 || got.Fuel != 5e9 || got.HostBytes != usual.HostBytes || got.Concurrency != 2 || got.Input != usual.Input {
		t.Errorf("got %+v", got)
	}
	t.Run("WhatIsLargerNeedsMore", func(t *testing.T) {
		small, large := got.ForRequest(0, &ceiling), got.ForRequest(1<<20, &ceiling)
		if small.Fuel != 5e9 || large.Fuel != 5e9+1<<20*1000 || large.Memory != 128<<20+16<<20 {
			t.Errorf("%+v, %+v", small, large)
		}
		if huge := got.ForRequest(1<<40, &ceiling); huge.Fuel != ceiling.Fuel || huge.Memory != ceiling.Memory {
			t.Errorf("%+v", huge)
		}
	})
}

func TestParse(t *testing.T) {
	if l, err := Parse(manifestv1.Limits{Timeout: "2h", Memory: "99GiB", LogRate: "1KiB"}); err != nil || l.Timeout != 2*time.Hour || l.Memory != 99<<30 || l.LogRate != 1<<10 {
		t.Errorf("got %+v, %v", l, err)
	}
	for name, m := range map[string]manifestv1.Limits{"timeout": {Timeout: "-1s"}, "memory": {Memory: "much"}, "fuel": {Fuel: -1}} {
		_, err := Parse(m)
		if e := host.AsError(err); e.Code != host.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/limits/"+name {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestRate(t *testing.T) {
	var r Rate
	r.Set(100)
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	if !r.Take(now, 200) || r.Take(now, 1) {
		t.Error("it lends twice the rate at once, and no more")
	}
	if now = now.Add(500 * time.Millisecond); !r.Take(now, 50) || r.Take(now, 1) {
		t.Error("after half a second it lends half the rate")
	}
	if now = now.Add(time.Hour); r.Take(now, 201) || !r.Take(now, 200) {
		t.Error("it never saves more than twice the rate")
	}
	if r.Set(200); !r.Take(now, 200) {
		t.Error("a higher rate lends more at once")
	}
}

func TestStorm(t *testing.T) {
	for _, c := range []struct {
		limit, tried, made int64
		storm              bool
	}{{5, 5, 5, false}, {5, 1000, 5, false}, {5, 1001, 5, true}, {200, 2000, 200, false}, {200, 2001, 200, true}, {0, 1e9, 1e9, false}} {
		l := Limits{HostCalls: c.limit}
		err := l.Storm(c.tried)
		if (err != nil) != c.storm || l.Made(c.tried) != c.made {
			t.Errorf("%d of %d: %v, %d made", c.tried, c.limit, err, l.Made(c.tried))
		}
		if c.storm && (host.CodeOf(err) != host.CodeLimit || host.AsError(err).Hint == "") {
			t.Errorf("got %v", err)
		}
	}
}
