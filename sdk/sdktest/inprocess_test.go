package sdktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	binary "github.com/callboard-dev/callboard/schemas/plugin/v2"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/schedule"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// inProcess makes one call within limits, in the binary envelope.
func inProcess(t *testing.T, l sdktest.Limits, services sdk.Host, h sdk.Handler) plugin.Result {
	t.Helper()
	p := sdk.New(sdk.Offer{Capability: "test/v1", Method: "do", Name: "it", Handle: h,
		Decode: func(json.RawMessage) (string, any, error) { return "it", nil, nil }})
	in := binary.AppendCall(nil, plugin.Call{Capability: "test/v1", Method: "do", Body: []byte(`"` + strings.Repeat("x", 100) + `"`)})
	r, err := binary.ParseResult(sdktest.InProcess(p, l)(t.Context(), services, in))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInProcessKeepsTheLimits(t *testing.T) {
	echo := func(_ context.Context, c plugin.HostCall) plugin.Result { return plugin.Result{Data: c.Data} }
	says := func(text string) sdk.Handler { return func(*sdk.Context, any) (any, error) { return text, nil } }
	asks := func(times, bytes int) sdk.Handler {
		return func(ctx *sdk.Context, _ any) (any, error) {
			for range times {
				if _, err := sdk.Exchange(ctx, "a/v1", "b", nil, make([]byte, bytes), nil); err != nil {
					return nil, err
				}
			}
			return "all", nil
		}
	}
	for name, tt := range map[string]struct {
		limits   sdktest.Limits
		services sdk.Host
		handler  sdk.Handler
		code     string
		words    string
	}{
		"none":                {sdktest.Limits{}, nil, says("hi"), "", ""},
		"input":               {sdktest.Limits{Input: 100}, nil, says("hi"), plugin.CodeLimit, "takes at most 100"},
		"output":              {sdktest.Limits{Output: 1 << 10}, nil, says(strings.Repeat("x", 2000)), plugin.CodeLimit, "the limit is 1KiB"},
		"enough output":       {sdktest.Limits{Output: 1 << 10}, nil, says("hi"), "", ""},
		"host calls":          {sdktest.Limits{HostCalls: 3}, echo, asks(4, 0), plugin.CodeLimit, "at most 3 calls"},
		"enough host calls":   {sdktest.Limits{HostCalls: 4}, echo, asks(4, 0), "", ""},
		"host bytes out":      {sdktest.Limits{HostBytes: 1 << 20}, echo, asks(1, 2<<20), plugin.CodeLimit, "at most 1MiB"},
		"host bytes and back": {sdktest.Limits{HostBytes: 1500}, echo, asks(1, 1000), plugin.CodeLimit, "at most 1500B"},
		"no services":         {sdktest.Limits{}, nil, asks(1, 0), plugin.CodeUnsupported, "cannot be called here"},
		"time": {sdktest.Limits{Timeout: 20 * time.Millisecond}, nil, func(ctx *sdk.Context, _ any) (any, error) {
			<-ctx.Done()
			return "too late", nil
		}, plugin.CodeTimeout, "longer than 20ms"},
		"time of one who does not listen": {sdktest.Limits{Timeout: 20 * time.Millisecond}, nil, func(*sdk.Context, any) (any, error) {
			<-t.Context().Done() // the end of the test
			return "much too late", nil
		}, plugin.CodeTimeout, "longer than 20ms"},
	} {
		t.Run(name, func(t *testing.T) {
			r := inProcess(t, tt.limits, tt.services, tt.handler)
			if tt.code == "" && r.Error != nil || tt.code != "" && (r.Error == nil || r.Error.Code != tt.code || !strings.Contains(r.Error.Message, tt.words)) {
				t.Errorf("got %s %+v, want %q with %q", r.Body, r.Error, tt.code, tt.words)
			}
		})
	}
}

func TestInProcessAnswersInTheEnvelopeOfTheCall(t *testing.T) {
	guest := sdktest.InProcess(sdk.New(), sdktest.Limits{Input: 1})
	var r plugin.Result
	if err := json.Unmarshal(guest(t.Context(), nil, []byte(`{"abi":1}`)), &r); err != nil || r.Error == nil || r.Error.Code != plugin.CodeLimit {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestInProcessEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := binary.ParseResult(sdktest.InProcess(sdk.New(), sdktest.Limits{})(ctx, nil, binary.AppendCall(nil, plugin.Call{})))
	if err != nil || r.Error == nil {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestNewTakesTheLimitsOfTheManifest(t *testing.T) {
	const manifestOf = `name: acme/limited
version: 0.1.0
title: Limited
description: Answers too much.
callboard: ">=0.1.0 <1.0.0"
runtime: wasm
capabilities:
  - type: schedule/v1
    schedules: [{id: talk, every: 1h}]
limits: %s
`
	talk := sdk.New(schedule.Run("talk", func(*sdk.Context, time.Time) (string, error) { return strings.Repeat("x", 2000), nil }))
	for limits, want := range map[string]sdk.Code{
		"{output: 1KiB}": sdk.CodeLimit,
		"{output: 4KiB, timeout: 10s, input: 1B}": sdk.CodeLimit,
		"{output: 4KiB, hostBytes: 1MiB}":         "",
	} {
		file := filepath.Join(t.TempDir(), "plugin.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, manifestOf, limits), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sdktest.New(t, talk, sdktest.Manifest(file)).Schedule("talk"); sdk.CodeOf(err) != want {
			t.Errorf("%s: got %v, want %q", limits, err, want)
		}
	}
}
