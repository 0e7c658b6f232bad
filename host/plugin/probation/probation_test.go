package probation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// release is an instance on a release; the first has none before it.
func release(digest string) *plugin.Instance {
	in := &plugin.Instance{ID: "i", Name: "acme/board", Version: digest, Digest: digest}
	if digest != "1" {
		in.Previous = "1"
	}
	return in
}

// deed is so many calls on a release, of which so many fail.
type deed struct {
	digest       string
	good, failed int
	err          error // how they fail; a trap if nil
	later        time.Duration
}

func TestWatch(t *testing.T) {
	cases := []struct {
		name  string
		deeds []deed
		rolls bool
	}{
		{"AGoodReleaseStays", []deed{{digest: "1", good: 50}, {digest: "2", good: 500, failed: 10}}, false},
		{"ABadReleaseGoes", []deed{{digest: "1", good: 50}, {digest: "2", good: 17, failed: 5}}, true},
		{"OneThatOnlyFailsGoesSooner", []deed{{digest: "1", good: 50}, {digest: "2", failed: 10}}, true},
		{"AFewFailuresAreNotEnough", []deed{{digest: "1", good: 50}, {digest: "2", failed: 9}}, false},
		{"OneNoWorseThanBeforeStays", []deed{{digest: "1", good: 50, failed: 30}, {digest: "2", good: 50, failed: 30}}, false},
		{"TheFirstReleaseIsNotWatched", []deed{{digest: "1", failed: 50}}, false},
		{"AfterProbationItStays", []deed{{digest: "1", good: 50}, {digest: "2", good: 1}, {digest: "2", failed: 50, later: time.Hour}}, false},
		{"WhatIsNotItsFaultDoesNotCount", []deed{{digest: "1", good: 50}, {digest: "2", failed: 50, err: host.Errorf(host.CodeUpstream, "down")}}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			rolled := make(chan string, 10)
			w := New(Settings{Now: func() time.Time { return now }, Rollback: func(_ context.Context, in plugin.Instance, reason string) {
				rolled <- in.Version + ": " + reason
			}})
			for _, d := range c.deeds {
				now = now.Add(d.later)
				in := release(d.digest)
				if d.err == nil {
					d.err = host.Errorf(host.CodePluginTrap, "boom")
				}
				for range d.good {
					w.Begin(t.Context(), host.Caller{}, in, nil)(plugin.Outcome{}, nil)
				}
				for range d.failed {
					w.Begin(t.Context(), host.Caller{}, in, nil)(plugin.Outcome{}, d.err)
				}
			}
			if c.rolls {
				select {
				case reason := <-rolled:
					if !strings.HasPrefix(reason, "2: ") || !strings.Contains(reason, "budget") {
						t.Errorf("got %q", reason)
					}
				case <-time.After(time.Minute):
					t.Fatal("the release was not taken back")
				}
			}
			if len(rolled) > 0 {
				t.Errorf("taken back: %s", <-rolled)
			}
		})
	}
}

func TestBlame(t *testing.T) {
	answered := func(code string) plugin.Outcome {
		return plugin.Outcome{Result: pluginv1.Result{Error: &pluginv1.Error{Code: code}}}
	}
	for name, c := range map[string]struct {
		o    plugin.Outcome
		err  error
		want bool
	}{
		"Answered":         {plugin.Outcome{}, nil, false},
		"SaysInvalid":      {answered(pluginv1.CodeInvalid), nil, false},
		"SaysInternal":     {answered(pluginv1.CodeInternal), nil, true},
		"OutOfFuel":        {plugin.Outcome{}, host.Errorf(host.CodePluginFuel, "x"), true},
		"TheHostIsBusy":    {plugin.Outcome{}, host.Errorf(host.CodeUnavailable, "x"), false},
		"SecretIsMissing":  {plugin.Outcome{}, host.Errorf(host.CodePluginNotReady, "x"), false},
		"TheQuotaIsUsedUp": {plugin.Outcome{}, host.Errorf(host.CodeQuota, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := blamed(c.o, c.err); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
