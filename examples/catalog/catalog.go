// Package catalog is the catalog of the demo tenant: descriptors of real public
// repositories (SOURCE.md says whose), and theatre.yaml, a small company of our
// own whose services carry the annotations that the bundled plugins read.
package catalog

import "embed"

// Files holds the descriptors; all.yaml points at the others.
//
//go:embed *.yaml backstage public
var Files embed.FS
