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
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/code"
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

// Offers reports whether an instance in this state is shown with what it
// offers: it serves, or it fails and its callers get what its failure policy
// says.
func (s State) Offers() bool {
	return s.Serves() || s == StateFailedToStart || s == StateFailedToStay || s == StateQuarantined
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
	// Pinned keeps the instance at its digest: upgrades are refused.
	Pinned bool `json:"pinned,omitempty"`
	// Policy is what an admin changed of the manifest's limits and failure
	// policies.
	Policy Policy `json:"policy,omitzero"`
	// Revision counts the changes of the tenant's installations; it is the
	// revision at which this instance last changed.
	Revision    int64     `json:"revision"`
	InstalledAt time.Time `json:"installedAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	// Progress is set while the code is being compiled.
	Progress *Progress `json:"progress,omitempty"`
	// Trial is what recorded calls say of the release; Upgrade answers with it.
	Trial *TrialReport `json:"trial,omitempty"`
}

// Pending is a release that asks for more than is granted.
type Pending struct {
	Version  string               `json:"version"`
	Digest   string               `json:"digest"`
	Manifest *manifestv1.Manifest `json:"manifest"`
	// Wider are the permissions that no grant covers yet. Widened says what
	// else the release could do more than the installed one: see grant.Widened.
	Wider   []Grant  `json:"wider"`
	Widened []string `json:"widened,omitempty"`
}

// Progress says how far the compilation of a release is.
type Progress = code.Progress

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
	// is in the outcome then, too. A body in the result is valid JSON.
	Call(ctx context.Context, w Work) (Outcome, error)
	// Facts says how calls of this code are run.
	Facts() Facts
	// Close frees the code. Calls that still run finish first.
	Close(ctx context.Context) error
}

// Observer sees every call of a guest, for recordings.
type Observer interface {
	// Begin sees a call before it runs. It may wrap w.World, so as to see
	// what the guest learns. End, which may be nil, sees what came of it.
	Begin(ctx context.Context, c host.Caller, in *Instance, w *Work) (end func(Outcome, error))
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
	// Path is how a wasm sandbox is made clean: "page-scan", "pagemap",
	// "madvise" or "fresh"; it is "process" and "in-process" for the others.
	Path string
	// Why says why no faster path is taken; empty for the fastest.
	Why string
	// ABI is the version of the envelope that host and guest agreed on.
	ABI int
	// Bytes is how much memory the loaded code and its image take.
	Bytes   int64
	Metered bool
}

// Lasting is what a Module may be too: one that has a life of its own between
// calls, such as a process.
type Lasting interface {
	// Revive forgets that the module was given up for the tenant with that
	// slug: the next call starts it anew.
	Revive(tenant string)
}

// ErrIsolation is the cause of a failure that says that a sandbox may not be
// clean any more. The instance is quarantined at once.
var ErrIsolation = errors.New("a sandbox was not clean after a call")

// HostFunc answers a guest's call of a host service.
type HostFunc func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result

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
