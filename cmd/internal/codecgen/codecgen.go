// Package codecgen writes the descriptions of package codec for the types of a
// Go package. It reads source alone, so it works while the package does not
// compile yet, and the same source gives the same bytes. What JSON means for a
// type is encoding/json's rule; a type that this package cannot serve goes
// through encoding/json at run time, or is refused if its author asked for it.
package codecgen

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// FileName is the file that is written beside a package's own.
const FileName = "codec_gen.go"

// Mark is the comment above a type that asks for methods.
const Mark = "//callboard:codec"

// Settings say for which types methods are written.
type Settings struct {
	// All takes every exported struct whose fields have json tags; otherwise
	// those with the mark, and the structs of the package that they reach.
	All bool
}

// Generate returns the file for the package in dir, nil where no type asks for
// methods. A type that cannot have them is an error with file and line.
func Generate(dir string, s Settings) ([]byte, error) {
	p, err := load(dir)
	if err != nil {
		return nil, err
	}
	if err := p.choose(s); err != nil {
		return nil, err
	}
	if len(p.chosen) == 0 {
		return nil, nil
	}
	return p.emit()
}

// Write writes the file for the package in dir, if it is not what it is
// already, and removes it where no type asks for methods any more. It reports
// whether something changed.
func Write(dir string, s Settings) (changed bool, err error) {
	code, stale, err := compare(dir, s)
	if err != nil || !stale {
		return false, err
	}
	file := filepath.Join(dir, FileName)
	if code == nil {
		return true, os.Remove(file)
	}
	return true, os.WriteFile(file, code, 0o644)
}

// Stale reports whether Write would change something.
func Stale(dir string, s Settings) (bool, error) {
	_, stale, err := compare(dir, s)
	return stale, err
}

// compare returns the file for the package in dir and whether it differs from
// the one that is there.
func compare(dir string, s Settings) (code []byte, stale bool, err error) {
	old, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	code, err = Generate(dir, s)
	return code, err == nil && (code == nil) != (old == nil) || err == nil && !bytes.Equal(code, old), err
}

// declared is a type of the package.
type declared struct {
	name   string
	spec   *ast.TypeSpec
	file   *source
	marked bool
	// own is true for a type that says itself what it is in JSON.
	own bool
}

// source is a file of the package.
type source struct {
	file *ast.File
	// imports maps the names of imported packages to their paths.
	imports map[string]string
}

// pack is the package that is read.
type pack struct {
	name   string
	fset   *token.FileSet
	types  map[string]*declared
	chosen map[string]*declared
}

// load parses the package in dir, as it is built for a guest.
func load(dir string) (*pack, error) {
	p := &pack{fset: token.NewFileSet(), types: map[string]*declared{}, chosen: map[string]*declared{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	guest := build.Default
	guest.GOOS, guest.GOARCH, guest.CgoEnabled = "wasip1", "wasm", false
	var files []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == FileName {
			continue
		}
		if ok, err := guest.MatchFile(dir, name); err != nil || !ok {
			continue // the compiler says what is wrong with it
		}
		file, err := parser.ParseFile(p.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, host.Errorf(host.CodeInvalid, "%w", err)
		}
		p.name = file.Name.Name
		p.declare(&source{file: file, imports: importsOf(file)})
		files = append(files, file)
	}
	for _, file := range files {
		p.methods(file)
	}
	return p, nil
}

func importsOf(file *ast.File) map[string]string {
	out := map[string]string{}
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, "\"`")
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = path
	}
	return out
}

// declare notes the types of a file.
func (p *pack) declare(s *source) {
	for _, decl := range s.file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			t := spec.(*ast.TypeSpec)
			p.types[t.Name.Name] = &declared{name: t.Name.Name, spec: t, file: s, marked: marked(group.Doc) && len(group.Specs) == 1 || marked(t.Doc)}
		}
	}
}

func marked(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	return slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.TrimSpace(c.Text) == Mark })
}

// methods notes the types that say themselves what they are in JSON.
func (p *pack) methods(file *ast.File) {
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv == nil || len(fn.Recv.List) != 1 {
			continue
		}
		on := fn.Recv.List[0].Type
		if star, ok := on.(*ast.StarExpr); ok {
			on = star.X
		}
		id, ok := on.(*ast.Ident)
		if !ok || p.types[id.Name] == nil {
			continue
		}
		switch fn.Name.Name {
		case "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "CodecType":
			p.types[id.Name].own = true
		}
	}
}

// choose notes the types that get methods.
func (p *pack) choose(s Settings) error {
	for _, name := range sorted(p.types) {
		d := p.types[name]
		if !d.marked && !(s.All && d.wired()) {
			continue
		}
		if err := p.reach(d, d.marked); err != nil {
			return err
		}
	}
	return nil
}

// wired reports whether d is an exported struct with json tags.
func (d *declared) wired() bool {
	t, ok := d.spec.Type.(*ast.StructType)
	if !ok || !d.spec.Name.IsExported() || d.spec.Assign.IsValid() {
		return false
	}
	return slices.ContainsFunc(t.Fields.List, func(f *ast.Field) bool {
		return f.Tag != nil && strings.Contains(f.Tag.Value, `json:"`)
	})
}

// reach chooses d and the structs that it leads to. A type that cannot have
// methods is left to encoding/json, unless its author asked for them.
func (p *pack) reach(d *declared, asked bool) error {
	if p.chosen[d.name] != nil {
		return nil
	}
	why := p.unfit(d)
	if why == nil {
		p.chosen[d.name] = d
		return p.reachIn(d, d.spec.Type)
	}
	if asked {
		at := p.fset.Position(why.pos)
		return host.Errorf(host.CodeInvalid, "%s:%d: the type %s cannot have a codec: %s", at.Filename, at.Line, d.name, why.text).
			WithHint("Change the field, or take the mark %s away: encoding/json serves the type then.", Mark)
	}
	return nil
}

func (p *pack) reachIn(d *declared, t ast.Expr) error {
	var err error
	ast.Inspect(t, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || err != nil {
			return err == nil
		}
		next := p.types[id.Name]
		if next == nil || next.own || next.spec.TypeParams != nil || next.spec.Assign.IsValid() {
			return true
		}
		if _, isStruct := next.spec.Type.(*ast.StructType); isStruct {
			err = p.reach(next, false)
		} else if next != d {
			err = p.reachIn(next, next.spec.Type)
		}
		return true
	})
	return err
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// reason says why a type cannot have methods.
type reason struct {
	pos  token.Pos
	text string
}

func because(pos token.Pos, format string, args ...any) *reason {
	return &reason{pos: pos, text: fmt.Sprintf(format, args...)}
}
