package main

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkDocs finds packages without a door-plate and exported things that do not
// say what they mean.
func checkDocs(t *tree) []finding {
	var found []finding
	documented := map[string]bool{}
	first := map[string]source{}
	for _, s := range t.gos {
		if s.test {
			continue
		}
		if s.file.Doc != nil {
			documented[s.dir] = true
		}
		if _, ok := first[s.dir]; !ok {
			first[s.dir] = s
		}
		if !s.generated && s.file.Name.Name != "main" {
			found = append(found, silentDecls(t, s)...)
		}
	}
	for dir, s := range first {
		if !documented[dir] {
			found = append(found, finding{path: s.path, line: 1, name: s.file.Name.Name,
				why: "the package has no doc; say in one sentence what the room is for"})
		}
	}
	return found
}

func silentDecls(t *tree, s source) []finding {
	var found []finding
	add := func(id *ast.Ident) {
		found = append(found, finding{path: s.path, line: t.line(id.Pos()), name: id.Name,
			why: "exported without a comment that says what it means"})
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d) {
				add(d.Name)
			}
		case *ast.GenDecl:
			if d.Tok == token.IMPORT || d.Doc != nil {
				continue
			}
			for _, id := range silentSpecs(d) {
				add(id)
			}
		}
	}
	return found
}

func silentSpecs(d *ast.GenDecl) []*ast.Ident {
	var ids []*ast.Ident
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
				ids = append(ids, spec.Name)
			}
		case *ast.ValueSpec:
			// A value of a named type is documented with its type.
			typed := d.Tok == token.CONST && spec.Type != nil
			if spec.Doc == nil && spec.Comment == nil && !typed && spec.Names[0].IsExported() {
				ids = append(ids, spec.Names[0])
			}
		}
	}
	return ids
}

// exportedReceiver reports whether the function is one or belongs to an
// exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// wellKnown are the methods whose meaning an interface of the standard library
// states already.
func wellKnown(d *ast.FuncDecl) bool {
	const known = " Error String Unwrap Is As Close ServeHTTP MarshalJSON UnmarshalJSON MarshalText UnmarshalText Read Write Len Less Swap Value Scan RoundTrip Deadline Done Err "
	return d.Recv != nil && strings.Contains(known, " "+d.Name.Name+" ")
}
