package sdk_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// heavy are the packages in which a guest must not end up by importing the
// SDK: they multiply its size and the time to compile it.
var heavy = []string{"net/http", "net", "crypto/tls", "html/template", "text/template"}

// TestPackagesAreLean lists what a guest that uses the whole SDK would pull in.
func TestPackagesAreLean(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		short := strings.TrimPrefix(name, "github.com/callboard-dev/callboard/sdk")
		if short == "/roundtrip" || short == "/sdktest" {
			continue
		}
		t.Run("package"+short, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", name)
			cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			deps, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, dep := range strings.Fields(string(deps)) {
				if slices.Contains(heavy, dep) {
					t.Errorf("%s pulls in %s", name, dep)
				}
			}
		})
	}
}
