//go:build !wasip1

package sdk

import "embed"

// ModulePath is the module's path.
const ModulePath = "github.com/callboard-dev/callboard/sdk"

// Source is the module's tree: what its archive is made of. The callboard
// binary serves it to plugin builds, so that a plugin builds in any folder
// before anything is published.
//
//go:embed LICENSE go.mod go.sum *.go blob cache catalog config event http job kv log mail metric processor provider roundtrip route schedule sdktest search
//go:embed stream table trace view webhook
var Source embed.FS
