package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// location returns a Location entity.
func location(name string, targets ...string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: " + name + "\nspec:\n  targets: ['" + strings.Join(targets, "', '") + "']\n"
}

func system(name string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata:\n  name: " + name + "\nspec:\n  owner: o\n"
}

// collect reads the file a.yaml of a folder with these files.
func collect(t *testing.T, files map[string]string, known map[string]string, s Settings) (Result, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return again(t, dir, known, s), dir
}

func again(t *testing.T, dir string, known map[string]string, s Settings) Result {
	t.Helper()
	r, err := source.New(source.Settings{Roots: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	session := r.Open()
	defer session.Close()
	if s.Rules == nil {
		s.Rules = AllKinds()
	}
	return Collect(context.Background(), session, source.Address{Type: "file", Target: filepath.Join(dir, "a.yaml")}, known, s)
}

func refs(r Result) string {
	var out []string
	for _, item := range r.Items {
		out = append(out, item.Ref.Name)
	}
	return strings.Join(out, " ")
}

func TestCollect(t *testing.T) {
	for name, c := range map[string]struct {
		files    map[string]string
		settings Settings
		refs     string
		problem  string // "file:line message", empty for none
	}{
		"FollowsLocations":   {map[string]string{"a.yaml": location("a", "./b.yaml", "c.yaml"), "b.yaml": system("b"), "c.yaml": location("c", "d*.yaml"), "d1.yaml": system("d1"), "d2.yaml": system("d2")}, Settings{}, "a b c d1 d2", ""},
		"SameFileTwice":      {map[string]string{"a.yaml": location("a", "./b.yaml", "./b.yaml", "*.yaml"), "b.yaml": system("b")}, Settings{}, "a b", ""},
		"OptionalMissing":    {map[string]string{"a.yaml": location("a", "./none.yaml") + "  presence: optional\n"}, Settings{}, "a", ""},
		"ErrMissing":         {map[string]string{"a.yaml": location("a", "./none.yaml")}, Settings{}, "a", "a.yaml:6 cannot read"},
		"ErrCycle":           {map[string]string{"a.yaml": location("a", "./b.yaml"), "b.yaml": location("b", "./a.yaml")}, Settings{}, "a b", "b.yaml:6 the target ./a.yaml leads back"},
		"ErrSelf":            {map[string]string{"a.yaml": location("a", "./a.yaml")}, Settings{}, "a", "a.yaml:6 the target ./a.yaml leads back"},
		"ErrOutside":         {map[string]string{"a.yaml": location("a", "../../etc/passwd")}, Settings{}, "a", "a.yaml:6 cannot read"},
		"ErrDepth":           {map[string]string{"a.yaml": location("a", "./b.yaml"), "b.yaml": location("b", "./c.yaml"), "c.yaml": system("c")}, Settings{Limits: Limits{Depth: 1}}, "a b", "b.yaml:6 Location entities lead on more than 1 times"},
		"ErrDocuments":       {map[string]string{"a.yaml": location("a", "./b.yaml"), "b.yaml": system("b")}, Settings{Limits: Limits{Documents: 1}}, "a", "a.yaml:6 cannot read"},
		"ErrBytes":           {map[string]string{"a.yaml": location("a", "./b.yaml"), "b.yaml": system("b")}, Settings{Limits: Limits{Bytes: 120}}, "a", "a.yaml:6 cannot read"},
		"ErrEntities":        {map[string]string{"a.yaml": system("a") + "---\n" + system("b") + "---\n" + system("c")}, Settings{Limits: Limits{Entities: 1}}, "a", "a.yaml:8 the location holds more than 1"},
		"ErrRules":           {map[string]string{"a.yaml": system("a")}, Settings{Rules: BackstageRules()}, "", "a.yaml:1 system:default/a is of kind System"},
		"ErrTwice":           {map[string]string{"a.yaml": system("a") + "---\n" + system("A")}, Settings{}, "a", "a.yaml:8 system:default/a is described twice"},
		"SameTwice":          {map[string]string{"a.yaml": system("a") + "---\n" + system("a")}, Settings{}, "a", ""},
		"ErrEmpty":           {map[string]string{"a.yaml": "# nothing\n"}, Settings{}, "", "a.yaml:1 the file holds no document"},
		"ErrPlaceholder":     {map[string]string{"a.yaml": strings.Replace(system("a"), "owner: o", "owner: {$text: ./none}", 1)}, Settings{}, "", "a.yaml:6 $text ./none: there is no file"},
		"ErrPlaceholderMany": {map[string]string{"a.yaml": strings.Replace(system("a"), "owner: o", "owner: {$text: './*.t'}", 1), "1.t": "", "2.t": ""}, Settings{}, "", "a.yaml:6 $text ./*.t: it names 2 files"},
		"ErrUnnamed":         {map[string]string{"a.yaml": "kind: System\n---\n" + system("b")}, Settings{}, "b", "a.yaml:1 apiVersion is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			got, dir := collect(t, c.files, nil, c.settings)
			if refs(got) != c.refs {
				t.Errorf("items %q, want %q", refs(got), c.refs)
			}
			if c.problem == "" && len(got.Problems) == 0 {
				return
			}
			if len(got.Problems) == 0 || c.problem == "" {
				t.Fatalf("problems %+v", got.Problems)
			}
			p := got.Problems[0]
			if text := strings.TrimPrefix(p.Where, dir+"/") + " " + p.Message; !strings.HasPrefix(text, c.problem) || p.Hint == "" {
				t.Errorf("problem %q (%s), want %q", text, p.Hint, c.problem)
			}
		})
	}
}

func TestCollectAgain(t *testing.T) {
	files := map[string]string{"a.yaml": location("a", "./b.yaml"), "b.yaml": strings.Replace(system("b"), "owner: o", "owner: {$text: ./o.txt}", 1), "o.txt": "me"}
	first, dir := collect(t, files, nil, Settings{})
	if refs(first) != "a b" || len(first.Known) != 4 || first.Partial {
		t.Fatalf("%+v", first)
	}
	t.Run("Unchanged", func(t *testing.T) {
		if got := again(t, dir, first.Known, Settings{}); !got.Unchanged {
			t.Errorf("%+v", got)
		}
	})
	t.Run("OtherRulesReadAgain", func(t *testing.T) {
		if got := again(t, dir, first.Known, Settings{Rules: BackstageRules()}); got.Unchanged || refs(got) != "a" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("PlaceholderChanged", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "o.txt"), []byte("you"), 0o644); err != nil {
			t.Fatal(err)
		}
		got := again(t, dir, first.Known, Settings{})
		if got.Unchanged || got.Items[0].Hash != first.Items[0].Hash || got.Items[1].Hash == first.Items[1].Hash {
			t.Errorf("%+v", got)
		}
	})
	t.Run("UnreachableIsReadAgainNextTime", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
			t.Fatal(err)
		}
		got := again(t, dir, first.Known, Settings{})
		if got.Unchanged || !got.Partial || len(got.Known) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("RootGone", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
			t.Fatal(err)
		}
		if got := again(t, dir, first.Known, Settings{}); host.CodeOf(got.RootErr) != host.CodeNotFound || !got.Partial {
			t.Errorf("%+v", got)
		}
	})
}

