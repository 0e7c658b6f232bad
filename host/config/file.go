package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 1 << 20

// value is a scalar with the place where it stands.
type value struct{ text, where string }

// file is a configuration file, understood.
type file struct {
	name, dir string
	env       Lookup
	lines     map[string]int // path -> line
	own       map[string]value
	reading   []ReadingGrant
	locations []Location
	rules     []Rule
	faults    []error
	warnings  []string
}

// parse reads src. A syntax error comes back alone, with its place.
func parse(src []byte, name, dir string, env Lookup) (*file, error) {
	f := &file{name: name, dir: dir, env: env, lines: map[string]int{}, own: map[string]value{}}
	tree, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, yamlFault(name, err)
	}
	var doc any
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, yamlFault(name, err)
	}
	if doc == nil {
		return f, nil
	}
	top, ok := doc.(map[string]any)
	if !ok {
		return nil, fault(name+":1", "the file must be a mapping of settings")
	}
	for _, d := range tree.Docs {
		f.mark("", d.Body)
	}
	f.ownSettings(top)
	f.backstage(top)
	return f, nil
}

// mark remembers the line of every key and item.
func (f *file) mark(path string, n ast.Node) {
	switch x := n.(type) {
	case *ast.MappingNode:
		for _, v := range x.Values {
			f.mark(path, v)
		}
	case *ast.MappingValueNode:
		key := join(path, strings.Trim(x.Key.String(), `"'`))
		f.lines[key] = x.Key.GetToken().Position.Line
		f.mark(key, x.Value)
	case *ast.SequenceNode:
		for i, v := range x.Values {
			key := fmt.Sprintf("%s[%d]", path, i)
			f.lines[key] = v.GetToken().Position.Line
			f.mark(key, v)
		}
	case *ast.AnchorNode:
		f.mark(path, x.Value)
	case *ast.TagNode:
		f.mark(path, x.Value)
	}
}

// where names the place of a path, or of the nearest one above it.
func (f *file) where(path string) string {
	for p := path; p != ""; {
		if line, ok := f.lines[p]; ok {
			return fmt.Sprintf("%s:%d", f.name, line)
		}
		cut := strings.LastIndexAny(p, ".[")
		if cut < 0 {
			break
		}
		p = p[:cut]
	}
	return f.name
}

// ownSettings takes Callboard's settings: from the section "callboard", where
// a strange key is a mistake, and from the top, where other software's
// sections stand too and only what looks misspelt is one.
func (f *file) ownSettings(top map[string]any) {
	known := map[string]bool{}
	for _, o := range options() {
		known[o.name] = true
	}
	if section, ok := top["callboard"]; ok {
		m, ok := section.(map[string]any)
		if !ok && section != nil {
			f.fault("callboard", "callboard must be a mapping of settings")
		}
		for key, v := range m {
			f.takeAll(known, kebab(key), join("callboard", key), v, true)
		}
	}
	for key, v := range top {
		if key != "callboard" && !isSection(key) {
			f.takeAll(known, kebab(key), key, v, false)
		}
	}
}

// takeAll takes a setting, or each of the sections mail and plugins, whose keys
// are those of the flags that begin with their name. In plugins a mapping is
// what its flag writes as name=value.
func (f *file) takeAll(known map[string]bool, name, path string, v any, strict bool) {
	section, ok := v.(map[string]any)
	if name != "mail" && name != "plugins" || !ok {
		f.take(known, name, path, v, strict)
		return
	}
	for key, inner := range section {
		if m, ok := inner.(map[string]any); ok && name == "plugins" && known[name+"-"+kebab(key)] {
			text, ok := flat(m)
			if !ok {
				f.fault(join(path, key), "%s must hold numbers and texts", join(path, key))
				continue
			}
			inner = text
		}
		f.take(known, name+"-"+kebab(key), join(path, key), inner, true)
	}
}

// take stores one own setting or says what is wrong with its key.
func (f *file) take(known map[string]bool, name, path string, v any, strict bool) {
	if !known[name] {
		near := nearest(name, known)
		if near != "" {
			f.faults = append(f.faults, fault(f.where(path), "unknown setting %q", path).WithHint("did you mean %q?", near))
		} else if strict {
			f.faults = append(f.faults, fault(f.where(path), "unknown setting %q", path).
				WithHint("callboard serve --help lists the settings; a key is a flag without its dashes"))
		}
		return
	}
	if _, twice := f.own[name]; twice {
		f.fault(path, "%s is set twice, at the top and under callboard", name)
		return
	}
	s, ok := f.scalar(path, v)
	if ok {
		f.own[name] = value{s, f.where(path)}
	}
}

// isSection reports whether a top-level key is one of Backstage's.
func isSection(key string) bool {
	switch key {
	case "app", "backend", "catalog", "organization", "integrations", "proxy", "techdocs", "auth",
		"scaffolder", "kubernetes", "costInsights", "permission", "search", "events", "notifications",
		"home", "sentry", "jenkins", "argocd", "grafana", "customData", "dynamicPlugins", "enabled":
		return true
	}
	return false
}

// scalar returns v as text, with variables filled in.
func (f *file) scalar(path string, v any) (string, bool) {
	switch x := v.(type) {
	case nil:
		return "", false
	case string:
		return f.expand(path, x)
	case map[string]any:
		return f.include(path, x)
	case []any:
		f.fault(path, "%s must be a single value, not a list", path)
		return "", false
	default:
		return fmt.Sprint(x), true
	}
}

// include reads Backstage's {$env: NAME} and {$file: path}.
func (f *file) include(path string, m map[string]any) (string, bool) {
	if name, ok := m["$env"].(string); ok {
		v, set := f.env(name)
		if !set {
			f.fault(path, "%s names the environment variable %s, which is not set", path, name)
		}
		return v, set
	}
	if name, ok := m["$file"].(string); ok {
		if !filepath.IsAbs(name) {
			name = filepath.Join(f.dir, name)
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			f.fault(path, "%s names a file that cannot be read: %v", path, err)
			return "", false
		}
		return strings.TrimSpace(string(raw)), true
	}
	f.fault(path, "%s must be a single value, not a mapping", path)
	return "", false
}

func (f *file) fault(path, format string, args ...any) {
	f.faults = append(f.faults, fault(f.where(path), format, args...))
}

// into hands over what only the file can say.
func (f *file) into(c *Config) {
	c.Reading, c.Locations, c.Rules = f.reading, f.locations, f.rules
	c.Warnings = append(c.Warnings, f.warnings...)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
