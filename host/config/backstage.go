package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// backstage reads what app-config.yaml says that has a meaning here.
func (f *file) backstage(top map[string]any) {
	app, backend, catalog := section(top, "app"), section(top, "backend"), section(top, "catalog")
	f.base("app.baseUrl", app["baseUrl"])
	f.base("backend.baseUrl", backend["baseUrl"])
	f.database(section(backend, "database"))
	f.readingAllow(section(backend, "reading")["allow"])
	f.catalogLocations(catalog["locations"])
	f.rules = f.catalogRules("catalog.rules", catalog["rules"])
	for _, key := range []string{"integrations", "proxy", "auth"} {
		if _, ok := top[key]; ok {
			f.warnings = append(f.warnings, f.where(key)+": the section "+key+" is not used; plugins carry their own configuration and credentials")
		}
	}
}

func section(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	return s
}

// base takes a URL where nothing nearer to us has said one.
func (f *file) base(path string, v any) {
	if v == nil {
		return
	}
	if _, said := f.own["base-url"]; said {
		return
	}
	if s, ok := f.scalar(path, v); ok {
		f.own["base-url"] = value{s, f.where(path)}
	}
}

// database turns backend.database into a database URL. SQLite needs none.
func (f *file) database(db map[string]any) {
	if _, said := f.own["database-url"]; said || db == nil {
		return
	}
	client, _ := f.scalar("backend.database.client", db["client"])
	const at = "backend.database.connection"
	switch {
	case client == "better-sqlite3" || client == "sqlite3" || client == "":
		return
	case client != "pg":
		f.fault("backend.database.client", "backend.database.client %q is not supported; use pg or better-sqlite3", client)
		return
	}
	conn, ok := db["connection"].(map[string]any)
	if !ok {
		if s, ok := f.scalar(at, db["connection"]); ok {
			f.own["database-url"] = value{s, f.where(at)}
		}
		return
	}
	u := url.URL{Scheme: "postgres", Host: "localhost:5432", Path: "/callboard"}
	get := func(key string) string {
		s, _ := f.scalar(at+"."+key, conn[key])
		return s
	}
	if h := get("host"); h != "" {
		u.Host = h + ":5432"
		if p := get("port"); p != "" {
			u.Host = h + ":" + p
		}
	}
	if user := get("user"); user != "" {
		u.User = url.UserPassword(user, get("password"))
	}
	if name := get("database"); name != "" {
		u.Path = "/" + name
	}
	if _, tls := conn["ssl"]; tls {
		u.RawQuery = "sslmode=require"
	}
	f.own["database-url"] = value{u.String(), f.where(at)}
}

// readingAllow takes backend.reading.allow.
func (f *file) readingAllow(v any) {
	const at = "backend.reading.allow"
	for i, item := range f.list(at, v) {
		path := fmt.Sprintf("%s[%d]", at, i)
		m, ok := item.(map[string]any)
		if !ok {
			f.fault(path, "%s must be a mapping with host", path)
			continue
		}
		h, ok := f.scalar(path+".host", m["host"])
		if !ok || h == "" || strings.ContainsAny(h, "/ ") {
			f.fault(path, "%s needs host, a name or address with a port where it is not the usual one, for example git.example.com:8443", path)
			continue
		}
		g := ReadingGrant{Host: strings.ToLower(h)}
		for j, p := range f.list(path+".paths", m["paths"]) {
			if s, ok := f.scalar(fmt.Sprintf("%s.paths[%d]", path, j), p); ok {
				g.Paths = append(g.Paths, s)
			}
		}
		f.reading = append(f.reading, g)
	}
}

// catalogLocations takes catalog.locations.
func (f *file) catalogLocations(v any) {
	const at = "catalog.locations"
	for i, item := range f.list(at, v) {
		path := fmt.Sprintf("%s[%d]", at, i)
		m, ok := item.(map[string]any)
		if !ok {
			f.fault(path, "%s must be a mapping with type and target", path)
			continue
		}
		typ, ok1 := f.scalar(path+".type", m["type"])
		target, ok2 := f.scalar(path+".target", m["target"])
		if !ok1 || !ok2 || typ == "" || target == "" {
			f.fault(path, "%s needs type (file, url or git) and target", path)
			continue
		}
		if typ == "file" && !filepath.IsAbs(target) {
			target = filepath.Join(f.dir, target)
		}
		l := Location{Type: typ, Target: target, Where: f.where(path)}
		for _, r := range f.catalogRules(path+".rules", m["rules"]) {
			l.Allow = append(l.Allow, r.Allow...)
		}
		f.locations = append(f.locations, l)
	}
}

// catalogRules takes a list of {allow: [kinds], locations: [...]}.
func (f *file) catalogRules(at string, v any) []Rule {
	var rules []Rule
	for i, item := range f.list(at, v) {
		path := fmt.Sprintf("%s[%d]", at, i)
		m, ok := item.(map[string]any)
		if !ok {
			f.fault(path, "%s must be a mapping with allow", path)
			continue
		}
		var r Rule
		for j, k := range f.list(path+".allow", m["allow"]) {
			at := fmt.Sprintf("%s.allow[%d]", path, j)
			if obj, ok := k.(map[string]any); ok { // newer form: {kind: Component}
				k = obj["kind"]
			}
			if s, ok := f.scalar(at, k); ok {
				r.Allow = append(r.Allow, s)
			}
		}
		for j, l := range f.list(path+".locations", m["locations"]) {
			lm, _ := l.(map[string]any)
			at := fmt.Sprintf("%s.locations[%d]", path, j)
			typ, _ := f.scalar(at+".type", lm["type"])
			target, _ := f.scalar(at+".target", lm["target"])
			r.Locations = append(r.Locations, Location{Type: typ, Target: target, Where: f.where(at)})
		}
		rules = append(rules, r)
	}
	return rules
}

// list returns v as a list; nothing is an empty one.
func (f *file) list(path string, v any) []any {
	if v == nil {
		return nil
	}
	l, ok := v.([]any)
	if !ok {
		f.fault(path, "%s must be a list", path)
	}
	return l
}
