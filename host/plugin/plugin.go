// Package plugin is the house in which plugins live: it installs releases,
// keeps their instances, lends out sandboxes and is the one door through which
// the host calls a guest. What a guest may reach is decided in host/service,
// what it offers is adapted in host/extension; neither belongs here.
//
// Everything that changes an instance goes through House, is authorised
// (host.ActionPluginManage), audited, and bumps the tenant's installation
// revision. Reads (Active, Revision) come from a snapshot in memory and never
// wait.
package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// State is where an instance stands in its life.
type State string

// The states.
const (
	StateInstalling    State = "installing"
	StateCompiling     State = "compiling"
	StateActive        State = "active"
	StateDisabled      State = "disabled"
	StateFailedToStart State = "failed-to-start"
	StateFailedToStay  State = "failed-to-stay-running"
	StateQuarantined   State = "quarantined"
	StateUpdatePending State = "update-pending-approval"
)

// Serves reports whether an instance in this state answers calls. A compiling
// instance does, after a bounded wait.
func (s State) Serves() bool {
	return s == StateActive || s == StateCompiling || s == StateUpdatePending
}

// Grant is a permission as it was granted: equal to what the manifest asks
// for, or narrower.
type Grant = manifestv1.Permission

// Instance is a release enabled (or not yet enabled) for one tenant. A value
// that House hands out is a snapshot: nobody changes it any more, and nobody
// may.
type Instance struct {
	ID     string        `json:"id"`
	Tenant host.TenantID `json:"-"`
	// Name is "namespace/name"; Short is the part after the slash.
	Name    string `json:"name"`
	Short   string `json:"short"`
	Version string `json:"version"`
	// Digest is the digest of the release's OCI manifest, "sha256:...".
	Digest string `json:"digest"`
	State  State  `json:"state"`
	// StateDetail says why, and what to do, in one sentence.
	StateDetail string `json:"stateDetail,omitempty"`
	// Enabled is what the admin wants; State is what came of it.
	Enabled bool `json:"enabled"`
	// Config is complete: defaults are filled in.
	Config json.RawMessage `json:"config,omitempty"`
	Grants []Grant         `json:"grants"`
	// Secrets names the manifest's secrets that have a value.
	Secrets  []string             `json:"secrets,omitempty"`
	Manifest *manifestv1.Manifest `json:"manifest"`
	Readme   string               `json:"-"`
	// Previous is the version to which Rollback returns, or empty.
	Previous string `json:"previous,omitempty"`
	// Pending is a newer release that waits for consent.
	Pending *Pending `json:"pending,omitempty"`
	// Revision counts the changes of the tenant's installations; it is the
	// revision at which this instance last changed.
	Revision    int64     `json:"revision"`
	InstalledAt time.Time `json:"installedAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	// Progress is set while the code is being compiled.
	Progress *Progress `json:"progress,omitempty"`
}

// Pending is a release that asks for more than is granted.
type Pending struct {
	Version  string               `json:"version"`
	Digest   string               `json:"digest"`
	Manifest *manifestv1.Manifest `json:"manifest"`
	// Wider are the permissions that no grant covers yet.
	Wider []Grant `json:"wider"`
}

// Progress says how far the compilation of a release is.
type Progress struct {
	// Phase is "queued", "compiling" or "loading".
	Phase     string    `json:"phase"`
	StartedAt time.Time `json:"startedAt"`
	// Fraction is between 0 and 1. It is an estimate from the size of the
	// code and the speed of this host so far, and stays below 1 until done.
	Fraction float64 `json:"fraction"`
	// Bytes is the size of the code.
	Bytes int64 `json:"bytes"`
}

// Has reports whether the manifest offers the capability, for example "route/v1".
func (i *Instance) Has(capability string) bool { return i.Capability(capability) != nil }

// Capability returns the manifest's capability of that type, or nil.
func (i *Instance) Capability(capability string) *manifestv1.Capability {
	if i.Manifest == nil {
		return nil
	}
	for n := range i.Manifest.Capabilities {
		if i.Manifest.Capabilities[n].Type == capability {
			return &i.Manifest.Capabilities[n]
		}
	}
	return nil
}

// GrantsOf returns the grants of one service, for example "http/v1".
func (i *Instance) GrantsOf(service string) []Grant {
	var out []Grant
	for _, g := range i.Grants {
		if g.Type == service {
			out = append(out, g)
		}
	}
	return out
}

// Missing names what still has to be set before the instance can work:
// required secrets without a value.
func (i *Instance) Missing() []string {
	if i.Manifest == nil {
		return nil
	}
	var out []string
	for _, s := range i.Manifest.Secrets {
		if s.Required && !slices.Contains(i.Secrets, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// shortOf returns the part of "namespace/name" after the slash.
func shortOf(name string) string {
	_, short, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	return short
}

// resource is how an instance is named to the authorizer and the audit record.
func resource(short string) string { return "plugin:" + short }

// Runtime turns a release's code into something that can be called. Compile
// may take seconds where nothing is cached; it never runs guest code.
type Runtime interface {
	// Check looks at the code without compiling it: its form, what it imports
	// and exports. It takes milliseconds.
	Check(code []byte) error
	// Compile compiles the code or loads what an earlier Compile left on disk.
	// Digest names the code and is the key of the cache.
	Compile(ctx context.Context, digest string, code []byte) (Module, error)
	// Cached reports whether Compile would find its work done on disk.
	Cached(digest string) bool
	// Forget removes what is cached for the digest.
	Forget(digest string) error
	// Close frees what the runtime holds. Modules are closed before.
	Close(ctx context.Context) error
}

// Module is compiled code. It is safe for concurrent use; every Call runs in a
// sandbox of its own in which nothing of another call is left.
type Module interface {
	// Call hands the work to the guest and returns what it answers. It returns
	// when the time limit is over, at the latest, whatever the guest does.
	// Failures are *host.Error of the CodePlugin... codes; what the call used
	// is in the outcome then, too.
	Call(ctx context.Context, w Work) (Outcome, error)
	// Facts says how calls of this code are run.
	Facts() Facts
	// Close frees the code. Calls that still run finish first.
	Close(ctx context.Context) error
}

// Work is one call, as a runtime sees it.
type Work struct {
	// Call is what the guest is asked. The runtime sets its ABI to the one
	// that it and the guest have agreed on.
	Call   pluginv1.Call
	Limits Limits
	World  World
}

// World is what a guest can learn from outside of its sandbox. Fields that are
// nil mean the real thing; a recording gives its own.
type World struct {
	// Host answers calls of host services; nil refuses them.
	Host HostFunc
	// Walltime returns seconds and nanoseconds since 1970.
	Walltime func() (sec int64, nsec int32)
	// Nanotime returns nanoseconds of a monotonic clock.
	Nanotime func() int64
	Sleep    func(time.Duration)
	Random   io.Reader
}

// Outcome is what came of a call.
type Outcome struct {
	Result pluginv1.Result
	Usage  Usage
}

// Usage is what one call used. Sizes are in bytes.
type Usage struct {
	// Fuel is in units of the meter, about one for each instruction; zero
	// where the runtime does not meter (Facts.Metered).
	Fuel int64
	// Memory is the largest sum of the sandbox's memories.
	Memory        int64
	Input, Output int64
	HostCalls     int64
	// HostBytes is the size of what went to host services and came back.
	HostBytes int64
	// Wall is how long the guest ran, host services included.
	Wall time.Duration
	// Waited is how long the call waited for its turn and for its code.
	Waited time.Duration
}

// Facts say how calls of a module are run.
type Facts struct {
	Runtime string // wasm, process or in-process
	// Path is how a wasm sandbox is made clean: "page-scan", "madvise" or
	// "fresh"; it is "process" and "in-process" for the others.
	Path string
	// Why says why no faster path is taken; empty for the fastest.
	Why string
	// ABI is the version of the envelope that host and guest agreed on.
	ABI int
	// Bytes is how much memory the loaded code and its image take.
	Bytes   int64
	Metered bool
}

// HostFunc answers a guest's call of a host service.
type HostFunc func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result

// Limits is what one call may use at most.
type Limits struct {
	Timeout time.Duration
	// Memory is the sum of the sandbox's linear memories, in bytes.
	Memory int64
	// Output is the size of the answer, in bytes.
	Output int64
	// Input is the size of the call, in bytes.
	Input int64
	// HostCalls is how many calls of host services one call may make, and
	// HostBytes how much they may move.
	HostCalls, HostBytes int64
	// Fuel is how much the call may execute, in units of the meter.
	Fuel int64
	// Log receives what the guest writes to its standard output and error;
	// nil drops it. At most LogBytes of it are kept.
	Log      func(stream string, text []byte)
	LogBytes int
}

// or returns l with the fields that are zero taken from d.
func (l Limits) or(d Limits) Limits {
	return Limits{
		Timeout: cmp.Or(l.Timeout, d.Timeout), Memory: cmp.Or(l.Memory, d.Memory), Output: cmp.Or(l.Output, d.Output),
		Input: cmp.Or(l.Input, d.Input), HostCalls: cmp.Or(l.HostCalls, d.HostCalls), HostBytes: cmp.Or(l.HostBytes, d.HostBytes), Fuel: cmp.Or(l.Fuel, d.Fuel),
		Log: l.Log, LogBytes: cmp.Or(l.LogBytes, d.LogBytes),
	}
}

// within returns l with no field above the ceiling's.
func (l Limits) within(c Limits) Limits {
	return Limits{
		Timeout: min(l.Timeout, c.Timeout), Memory: min(l.Memory, c.Memory), Output: min(l.Output, c.Output),
		Input: min(l.Input, c.Input), HostCalls: min(l.HostCalls, c.HostCalls), HostBytes: min(l.HostBytes, c.HostBytes), Fuel: min(l.Fuel, c.Fuel),
		Log: l.Log, LogBytes: min(l.LogBytes, c.LogBytes),
	}
}

// Service answers the calls of one host service, for example "http/v1". The
// call's body is the request of the service's schema; the answer is marshalled
// to JSON, unless it is an Attached. Failures are *host.Error or
// *pluginv1.Error.
type Service interface {
	Serve(ctx context.Context, s *Session, call pluginv1.HostCall) (any, error)
}

// Attached is an answer with raw bytes beside it.
type Attached struct {
	Body any
	Data []byte
}

// ServiceSet maps the name of a host service to what answers it.
type ServiceSet map[string]Service

// Session is one call of a guest, as host services see it: for whom, by which
// instance, and what it has used up so far.
type Session struct {
	Caller   host.Caller
	Instance *Instance
	// Handles are the bodies that the call reads and writes in pieces. Who
	// runs the call attaches and closes them.
	stream.Handles

	secret func(ctx context.Context, name string) (string, error)
	mu     sync.Mutex
	spent  map[string]int64
}

// NewSession returns a session; secret opens the instance's secrets by name
// and may be nil.
func NewSession(c host.Caller, in *Instance, secret func(ctx context.Context, name string) (string, error)) *Session {
	return &Session{Caller: c, Instance: in, secret: secret, spent: map[string]int64{}}
}

// Secret returns the value of one of the instance's secrets, empty if it has
// none. It is for host services only and must not reach the guest.
func (s *Session) Secret(ctx context.Context, name string) (string, error) {
	if s.secret == nil {
		return "", nil
	}
	return s.secret(ctx, name)
}

// Spend adds n to what the call has used of a budget and returns the sum.
func (s *Session) Spend(budget string, n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[budget] += n
	return s.spent[budget]
}
