//go:build !unix

package vault

import "os"

// ownedAlone relies on the user's own profile folder.
func ownedAlone(dir string) error {
	_, err := os.Stat(dir)
	return err
}
