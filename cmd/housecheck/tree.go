package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// module is the import path of the project's root.
const module = "github.com/callboard-dev/callboard"

// source is one Go file of the project.
type source struct {
	path      string // slash-separated, from the top of the tree
	dir       string
	test      bool
	generated bool
	lines     int
	file      *ast.File
}

// tree is everything that the rules look at.
type tree struct {
	root  string
	paths []string // every file that is tracked, or would be
	fset  *token.FileSet
	gos   []source
}

// rule is one family of findings.
type rule struct {
	name  string
	check func(t *tree) []finding
}

// rules are all rules over the tree, in the order in which they print.
func rules() []rule {
	return []rule{
		{"import", checkImports},
		{"size", checkSizes},
		{"word", checkWords},
		{"state", checkState},
		{"doc", checkDocs},
		{"text", checkText},
		{"link", checkLinks},
		{"top", checkTop},
	}
}

func runTree(args []string, _ io.Reader, out io.Writer) int {
	flags := flag.NewFlagSet("tree", flag.ContinueOnError)
	flags.SetOutput(out)
	root := flags.String("root", ".", "top of the working tree")
	exceptions := flags.String("exceptions", ".ci/exceptions", "file of exceptions, from the root")
	if flags.Parse(args) != nil {
		return exitUsage
	}
	t, err := loadTree(*root)
	if err != nil {
		fmt.Fprintln(out, "housecheck:", err)
		return exitFound
	}
	allowed, err := readExceptions(filepath.Join(*root, *exceptions))
	if err != nil {
		fmt.Fprintln(out, "housecheck:", err)
		return exitFound
	}
	var found []finding
	for _, r := range rules() {
		for _, f := range r.check(t) {
			f.rule = r.name
			found = append(found, f)
		}
	}
	found = allowed.apply(found)
	printFindings(out, found)
	fmt.Fprintf(out, "housecheck: %d Go files, %d rules, %d exceptions, %d findings\n",
		len(t.gos), len(rules()), len(allowed.list), len(found))
	if len(found) > 0 {
		return exitFound
	}
	return exitOK
}

// loadTree lists the files under root as git sees them (a folder that is no
// repository is walked) and parses the Go files outside testdata.
func loadTree(root string) (*tree, error) {
	paths, err := listFiles(root)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, paths: paths, fset: token.NewFileSet()}
	for _, p := range paths {
		if !strings.HasSuffix(p, ".go") || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		} else if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(t.fset, p, src, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", p, err)
		}
		t.gos = append(t.gos, source{
			path: p, dir: path.Dir(p), file: file,
			test:      strings.HasSuffix(p, "_test.go"),
			generated: ast.IsGenerated(file),
			lines:     bytes.Count(src, []byte("\n")),
		})
	}
	return t, nil
}

func listFiles(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return walkFiles(root)
	}
	seen := map[string]bool{}
	var paths []string
	for p := range strings.SplitSeq(string(out), "\x00") {
		if p != "" && !seen[p] {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	sort.Strings(paths)
	return paths, nil
}

func walkFiles(root string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	return paths, err
}

// line is the line of a position of the tree.
func (t *tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }
