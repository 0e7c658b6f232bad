package main

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// textRule is a pattern that no tracked text may hold.
type textRule struct {
	name    string
	pattern *regexp.Regexp
	files   *regexp.Regexp // nil: every text file
	why     string
}

func textRules() []textRule {
	code := regexp.MustCompile(`(\.(go|sh|mjs|js|ts|css|yaml|yml)|Makefile|Dockerfile)$`)
	goTests := regexp.MustCompile(`_test\.go$`)
	return []textRule{
		{"machine-path", regexp.MustCompile(`(^|[^A-Za-z0-9_.$}\-])/(home/[a-z]+|root|Users/[A-Za-z]+|work)/`), nil,
			"a path of one machine; use a relative or a temporary one"},
		{"unfinished", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), code,
			"unfinished work; finish it or open an issue"},
		{"sleep", regexp.MustCompile(`\btime\.Sl` + `eep\(`), goTests,
			"a test waits on a condition with a deadline, never on the clock"},
		{"conflict", regexp.MustCompile(`^(<{7}|>{7}) `), nil,
			"a merge left its mark"},
	}
}

// unread are paths whose text others wrote or a tool made.
var unread = regexp.MustCompile(`(^|/)(testdata|node_modules|dist)/|(^|/)(go\.sum|go\.work\.sum|package-lock\.json|LICENSE)$`)

// maxText is the size above which a file is not read as text.
const maxText = 1 << 20

func checkText(t *tree) []finding {
	var found []finding
	for _, p := range t.paths {
		if unread.MatchString(p) {
			continue
		}
		info, err := os.Stat(filepath.Join(t.root, p))
		if err != nil || info.Size() > maxText || !info.Mode().IsRegular() {
			continue
		}
		src, err := os.ReadFile(filepath.Join(t.root, p))
		if err != nil || bytes.IndexByte(src, 0) >= 0 {
			continue
		}
		found = append(found, textIn(p, string(src))...)
	}
	return found
}

func textIn(p, src string) []finding {
	var found []finding
	rules := textRules()
	n := 0
	for line := range strings.Lines(src) {
		n++
		for _, r := range rules {
			if (r.files == nil || r.files.MatchString(p)) && r.pattern.MatchString(line) {
				found = append(found, finding{path: p, line: n, name: r.name, why: r.why})
			}
		}
	}
	return found
}

// link is a relative link of a Markdown text.
var link = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)

// checkLinks finds relative links that lead nowhere.
func checkLinks(t *tree) []finding {
	var found []finding
	for _, p := range t.paths {
		if !strings.HasSuffix(p, ".md") || unread.MatchString(p) {
			continue
		}
		src, err := os.ReadFile(filepath.Join(t.root, p))
		if err != nil {
			continue // deleted, not committed yet
		}
		n := 0
		for line := range strings.Lines(string(src)) {
			n++
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if _, err := os.Stat(filepath.Join(t.root, path.Dir(p), m[1])); err != nil {
					found = append(found, finding{path: p, line: n, name: m[1], why: "the link leads nowhere"})
				}
			}
		}
	}
	return found
}

// topFolders are the rooms of the house.
func topFolders() []string {
	return []string{"host", "sdk", "plugins", "schemas", "registry", "cmd", "examples", "deploy", "docs"}
}

// topFiles are the other entries that may stand at the top of the tree.
var topFiles = regexp.MustCompile(`^(go\.(mod|sum|work|work\.sum)|Makefile|LICENSE|NOTICE|[A-Z]+\.md|mkdocs\.yml|catalog-info\.yaml|package(-lock)?\.json|\..*)$`)

// checkTop finds entries at the top of the tree that are not in the plan.
func checkTop(t *tree) []finding {
	var found []finding
	seen := map[string]bool{}
	for _, p := range t.paths {
		top, rest, nested := strings.Cut(p, "/")
		if seen[top] {
			continue
		}
		seen[top] = true
		if nested && rest != "" && slices.Contains(topFolders(), top) || topFiles.MatchString(top) {
			continue
		}
		found = append(found, finding{path: path.Clean(p), line: 1, name: top, why: "not in the plan of the house; a new room needs a reason in RATIONALE.md"})
	}
	return found
}
