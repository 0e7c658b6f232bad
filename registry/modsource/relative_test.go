package modsource_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestBuildTakesARelativeFileFromTheCallersFolder(t *testing.T) {
	s := repository(t)
	dir := copyFolder(t, "../../examples/hello-plugin")
	w, err := s.Open(t.Context(), dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, w)
	t.Chdir(filepath.Dir(dir))
	var out bytes.Buffer
	if _, err := w.Build(t.Context(), filepath.Join(filepath.Base(dir), "plugin.wasm"), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "plugin.wasm")); err != nil {
		t.Error(err)
	}
}
