// Package sdk is what the author of a Callboard plugin imports: a Plugin made
// of offers, a Context that carries one call, and the errors that a caller can
// act on. What a plugin can offer and use lives in small packages beside this
// one: route, view and schedule offer; http, kv, config, catalog and log use.
//
// A plugin is a main package:
//
//	func main() { sdk.Serve(New()) }
//
//	func New() *sdk.Plugin {
//		return sdk.New(
//			route.Handle("getGreeting", getGreeting),
//			view.Render("greeting", greeting),
//		)
//	}
//
// "callboard plugin build" compiles it for GOOS=wasip1 as a reactor, which
// exports one function. The first call of that function runs main once; main
// must hand the plugin to Serve and return. Anything else that main does is
// done once for each sandbox, and a sandbox lives for one call.
//
// The package and its neighbours stay lean: none of them imports net/http,
// which alone triples a guest's size. Package roundtrip is the exception for
// client libraries that need it; sdktest is for tests and is never in a guest.
//
// Within major version 0 additions are free and a removal is announced one
// release before.
package sdk

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// Handler answers one call of an offer. The request is what the offer's Decode
// returned; the answer is encoded as JSON.
type Handler func(ctx *Context, request any) (answer any, err error)

// Offer is one thing that a plugin offers the host: one operation, one view or
// one schedule. Packages route, view and schedule make offers.
type Offer struct {
	// Capability and Method are the door, for example "route/v1" and "handle".
	Capability, Method string
	// Name is the offer's id in the manifest, for example an operation id.
	Name string
	// Decode reads a call's body and says which offer it asks for. All offers
	// of one door share it.
	Decode func(body json.RawMessage) (name string, request any, err error)
	// Handle answers the call.
	Handle Handler
	// Warm does, with made-up values, what every call of the offer does at its
	// first time and need not do again: see Plugin.Call. It may be nil.
	Warm func()
}

// apply adds the offer to the plugin.
func (o Offer) apply(p *Plugin) {
	at := door{o.Capability, o.Method}
	room := p.doors[at]
	if room == nil {
		room = &offers{decode: o.Decode, byName: map[string]Handler{}}
		p.doors[at] = room
	}
	switch {
	case o.Name == "":
		p.fault("an offer of %s has no name", o.Capability)
	case o.Handle == nil || o.Decode == nil:
		p.fault("%s %q has no handler", o.Capability, o.Name)
	case room.byName[o.Name] != nil:
		p.fault("%s %q is offered twice", o.Capability, o.Name)
	default:
		room.byName[o.Name] = o.Handle
		if o.Warm != nil {
			p.warm = append(p.warm, o.Warm)
		}
		p.names = append(p.names, Offered{o.Capability, o.Name})
	}
}

// Option is a part of a plugin: an Offer.
type Option interface{ apply(*Plugin) }

// Plugin is a set of offers. It holds no state of a call and may answer calls
// at the same time.
type Plugin struct {
	doors  map[door]*offers
	names  []Offered
	warm   []func()
	warmed atomic.Int32 // how often it was
	faults []string
}

// door is where a call arrives.
type door struct{ capability, method string }

// offers are what is behind one door.
type offers struct {
	decode func(json.RawMessage) (string, any, error)
	byName map[string]Handler
}

// New returns a plugin with the given offers. A mistake among them, such as
// one name offered twice, is reported by Err and by every call.
func New(options ...Option) *Plugin {
	p := &Plugin{doors: map[door]*offers{}}
	for _, o := range options {
		o.apply(p)
	}
	return p
}

// Offered names one offer of a plugin.
type Offered struct {
	Capability string // for example "view/v1"
	Name       string // the id in the manifest
}

// Offers returns what the plugin offers, in the order of New.
func (p *Plugin) Offers() []Offered { return append([]Offered(nil), p.names...) }

// Err returns what is wrong with the plugin's offers, or nil.
func (p *Plugin) Err() error {
	if len(p.faults) == 0 {
		return nil
	}
	return Errorf(CodeInternal, "the plugin is put together wrongly: %s", p.faults[0])
}

func (p *Plugin) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}
