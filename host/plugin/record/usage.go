package record

import (
	"time"

	"github.com/uptrace/bun"
)

// Usage is a row of plugin_usage: what the calls of one capability of one
// plugin, for one tenant and with one outcome, used in one span of time.
type Usage struct {
	bun.BaseModel `bun:"table:plugin_usage,alias:u"`

	TenantID   string `bun:"tenant_id,pk"`
	Plugin     string `bun:"plugin,pk"` // "namespace/name"
	Capability string `bun:"capability,pk"`
	// Code is the error code of the calls, empty for those that succeeded.
	Code string `bun:"code,pk"`
	// Start is when the span begins, in UTC; Span is its length in seconds: a
	// minute, an hour or a day.
	Start time.Time `bun:"starts_at,pk"`
	Span  int64     `bun:"span,pk"`

	Calls     int64 `bun:"calls"`
	Fuel      int64 `bun:"fuel"`
	WallNanos int64 `bun:"wall_nanos"`
	WaitNanos int64 `bun:"wait_nanos"`
	Input     int64 `bun:"input_bytes"`
	Output    int64 `bun:"output_bytes"`
	HostCalls int64 `bun:"host_calls"`
	HostBytes int64 `bun:"host_bytes"`
}

// Writer is a row of plugin_usage_writers: up to which batch a host's counters
// are in plugin_usage. It makes writing a batch again harmless.
type Writer struct {
	bun.BaseModel `bun:"table:plugin_usage_writers,alias:w"`

	Host      string    `bun:"host,pk"`
	Batch     int64     `bun:"batch"`
	UpdatedAt time.Time `bun:"updated_at"`
}

// Quota is a row of plugin_quotas: how much of a plugin a tenant may use. Zero
// means no bound.
type Quota struct {
	bun.BaseModel `bun:"table:plugin_quotas,alias:pq"`

	TenantID string `bun:"tenant_id,pk"`
	Plugin   string `bun:"plugin,pk"`
	// Source is who set it: "tenant" or "operator". Both hold.
	Source         string    `bun:"source,pk"`
	CallsPerMinute int64     `bun:"calls_per_minute"`
	FuelPerDay     int64     `bun:"fuel_per_day"`
	UpdatedAt      time.Time `bun:"updated_at"`
}

// Evidence is a row of plugin_evidence: a host service that a plugin really
// used. Target is the origin for http/v1, empty for most others.
type Evidence struct {
	bun.BaseModel `bun:"table:plugin_evidence,alias:ev"`

	TenantID   string    `bun:"tenant_id,pk"`
	Plugin     string    `bun:"plugin,pk"`
	Service    string    `bun:"service,pk"`
	Target     string    `bun:"target,pk"`
	Uses       int64     `bun:"uses"`
	LastUsedAt time.Time `bun:"last_used_at"`
}
