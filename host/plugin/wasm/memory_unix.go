//go:build unix

package wasm

import (
	"errors"
	"os"
	"syscall"
)

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

// ownedAlone makes dir private and refuses one of another user.
func ownedAlone(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("it is not a folder")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return errors.New("it belongs to another user")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}
