package author_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheGuideSpeaksOfWhatNewMakes keeps docs/plugin-author.md and the scaffold
// in step: a reader types the guide's commands right after "plugin new".
func TestTheGuideSpeaksOfWhatNewMakes(t *testing.T) {
	raw, err := os.ReadFile("../../../../docs/plugin-author.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(raw)
	s := settings(t, "")
	s.Dir = t.TempDir()
	var out bytes.Buffer
	if code := run(t.Context(), s, []string{"plugin", "new", "acme/hello"}, &out, &out); code != 0 {
		t.Fatalf("exit %d: %s", code, out.String())
	}
	made := map[string]string{}
	for _, name := range []string{"plugin.yaml", "hello.go"} {
		text, err := os.ReadFile(filepath.Join(s.Dir, "hello", name))
		if err != nil {
			t.Fatal(err)
		}
		made[name] = string(text)
	}
	t.Run("its operations are those of the scaffold", func(t *testing.T) {
		var named []string
		for _, m := range regexp.MustCompile(`(?:--operation |operationId: |Handle\("|OperationID: ")(\w+)`).FindAllStringSubmatch(guide, -1) {
			named = append(named, m[1])
			if !strings.Contains(made["plugin.yaml"], "operationId: "+m[1]+"\n") {
				t.Errorf("the scaffold has no operation %s", m[1])
			}
		}
		if len(named) < 4 {
			t.Errorf("the guide names %q only", named)
		}
	})
	t.Run("its files are a plugin that is tested, checked and called", func(t *testing.T) {
		dir := filepath.Join(s.Dir, "hello")
		blocks := regexp.MustCompile("(?ms)^```\\w+ title=\"([^\"]+)\"\n(.*?)^```$").FindAllStringSubmatch(guide, -1)
		if len(blocks) < 3 {
			t.Fatalf("there are %d files", len(blocks))
		}
		for _, b := range blocks {
			if _, err := os.Stat(filepath.Join(dir, b[1])); err != nil {
				t.Fatalf("plugin new makes no %s", b[1])
			}
			if err := os.WriteFile(filepath.Join(dir, b[1]), []byte(b[2]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"test", "hello"}, {"build", "hello"}, {"validate", "hello"}, {"run", "hello", "--operation", "helloGreeting", "--param", "name=Ann"}} {
			out.Reset()
			if code := run(t.Context(), s, append([]string{"plugin"}, args...), &out, &out); code != 0 {
				t.Fatalf("plugin %v: exit %d: %s", args, code, out.String())
			}
		}
		if !strings.Contains(out.String(), "Hello, Ann!") {
			t.Errorf("it answers %s", out.String())
		}
	})
}
