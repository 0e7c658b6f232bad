// Command conformance is a plugin that does what a test asks for. The same
// source runs in the sandbox, as a process and in a test's own process; the
// suite in host/plugin/runtimetest compares what comes of it.
package main

import (
	"github.com/callboard-dev/callboard/examples/conformance/acts"
	"github.com/callboard-dev/callboard/sdk"
)

func main() { sdk.Serve(acts.New()) }
