// Package conformance has tests alone: the plugins of this repository run in
// the sandbox, as processes and in the test's own process, and must come to the
// same. It stands here because nothing else may know host and SDK at once.
package conformance
