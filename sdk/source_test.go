//go:build !wasip1

package sdk_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/callboard-dev/callboard/sdk"
)

// TestSourceIsWhole: a package that is not in Source is missing from every
// plugin that is built before anything is published. Folders with a go.mod are
// modules of their own.
func TestSourceIsWhole(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "internal" || e.Name() == "testdata" {
			continue
		}
		if _, err := os.Stat(e.Name() + "/go.mod"); err == nil {
			continue
		}
		if _, err := fs.Stat(sdk.Source, e.Name()); err != nil {
			t.Errorf("the folder %s is not in Source", e.Name())
		}
	}
}
