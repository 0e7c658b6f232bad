// Package migrations holds the steps that bring a namespace to the tables of
// this version, as files; README.md beside it is the rule book for them. How
// they are applied is package store's.
package migrations

import "embed"

// Files holds control/*.sql and tenant/*.sql.
//
//go:embed control tenant
var Files embed.FS
