//go:build !linux

package shim

import (
	"errors"
	"os"
)

// Lacking names the layers that this system does not have: all.
func Lacking() []string { return []string{"plugins run as processes on Linux only"} }

func become(Policy, *os.File) error {
	return errors.New("plugins run as processes on Linux only")
}