func TestCollectURL(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/a.yaml", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, location("a", "./b.yaml", "page", "file:///etc/passwd")+"---\n"+strings.Replace(system("s"), "owner: o", "owner: {$text: ./o.txt}", 1))
	})
	mux.HandleFunc("/b.yaml", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.Replace(system("b"), "metadata:", "metadata:\n  annotations: {backstage.io/view-url: 'https://x.test', backstage.io/managed-by-location: 'url:https://forged'}", 1))
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>")
	})
	mux.HandleFunc("/o.txt", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "me") })
	u, _ := url.Parse(server.URL)
	r, err := source.New(source.Settings{Allow: []source.Allow{{Host: u.Host}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	session := r.Open()
	defer session.Close()
	got := Collect(context.Background(), session, source.Address{Type: "url", Target: server.URL + "/a.yaml"}, nil, Settings{Rules: AllKinds()})
	if refs(got) != "a s b" || len(got.Problems) != 2 {
		t.Fatalf("%q, %+v", refs(got), got.Problems)
	}
	base := string(got.Items[2].Base)
	if strings.Contains(base, "forged") || !strings.Contains(base, `"backstage.io/view-url":"https://x.test"`) ||
		!strings.Contains(base, `"backstage.io/managed-by-location":"url:`+server.URL+`/b.yaml"`) {
		t.Error(base)
	}
	if !strings.Contains(string(got.Items[0].Base), `"backstage.io/view-url":"`+server.URL+`/a.yaml"`) || !strings.Contains(string(got.Items[1].Base), `"owner":"me"`) {
		t.Errorf("%s", got.Items[1].Base)
	}
}

func TestRules(t *testing.T) {
	at := source.Address{Type: "url", Target: "https://github.com/acme/web/catalog-info.yaml"}
	for name, c := range map[string]struct {
		rule Rule
		want bool
	}{
		"Anywhere":     {Rule{Allow: []string{"group"}}, true},
		"OtherKind":    {Rule{Allow: []string{"User"}}, false},
		"Type":         {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Type: "file"}, {Type: "url"}}}, true},
		"OtherType":    {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Type: "file"}}}, false},
		"Exact":        {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Exact: at.Target}}}, true},
		"OtherExact":   {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Exact: at.Target + "x"}}}, false},
		"Pattern":      {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Pattern: "https://GitHub.com/acme/*/catalog-info.yam?"}}}, true},
		"DeepPattern":  {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Pattern: "https://github.com/**"}}}, true},
		"SlashPattern": {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Pattern: "https://**/catalog-info.yaml"}}}, true},
		"OtherPattern": {Rule{Allow: []string{"Group"}, Locations: []Matcher{{Pattern: "https://github.com/*"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := allowed([]Rule{c.rule}, "Group", at); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
