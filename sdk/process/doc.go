// Package process lets a plugin run as a process of its own, beside the portal
// instead of inside its sandbox: for heavy plugins that an operator trusts. The
// source stays the same. "callboard plugin build" adds the import where
// plugin.yaml says runtime: process; a program built by other means imports it
// itself:
//
//	import _ "github.com/callboard-dev/callboard/sdk/process"
//
//	func main() { sdk.Serve(New()) }
//
// sdk.Serve then serves the plugin to the host that started the program, until
// that host ends it. Host services are reached through the host alone: the
// process has no network, no files but a folder of its own (TMPDIR) and no
// environment. It may keep memory between calls of its tenant; a plugin that
// shall also run in the sandbox must not rely on it.
//
// In a guest for the sandbox the package is empty.
package process

import "embed"

// ModulePath is the module's path.
const ModulePath = "github.com/callboard-dev/callboard/sdk/process"

// Source is the module's tree: what its archive is made of. The callboard
// binary serves it to builds of plugins that run as processes.
//
//go:embed LICENSE go.mod go.sum *.go
var Source embed.FS
