package main

import (
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence is a block of code of a page: its language, its title and its text.
type fence struct{ language, title, text string }

var fenced = regexp.MustCompile("(?ms)^```(\\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$")

func fences(t *testing.T, file string) []fence {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []fence
	for _, m := range fenced.FindAllStringSubmatch(string(page), -1) {
		out = append(out, fence{m[1], m[2], m[3]})
	}
	if strings.Count(string(page), "\n```") != 2*len(out) {
		t.Fatalf("%s has a block that is not understood", file)
	}
	return out
}

// reader follows a guide: it writes the files and types the commands.
type reader struct {
	t *testing.T
	s *served
}

// TestGuide follows docs/plugin-guide.md from an empty folder to the plugin on
// an entity's page.
func TestGuide(t *testing.T) {
	guide := fences(t, "../../docs/plugin-guide.md")
	t.Chdir(t.TempDir())
	r := &reader{t, &served{t: t}}
	commands, files := 0, 0
	for _, f := range guide {
		switch {
		case f.language == "console":
			commands += r.types(f.text)
		case f.title != "":
			files++
			r.writes(f.title, f.text)
		default:
			t.Fatalf("what is done with this block?\n%s", f.text)
		}
	}
	if commands < 12 || files < 4 {
		t.Errorf("the guide has %d commands and %d files only", commands, files)
	}
	status, page := r.s.get("/catalog/default/component/petstore")
	card := regexp.MustCompile(`hx-get="(/-/views/greeter/[^"]+)"`).FindStringSubmatch(page)
	if status != http.StatusOK || card == nil {
		t.Fatalf("the entity's page has status %d and no place for the card", status)
	}
	status, shown := r.s.get(html.UnescapeString(card[1]))
	if status != http.StatusOK || !regexp.MustCompile(`(?s)Greetings.*>1<`).MatchString(shown) {
		t.Errorf("the card has status %d and shows\n%s", status, shown)
	}
}

func (r *reader) writes(file, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // a page of the documentation says which
		r.t.Fatal(err)
	}
}

// types types the commands of a block, those behind "$ ", and compares what
// follows each with what it prints. It returns how many there were.
func (r *reader) types(block string) int {
	r.t.Helper()
	n := 0
	for part := range strings.SplitSeq("\n"+block, "\n$ ") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		n++
		line, want, _ := strings.Cut(part, "\n")
		got := r.does(line)
		for expected := range strings.Lines(want) {
			if expected = strings.TrimSpace(expected); expected != "" && !like(got, expected) {
				r.t.Errorf("%s prints\n%s, which is not\n%s", line, got, expected)
			}
		}
	}
	return n
}

// like reports whether the text has a line like the pattern, in which "…" and
// white space stand for anything of their kind.
func like(text, pattern string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), "…")
	expr := strings.ReplaceAll(strings.Join(parts, ".*"), " ", `\s+`)
	return regexp.MustCompile(expr).MatchString(text)
}

// does does what a shell would do with the line and returns what is printed.
func (r *reader) does(line string) string {
	r.t.Helper()
	words := shellWords(line)
	switch {
	case words[0] == "cd":
		r.t.Chdir(words[1])
		return ""
	case strings.HasPrefix(line, "export CALLBOARD_TOKEN=$(callboard "):
		inner := strings.TrimSuffix(strings.TrimPrefix(line, "export CALLBOARD_TOKEN=$(callboard "), ")")
		r.s.token = strings.TrimSpace(r.s.cli(shellWords(inner)...))
		return ""
	case words[0] == "export": // the portal listens elsewhere in a test
		return ""
	case words[0] != "callboard":
		r.t.Fatalf("the guide has a command that is none of callboard's: %s", line)
	case words[1] == "serve":
		r.s = start(r.t, words[3], words[4:]...)
		return ""
	case strings.HasPrefix(line, "callboard plugin dev"):
		words = append(words, "--once")
	}
	out, errOut, code := r.s.try(words[1:]...)
	if code != exitDone {
		r.t.Fatalf("%s: exit %d\n%s%s", line, code, out, errOut)
	}
	return out + errOut
}

// shellWords splits a line as a shell does, with single quotes alone.
func shellWords(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}
