//go:build !wasip1

// Package schemas holds this module's own source, so that the callboard binary
// can serve it to plugin builds before anything is published. The words on the
// wire are in the packages below.
package schemas

import "embed"

// The words on a guest's path read and write themselves: see package codec.
//
//go:generate go run ../cmd/codecgen capability service plugin/v1

// ModulePath is the module's path.
const ModulePath = "github.com/callboard-dev/callboard/schemas"

// Source is the module's tree: what its archive is made of.
//
//go:embed LICENSE go.mod *.go capability codec manifest plugin service
var Source embed.FS
