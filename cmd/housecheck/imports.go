package main

import (
	"slices"
	"strings"
)

// importRule forbids files under from to import packages under to. Folders are
// from the top of the tree; "host/..." is the folder and all below it. Entries
// without a project folder of that name are import paths ("net/http").
type importRule struct {
	from   []string
	spare  []string // folders under from that the rule leaves alone
	to     []string
	except []string // folders under to that may be imported
	tests  bool     // holds for test files too
	why    string
}

// nouns are the rooms with the rules of the house, one noun each. Each may
// import the words (host) and the database port; none may import another.
func nouns() []string {
	return []string{"tenant", "auth", "audit", "catalog", "kv", "queue", "secret", "quota", "blob", "cache", "search"}
}

// drivers are the backings of ports, each with its technology in its name.
func drivers() []string {
	return []string{"host/store/sqlitestore", "host/store/postgresstore"}
}

// importRules is the dependency rule: what is forbidden, and why.
func importRules() []importRule {
	rules := []importRule{
		{from: []string{"schemas/..."}, to: []string{"..."}, except: []string{"schemas/..."}, tests: true,
			why: "schemas are the words on the wire; they import nothing of ours"},
		{from: []string{"sdk/..."}, to: []string{"..."}, except: []string{"sdk/...", "schemas/..."}, tests: true,
			why: "an author's plugin pulls in nothing of the host"},
		{from: []string{"sdk/..."}, spare: []string{"sdk/roundtrip/...", "sdk/sdktest/...", "sdk/internal/..."}, to: []string{"net/http"},
			why: "net/http triples the size of a guest; sdk/roundtrip is the room that pays for it"},
		{from: []string{"plugins/...", "examples/..."}, to: []string{"..."},
			except: []string{"sdk/...", "schemas/...", "plugins/...", "examples/..."},
			why:    "first-party plugins have no private door: only sdk, schemas and client libraries"},
		{from: []string{"host/..."}, to: []string{"sdk/...", "plugins/...", "examples/...", "cmd/..."}, tests: true,
			why: "host and guest meet only in schemas, and the host does not know who wires it"},
		{from: []string{"registry/..."}, to: []string{"..."}, except: []string{"registry/...", "schemas/..."},
			why: "a registry is read by hosts and by authors; it knows only the words on the wire"},
		{from: []string{"host"}, to: []string{"..."}, tests: true,
			why: "package host is the words of the domain; every room imports it, so it imports none"},
		{from: []string{"host/store/..."}, to: []string{"host/..."}, except: []string{"host", "host/store/..."},
			why: "a port imports the words and itself"},
		{from: []string{"host/plugin/..."}, to: []string{"host/service/...", "host/extension/...", "host/api/...", "host/web/...", "host/server/..."},
			why: "the plugin room loads, grants and calls; services and extensions stand above it"},
		{from: []string{"host/service/..."}, to: []string{"host/extension/...", "host/api/...", "host/web/...", "host/server/..."},
			why: "siblings do not import one another, and nothing imports what stands above it"},
		{from: []string{"host/extension/..."}, to: []string{"host/service/...", "host/api/...", "host/web/...", "host/server/..."},
			why: "siblings do not import one another, and nothing imports what stands above it"},
		{from: []string{"host/api/..."}, to: []string{"host/web/...", "host/server/..."},
			why: "the API and the UI are siblings; what both need belongs below them"},
		{from: []string{"host/web/..."}, to: []string{"host/api/...", "host/server/..."},
			why: "the API and the UI are siblings; what both need belongs below them"},
		{from: []string{"host/mcp/..."}, to: []string{"host/..."}, except: []string{"host", "host/mcp/..."},
			why: "tools are made from the OpenAPI document and call the API as HTTP, so they can do nothing that it does not allow"},
		{from: []string{"host/config/..."}, to: []string{"host/..."}, except: []string{"host", "host/config/..."},
			why: "config is what an operator wrote; rooms get Settings, not this"},
	}
	for _, driver := range drivers() {
		own := driver + "/..."
		rules = append(rules, importRule{from: []string{"..."}, spare: []string{"cmd/callboard/...", own}, to: []string{own},
			why: "drivers are imported by cmd/callboard and tests alone"})
	}
	for _, noun := range nouns() {
		own := "host/" + noun + "/..."
		rules = append(rules, importRule{from: []string{own}, to: []string{"host/..."},
			except: []string{"host", "host/store", "host/store/driver", own},
			why:    "a noun imports the words and the database port, never another noun; declare a small interface instead"})
	}
	return rules
}

func checkImports(t *tree) []finding {
	var found []finding
	for _, s := range t.gos {
		for _, spec := range s.file.Imports {
			target := strings.Trim(spec.Path.Value, `"`)
			for _, r := range importRules() {
				if r.forbids(s, target) {
					found = append(found, finding{path: s.path, line: t.line(spec.Pos()), name: target, why: r.why})
					break
				}
			}
			if why := pluginPair(s, target); why != "" {
				found = append(found, finding{path: s.path, line: t.line(spec.Pos()), name: target, why: why})
			}
		}
	}
	return found
}

func (r importRule) forbids(s source, target string) bool {
	testRoom := strings.HasSuffix(s.dir, "test") // suites and doubles: only tests import them
	if (s.test || testRoom) && !r.tests {
		return false
	}
	if !under(s.dir, r.from) || under(s.dir, r.spare) {
		return false
	}
	dir, ours := folder(target)
	if !ours {
		return slices.Contains(r.to, target)
	}
	return dir != s.dir && !under(dir, r.except) && under(dir, r.to)
}

// pluginPair says why a plugin must not import target, if that is another plugin.
func pluginPair(s source, target string) string {
	dir, ours := folder(target)
	if !ours || !strings.HasPrefix(s.dir, "plugins/") || !strings.HasPrefix(dir, "plugins/") {
		return ""
	}
	if strings.Split(s.dir, "/")[1] == strings.Split(dir, "/")[1] {
		return ""
	}
	return "plugins meet by capability or event, never by import"
}

// folder returns the folder of a package of ours.
func folder(importPath string) (dir string, ours bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// under reports whether dir matches one of the patterns.
func under(dir string, patterns []string) bool {
	for _, p := range patterns {
		if p == "..." || p == dir {
			return true
		}
		if top, deep := strings.CutSuffix(p, "/..."); deep && (dir == top || strings.HasPrefix(dir, top+"/")) {
			return true
		}
	}
	return false
}
