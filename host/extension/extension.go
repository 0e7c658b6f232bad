// Package extension adapts what plugins offer (their capabilities) to what the
// portal asks of them: HTTP operations (route/v1), views (view/v1) and
// schedules (schedule/v1). Each adapter checks the caller's right, checks what
// goes in and what comes out against what the plugin promised, and calls the
// plugin through House. Installing and running plugins does not belong here.
package extension

import (
	"context"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
)

// House is what the adapters need of plugin.House.
type House interface {
	// Active returns the tenant's instances that answer calls, by name.
	Active(t host.TenantID) []plugin.Instance
	// Revision changes whenever Active may.
	Revision(t host.TenantID) int64
	// Call calls a capability's method of the instance with that short name.
	Call(ctx context.Context, c host.Caller, short, capability, method string, body, out any) error
	// Ask is Call under the instance's failure policies.
	Ask(ctx context.Context, c host.Caller, r plugin.Request) (plugin.Answer, error)
}

// Every *plugin.House is a House.
var _ House = (*plugin.House)(nil)
