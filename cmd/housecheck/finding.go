package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
)

// finding is one offender and the reason why it is one.
type finding struct {
	rule string
	path string
	line int
	// name is what offends: a function, an import, a word. Exceptions match it.
	name string
	why  string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: [%s] %s: %s", f.path, f.line, f.rule, f.name, f.why)
}

func printFindings(out io.Writer, found []finding) {
	sort.SliceStable(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if a.path != b.path {
			return a.path < b.path
		}
		return a.line < b.line
	})
	for _, f := range found {
		fmt.Fprintln(out, f)
	}
}

// exceptions are the findings that were looked at and allowed, each with its
// reason. The file has one per line: rule, path, name, a colon, the reason.
type exceptions struct {
	file string
	list []exception
}

type exception struct {
	rule, path, name string
	line             int
}

// readExceptions reads the file; a file that does not exist allows nothing.
func readExceptions(file string) (exceptions, error) {
	ex := exceptions{file: file}
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ex, nil
	} else if err != nil {
		return ex, err
	}
	n := 0
	for text := range strings.Lines(string(src)) {
		n++
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		head, reason, _ := strings.Cut(text, ": ")
		words := strings.Fields(head)
		if len(words) != 3 || len(strings.TrimSpace(reason)) < 10 {
			return ex, fmt.Errorf("%s:%d: want \"rule path name: reason\", got %q", file, n, text)
		}
		ex.list = append(ex.list, exception{words[0], words[1], words[2], n})
	}
	return ex, nil
}

// apply returns the findings that no exception covers, and one finding for
// each exception that covers nothing any more.
func (ex exceptions) apply(found []finding) []finding {
	used := make([]bool, len(ex.list))
	var rest []finding
	for _, f := range found {
		covered := false
		for i, e := range ex.list {
			if e.rule == f.rule && e.path == f.path && e.name == f.name {
				used[i], covered = true, true
			}
		}
		if !covered {
			rest = append(rest, f)
		}
	}
	for i, e := range ex.list {
		if !used[i] {
			rest = append(rest, finding{rule: "exception", path: ex.file, line: e.line, name: e.path,
				why: "covers nothing any more; delete the line"})
		}
	}
	return rest
}
