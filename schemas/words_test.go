package schemas_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// snapshot holds each word of each released version: names, fields with their
// types, and constants with their values.
const snapshot = "testdata/words.txt"

// TestNoWordBreaksInsideItsVersion compares the words on the wire with the
// snapshot. What is added is free, and is noted with UPDATE=1; what is removed
// or means something else needs a new version beside the old one (name/vN+1).
func TestNoWordBreaksInsideItsVersion(t *testing.T) {
	now, err := words(".")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for _, line := range broken(before, now) {
		t.Errorf("broken: %s", line)
	}
	if t.Failed() {
		t.Fatal("a guest or a host that was built before would not understand: keep the word, or make a new version of its package")
	}
	added := broken(now, before)
	if len(added) == 0 {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("new words are not in %s, so nothing would keep them: run UPDATE=1 go test ./schemas\n%s", snapshot, strings.Join(added, "\n"))
	}
	if err := os.WriteFile(snapshot, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// broken lists the lines of before that now lacks.
func broken(before, now []string) []string {
	var out []string
	for _, line := range before {
		if !slices.Contains(now, line) {
			out = append(out, line)
		}
	}
	return out
}

// TestTheCheckSeesWhatBreaks keeps the check able to fail.
func TestTheCheckSeesWhatBreaks(t *testing.T) {
	const source = "package p\n\nconst Name = \"p/v1\"\n\nconst (\n\tA = iota\n\tb\n)\n\ntype T struct {\n\tA string `json:\"a,omitempty\"`\n\tB []int `json:\"b\"`\n\tC int `json:\"-\"`\n\td int\n}\n\ntype Tone string\n"
	tests := map[string]struct {
		from, to string
		breaks   bool
	}{
		"a field that goes":            {"\tB []int `json:\"b\"`\n", "", true},
		"a field of another type":      {"B []int", "B []string", true},
		"a field of another name":      {`json:"b"`, `json:"bee"`, true},
		"a field that is left out now": {`json:"b"`, `json:"b,omitempty"`, true},
		"a type that goes":             {"type Tone string", "", true},
		"a type of another kind":       {"type Tone string", "type Tone int", true},
		"a constant of another value":  {`"p/v1"`, `"p/v2"`, true},
		"a constant that goes":         {"\tA = iota\n", "", true},
		"a field that comes":           {"\td int", "\tE int `json:\"e\"`", false},
		"a type that comes":            {"type Tone string", "type Tone string\n\ntype More struct{}", false},
		"what never was on the wire":   {"\td int\n", "", false},
		"what is not on the wire":      {"\tC int `json:\"-\"`\n", "", false},
	}
	read := func(t *testing.T, text string) []string {
		dir := filepath.Join(t.TempDir(), "service", "p", "v1")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := words(filepath.Join(dir, "..", "..", ".."))
		if err != nil || len(out) == 0 {
			t.Fatal(out, err)
		}
		return out
	}
	before := read(t, source)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(source, tt.from, tt.to, 1)
			if changed == source {
				t.Fatalf("%q is not there", tt.from)
			}
			if got := broken(before, read(t, changed)); (len(got) > 0) != tt.breaks {
				t.Errorf("breaks %q", got)
			}
		})
	}
}

var versioned = regexp.MustCompile(`(^|/)v[0-9]+$`)

// words lists what the versioned packages below root say, one line for each
// word, sorted.
func words(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil || !versioned.MatchString(filepath.ToSlash(dir)) {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		r := reading{fset: fset, room: filepath.ToSlash(dir)}
		for _, decl := range file.Decls {
			if group, ok := decl.(*ast.GenDecl); ok {
				r.group(group)
			}
		}
		out = append(out, r.lines...)
		return nil
	})
	slices.Sort(out)
	return out, err
}

// reading collects the words of one file.
type reading struct {
	fset  *token.FileSet
	room  string
	lines []string
}

func (r *reading) add(parts ...string) {
	r.lines = append(r.lines, r.room+" "+strings.Join(parts, " "))
}

func (r *reading) group(g *ast.GenDecl) {
	for i, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				r.typ(s)
			}
		case *ast.ValueSpec:
			if g.Tok != token.CONST {
				continue
			}
			for n, name := range s.Names {
				if !name.IsExported() {
					continue
				}
				value := "number " + strconv.Itoa(i) // of its group: iota
				if n < len(s.Values) {
					value = r.text(s.Values[n])
				}
				r.add("const", name.Name, value)
			}
		}
	}
}

// typ notes a type, and the fields of a struct as JSON has them.
func (r *reading) typ(s *ast.TypeSpec) {
	t, ok := s.Type.(*ast.StructType)
	if !ok {
		if _, method := s.Type.(*ast.InterfaceType); !method {
			r.add("type", s.Name.Name, r.text(s.Type))
		}
		return
	}
	r.add("type", s.Name.Name, "struct")
	for _, f := range t.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		}
		if tag == "-" {
			continue
		}
		if len(f.Names) == 0 {
			r.add("field", s.Name.Name, "embeds", r.text(f.Type), tag)
		}
		for _, name := range f.Names {
			if name.IsExported() {
				r.add("field", s.Name.Name, cmp.Or(tag, name.Name), r.text(f.Type))
			}
		}
	}
}

func (r *reading) text(e ast.Expr) string {
	var b strings.Builder
	if err := printer.Fprint(&b, r.fset, e); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
