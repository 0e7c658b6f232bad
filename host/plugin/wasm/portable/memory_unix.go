//go:build unix

package portable

import "syscall"

// mapMemory reserves zeroed memory; pages take room once they are touched.
func mapMemory(size uint64) ([]byte, error) {
	if size == 0 {
		return []byte{}, nil
	}
	return syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func unmapMemory(b []byte) {
	if len(b) > 0 {
		// It fails for memory that was not mapped alone.
		_ = syscall.Munmap(b)
	}
}
