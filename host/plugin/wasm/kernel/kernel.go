// Package kernel is what a guest's imports lead to: the Extism ABI
// (extism:host/env), the one host function of Callboard (extism:host/user) and
// WASI preview 1, as Go host functions of a wazero runtime.
//
// Extism hosts run a second WebAssembly module beside each guest, the kernel,
// in whose memory input, output and messages lie, and each use of it is a call
// into that module. Here the kernel is a Go value, State, so that a call of it
// costs tens of nanoseconds, nothing of it is in reach of the guest but the
// bytes of its own blocks, and Reset wipes it. Guests see the same offsets and
// lengths as from Extism's kernel.
//
// WASI is stateless: there are no files, no arguments, no environment and no
// sockets; clock, randomness and sleep are the host's or the call's own; what
// is written to descriptors 1 and 2 is kept up to a limit.
//
// A host function finds its State in the context of the call: a State is one.
package kernel

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// The modules of which a guest may import.
const (
	ModuleExtism = "extism:host/env"
	ModuleUser   = pluginv1.HostNamespace
	ModuleWASI   = "wasi_snapshot_preview1"
)

// function is one host function. Its arguments are on the stack; its result,
// if it has one, goes into stack[0].
type function struct {
	name            string
	params, results []api.ValueType
	do              func(s *State, guest api.Module, stack []uint64)
}

// Instantiate puts the host's modules into a runtime. It is called once, before
// guests are instantiated there.
func Instantiate(ctx context.Context, r wazero.Runtime) error {
	for name, list := range map[string][]function{ModuleExtism: extism(), ModuleUser: user(), ModuleWASI: wasi()} {
		b := r.NewHostModuleBuilder(name)
		for _, f := range list {
			b.NewFunctionBuilder().WithGoModuleFunction(bound(f.do), f.params, f.results).Export(f.name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bound makes a function find its State.
func bound(do func(s *State, guest api.Module, stack []uint64)) api.GoModuleFunc {
	return func(ctx context.Context, guest api.Module, stack []uint64) {
		s, ok := ctx.(*State)
		if !ok {
			if s = Of(ctx); s == nil {
				panic(&Fault{Kind: Refused, What: "a call without a sandbox"})
			}
		}
		do(s, guest, stack)
	}
}

// Names of the functions of one module, sorted as they are defined: for those
// who check what a guest imports.
func Names(module string) []string {
	var out []string
	for name, list := range map[string][]function{ModuleExtism: extism(), ModuleUser: user(), ModuleWASI: wasi()} {
		if name != module {
			continue
		}
		for _, f := range list {
			out = append(out, f.name)
		}
	}
	return out
}
