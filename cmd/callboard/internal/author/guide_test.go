package author_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/manifest"
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
	t.Run("its manifest is one that the host takes", func(t *testing.T) {
		m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(guide)
		if m == nil {
			t.Fatal("there is none")
		}
		got, err := manifest.Parse([]byte(m[1]), "plugin-author.md")
		if err != nil || got.Name != "acme/hello" {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("its code is the scaffold's", func(t *testing.T) {
		m := regexp.MustCompile(`(?s)type settings struct.*?\n}\n\nfunc getGreeting.*?\n}\n`).FindString(guide)
		lines := strings.Split(made["hello.go"], "\n")
		if m == "" {
			t.Fatal("there is none")
		}
		for line := range strings.Lines(m) {
			if line = strings.TrimRight(line, "\n"); !slices.Contains(lines, line) {
				t.Errorf("the scaffold lacks %q", line)
			}
		}
	})
}
