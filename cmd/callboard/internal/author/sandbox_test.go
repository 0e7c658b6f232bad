package author

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// TestLimitsAreThoseOfAPortal: what a manifest does not say is as on a portal,
// what it says holds, and what is larger may use more.
func TestLimitsAreThoseOfAPortal(t *testing.T) {
	usual, _ := limit.Defaults()
	got, err := limitsOf(manifestv1.Limits{})
	if err != nil || got.Fuel != usual.Fuel || got.Input != usual.Input || got.HostCalls != usual.HostCalls || got.HostBytes != usual.HostBytes ||
		got.Memory != usual.Memory || got.Output != usual.Output || got.Timeout != usual.Timeout || got.LogBytes != usual.LogBytes {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = limitsOf(manifestv1.Limits{Timeout: "2s", Memory: "80MiB", Input: "3MiB", Output: "1MiB", HostBytes: "5MiB", Fuel: 7e9, HostCalls: 9})
	if err != nil || got.Timeout != 2*time.Second || got.Memory != 80<<20 || got.Input != 3<<20 || got.Output != 1<<20 || got.HostBytes != 5<<20 || got.Fuel != 7e9 || got.HostCalls != 9 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := limitsOf(manifestv1.Limits{Memory: "much"}); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("got %v", err)
	}
	module := &listener{}
	call, err := json.Marshal(pluginv1.Call{ABI: 1, Body: json.RawMessage(`"12345678"`)})
	if err != nil {
		t.Fatal(err)
	}
	guestOf(module, got)(t.Context(), nil, call)
	if want := got.Fuel + 10*got.FuelPerByte; module.limits.Fuel != want || module.limits.Memory != got.Memory+10*got.MemoryPerByte {
		t.Errorf("got %+v, want %d of fuel", module.limits, want)
	}
}

// listener is a module that notes its limits and fails as it is told.
type listener struct {
	plugin.Module
	limits plugin.Limits
	fails  error
}

// Call implements plugin.Module.
func (l *listener) Call(_ context.Context, w plugin.Work) (plugin.Outcome, error) {
	l.limits = w.Limits
	return plugin.Outcome{}, l.fails
}

// TestFailuresHaveThePortalsCodes: an author reads of a failure what a portal
// would say, not what the envelope can.
func TestFailuresHaveThePortalsCodes(t *testing.T) {
	for _, code := range []host.Code{host.CodePluginTrap, host.CodePluginFuel, host.CodePluginOutput, host.CodePluginMemory, host.CodePluginTimeout, host.CodeLimit, host.CodeTooLarge} {
		c := &scale{Module: &listener{fails: host.Errorf(code, "so it is").WithHint("Do it.")}}
		guestOf(c, plugin.Limits{})(t.Context(), nil, []byte(`{}`))
		err := c.explained(&sdk.Error{Code: sdk.CodeInternal, Message: "so it is"})
		if host.CodeOf(err) != code || err.Error() != string(code)+": so it is (Do it.)" {
			t.Errorf("%s: got %v", code, err)
		}
	}
	c := &scale{Module: &listener{}}
	guestOf(c, plugin.Limits{})(t.Context(), nil, []byte(`{}`))
	for code, want := range map[sdk.Code]host.Code{sdk.CodeInternal: host.CodePluginTrap, sdk.CodeUnsupported: host.CodePluginUnsupported, sdk.CodeNotFound: host.CodeNotFound} {
		if err := c.explained(&sdk.Error{Code: code, Message: "no"}); host.CodeOf(err) != want || err.Error() != string(want)+": no" {
			t.Errorf("%s: got %v", code, err)
		}
	}
	if err := c.explained(nil); err != nil {
		t.Errorf("got %v", err)
	}
}
