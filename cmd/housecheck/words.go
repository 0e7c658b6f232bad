package main

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// spent are the words that say nothing about what a thing is for.
func spent() []string {
	return []string{"manager", "util", "utils", "common", "base", "helper", "helpers", "types", "misc", "shared"}
}

// stem splits a file's or a package's name into words.
var stem = regexp.MustCompile(`[a-z0-9]+`)

// checkWords finds packages, files and exported types with spent names.
func checkWords(t *tree) []finding {
	var found []finding
	dirs := map[string]bool{}
	for _, s := range t.gos {
		if !dirs[s.dir] {
			dirs[s.dir] = true
			if w := spentIn(path.Base(s.dir)); w != "" {
				found = append(found, finding{path: s.path, line: 1, name: path.Base(s.dir), why: "the package's name says nothing: " + w})
			}
		}
		if w := spentIn(strings.TrimSuffix(path.Base(s.path), ".go")); w != "" {
			found = append(found, finding{path: s.path, line: 1, name: path.Base(s.path), why: "the file's name says nothing: " + w})
		}
		found = append(found, spentTypes(t, s)...)
	}
	return found
}

func spentIn(name string) string {
	for _, word := range stem.FindAllString(strings.ToLower(name), -1) {
		for _, w := range spent() {
			if word == w {
				return w
			}
		}
	}
	return ""
}

func spentTypes(t *tree, s source) []finding {
	var found []finding
	for _, d := range s.file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			name := spec.(*ast.TypeSpec).Name
			for _, end := range []string{"Manager", "Util", "Utils", "Helper"} {
				if name.IsExported() && strings.HasSuffix(name.Name, end) {
					found = append(found, finding{path: s.path, line: t.line(name.Pos()), name: name.Name,
						why: "name it by what it does; " + end + " says nothing"})
				}
			}
		}
	}
	return found
}

// checkState finds init functions and package variables that functions change:
// both are state that no caller can see.
func checkState(t *tree) []finding {
	vars := packageVars(t)
	var found []finding
	for _, s := range t.gos {
		if s.test || s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				found = append(found, finding{path: s.path, line: t.line(fn.Pos()), name: "init",
					why: "registration by init hides the order; call it from the wiring"})
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				for _, id := range assigned(n) {
					if id.Name != "_" && vars[s.dir][id.Name] && packageLevel(s, id) {
						found = append(found, finding{path: s.path, line: t.line(id.Pos()), name: id.Name,
							why: "changes a package variable; keep the state in a value that somebody owns"})
					}
				}
				return true
			})
		}
	}
	return found
}

func packageVars(t *tree) map[string]map[string]bool {
	vars := map[string]map[string]bool{}
	for _, s := range t.gos {
		for _, d := range s.file.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR || s.test {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if vars[s.dir] == nil {
						vars[s.dir] = map[string]bool{}
					}
					vars[s.dir][name.Name] = true
				}
			}
		}
	}
	return vars
}

// assigned returns the variables that a statement changes, directly or through
// an index.
func assigned(n ast.Node) []*ast.Ident {
	var targets []ast.Expr
	switch st := n.(type) {
	case *ast.AssignStmt:
		if st.Tok == token.DEFINE {
			return nil
		}
		targets = st.Lhs
	case *ast.IncDecStmt:
		targets = []ast.Expr{st.X}
	}
	var ids []*ast.Ident
	for _, e := range targets {
		if ix, ok := e.(*ast.IndexExpr); ok {
			e = ix.X
		}
		if id, ok := e.(*ast.Ident); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// packageLevel reports whether the identifier is not one of the function's own:
// the parser resolves those, and leaves names of other files unresolved.
func packageLevel(s source, id *ast.Ident) bool {
	return id.Obj == nil || s.file.Scope.Lookup(id.Name) == id.Obj
}
