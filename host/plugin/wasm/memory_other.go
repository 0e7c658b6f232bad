//go:build !unix

package wasm

import "os"

// mapMemory falls back to Go's heap.
func mapMemory(size uint64) ([]byte, error) { return make([]byte, size), nil }

func unmapMemory([]byte) {}

// ownedAlone relies on the user's own profile folder.
func ownedAlone(dir string) error {
	_, err := os.Stat(dir)
	return err
}
