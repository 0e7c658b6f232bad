//go:build !linux

package shim

import (
	"errors"
	"os"
)

func become(Policy, *os.File) error {
	return errors.New("plugins run as processes on Linux only")
}
