package source

import (
	"path"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// maxMatches is how many files one pattern may select.
const maxMatches = 2000

func tooMany(pattern string) *host.Error {
	return host.Errorf(host.CodeTooLarge, "%s selects more than %d files", pattern, maxMatches).
		WithHint("use a narrower pattern, or several locations")
}

func hasWildcard(p string) bool { return strings.ContainsAny(p, "*?[") }

// fixedPart returns the folder before the first wildcard, "." for none.
func fixedPart(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if hasWildcard(p) {
			if i == 0 {
				return "."
			}
			return strings.Join(parts[:i], "/")
		}
	}
	return path.Dir(pattern)
}

// compileGlob returns what matches slash separated paths: *, ? and [] stay
// within a segment, a segment ** stands for any number of them.
func compileGlob(pattern string) (func(string) bool, error) {
	parts := strings.Split(pattern, "/")
	if _, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), ""); err != nil || strings.Count(pattern, "**") > 3 {
		return nil, host.Errorf(host.CodeInvalid, "%q is not a pattern", pattern).
			WithHint("use * within a folder and at most three ** across folders; close every [")
	}
	return func(p string) bool { return matchParts(parts, strings.Split(p, "/")) }, nil
}

func matchParts(pattern, parts []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := 0; i <= len(parts); i++ {
				if matchParts(pattern[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], parts[0]); err != nil || !ok {
			return false
		}
		pattern, parts = pattern[1:], parts[1:]
	}
	return len(parts) == 0
}
