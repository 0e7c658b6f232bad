//go:build !unix

package portable

// mapMemory falls back to Go's heap.
func mapMemory(size uint64) ([]byte, error) { return make([]byte, size), nil }

func unmapMemory([]byte) {}
