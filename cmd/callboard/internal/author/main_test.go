package author_test

import (
	"os"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/process/shim"
)

// The test's program is the shim of plugins' processes, too, as callboard is.
func TestMain(m *testing.M) {
	if shim.Wanted(os.Args) {
		os.Exit(shim.Run(os.Args))
	}
	os.Exit(m.Run())
}
