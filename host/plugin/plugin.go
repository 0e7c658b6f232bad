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
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
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
