package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"sort"
	"strings"
)

// The budget. What grows past it is split by topic, or gets an exception with
// a reason.
const (
	maxFile      = 500 // lines of a file
	maxFunc      = 80  // lines of a function
	maxInterface = 6   // methods of an interface
	maxPackage   = 10  // files of a package, without tests
)

// tableRooms are the packages that are tables: one file per entry of a list.
func tableRooms() []string {
	return []string{"cmd/callboard", "host/service", "host/extension", "host/api", "host/web"}
}

// roomLines is the budget of whole rooms, in lines without tests and without
// sub-packages.
func roomLines() map[string]int {
	return map[string]int{"host": 1000, "host/plugin": 3000}
}

func checkSizes(t *tree) []finding {
	var found []finding
	files := map[string][]string{}
	lines := map[string]int{}
	for _, s := range t.gos {
		if s.generated {
			continue
		}
		if s.lines > maxFile {
			found = append(found, finding{path: s.path, line: maxFile + 1, name: "file",
				why: fmt.Sprintf("%d lines, at most %d; split it by topic", s.lines, maxFile)})
		}
		if !s.test {
			files[s.dir] = append(files[s.dir], s.path)
			lines[s.dir] += s.lines
		}
		found = append(found, longFuncs(t, s)...)
		found = append(found, wideInterfaces(t, s)...)
	}
	return append(found, largeRooms(files, lines)...)
}

func longFuncs(t *tree, s source) []finding {
	var found []finding
	check := func(name string, node ast.Node, body *ast.BlockStmt) {
		n := t.line(node.End()) - t.line(node.Pos()) + 1
		if s.test {
			n -= setApart(t, body)
		}
		if n > maxFunc {
			found = append(found, finding{path: s.path, line: t.line(node.Pos()), name: name,
				why: fmt.Sprintf("%d lines, at most %d; a big switch is a missing table", n, maxFunc)})
		}
	}
	for _, d := range s.file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		check(fn.Name.Name, fn, fn.Body)
		if !s.test {
			continue
		}
		for _, st := range fn.Body.List {
			if sub := subtest(st); sub != nil {
				check(fn.Name.Name, sub, sub.Body)
			}
		}
	}
	return found
}

// setApart are the lines of a test function that are not its own steps: its
// tables, which are data, and its subtests, which are functions.
func setApart(t *tree, body *ast.BlockStmt) int {
	n := 0
	for _, st := range body.List {
		if assign, ok := st.(*ast.AssignStmt); ok && len(assign.Rhs) == 1 {
			if table, ok := assign.Rhs[0].(*ast.CompositeLit); ok {
				n += t.line(table.End()) - t.line(table.Pos())
			}
		}
		if sub := subtest(st); sub != nil {
			n += t.line(sub.End()) - t.line(sub.Pos())
		}
	}
	return n
}

// subtest returns the function of a statement t.Run("name", func(...) {...}).
func subtest(st ast.Stmt) *ast.FuncLit {
	expr, ok := st.(*ast.ExprStmt)
	if !ok {
		return nil
	}
	call, ok := expr.X.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return nil
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Run" {
		return nil
	}
	fn, _ := call.Args[1].(*ast.FuncLit)
	return fn
}

func wideInterfaces(t *tree, s source) []finding {
	var found []finding
	for _, d := range s.file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			ts := spec.(*ast.TypeSpec)
			it, ok := ts.Type.(*ast.InterfaceType)
			if !ok {
				continue
			}
			n := 0
			for _, m := range it.Methods.List {
				n += max(1, len(m.Names))
			}
			if n > maxInterface {
				found = append(found, finding{path: s.path, line: t.line(ts.Pos()), name: ts.Name.Name,
					why: fmt.Sprintf("%d methods, at most %d; take the two or three small things you use", n, maxInterface)})
			}
		}
	}
	return found
}

func largeRooms(files map[string][]string, lines map[string]int) []finding {
	var found []finding
	for dir, list := range files {
		if len(list) > maxPackage && !slices.Contains(tableRooms(), dir) {
			sort.Strings(list)
			found = append(found, finding{path: dir, line: 1, name: "package",
				why: fmt.Sprintf("%d files, at most %d: %s", len(list), maxPackage, strings.Join(baseNames(list), " "))})
		}
		if most := roomLines()[dir]; most > 0 && lines[dir] > most {
			found = append(found, finding{path: dir, line: 1, name: "room",
				why: fmt.Sprintf("%d lines, at most %d; the core stops growing", lines[dir], most)})
		}
	}
	return found
}

func baseNames(paths []string) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p[strings.LastIndex(p, "/")+1:]
	}
	return names
}
