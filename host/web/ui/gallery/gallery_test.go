package gallery_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/callboard-dev/callboard/host/web/ui/gallery"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// shown is a specimen's states as the golden file keeps them.
func shown(t *testing.T, s gallery.Specimen) string {
	t.Helper()
	var out strings.Builder
	for _, state := range s.States {
		out.WriteString("<!-- " + state.Name + " -->\n")
		if err := state.Node.Render(&out); err != nil {
			t.Fatalf("rendering %s, %s: %v", s.Title, state.Name, err)
		}
		out.WriteString("\n\n")
	}
	return out.String()
}

func TestComponentsLookAsTheGoldenFilesSay(t *testing.T) {
	for _, s := range gallery.Specimens(now) {
		t.Run(s.ID, func(t *testing.T) {
			got, file := shown(t, s), filepath.Join("testdata", s.ID+".golden.html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from %s; if that is meant, run: go test ./host/web/ui/gallery -update\n%s", s.Title, file, firstDifference(got, string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, min(i, len(s))-60):min(len(s), i+120)] }
	return "got:  …" + cut(got) + "…\nwant: …" + cut(want) + "…"
}

// walk visits the elements of a fragment.
func walk(t *testing.T, text string, visit func(n *html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			visit(n)
		}
	}
}

var address = regexp.MustCompile(`^(#|/|https?://|mailto:)`)

func TestNothingNeedsAWiderContentPolicy(t *testing.T) {
	var page strings.Builder
	if err := gallery.Page(now).Render(&page); err != nil {
		t.Fatal(err)
	}
	walk(t, page.String(), func(n *html.Node) {
		if n.Data == "script" || n.Data == "style" || n.Data == "iframe" || n.Data == "img" || n.Data == "object" {
			t.Errorf("there is a %s element", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
				t.Errorf("%s has the attribute %s=%q", n.Data, a.Key, a.Val)
			}
			if (a.Key == "href" || a.Key == "action" || a.Key == "src") && !address.MatchString(a.Val) {
				t.Errorf("%s leads to %s=%q", n.Data, a.Key, a.Val)
			}
		}
	})
}

func TestIDsAreUniqueAndLabelsFindTheirFields(t *testing.T) {
	var page strings.Builder
	if err := gallery.Page(now).Render(&page); err != nil {
		t.Fatal(err)
	}
	ids, wanted := map[string]bool{}, map[string]string{}
	walk(t, page.String(), func(n *html.Node) {
		for _, a := range n.Attr {
			switch a.Key {
			case "id":
				if ids[a.Val] {
					t.Errorf("the id %q is there twice", a.Val)
				}
				ids[a.Val] = true
			case "for", "commandfor", "aria-labelledby", "list":
				wanted[a.Val] = a.Key
			case "aria-describedby":
				for id := range strings.FieldsSeq(a.Val) {
					wanted[id] = a.Key
				}
			}
		}
	})
	for id, key := range wanted {
		if !ids[id] {
			t.Errorf("%s points to %q, which is not there", key, id)
		}
	}
}
