//go:build !wasip1

// Package schemas holds this module's own source, so that the callboard binary
// can serve it to plugin builds before anything is published. The words on the
// wire are in the packages below.
package schemas

import "embed"

// ModulePath is the module's path.
const ModulePath = "github.com/callboard-dev/callboard/schemas"

// Source is the module's tree: what its archive is made of.
//
//go:embed LICENSE go.mod *.go capability manifest plugin service
var Source embed.FS
