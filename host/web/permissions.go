package web

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// asked are a manifest's permissions in words, one row for each, in the
// manifest's order, so that a row's index names its permission.
func asked(m *manifestv1.Manifest) []form.Permission {
	var out []form.Permission
	for _, p := range m.Permissions {
		out = append(out, permission(m, p))
	}
	return out
}

// serviceIcon is the picture of a permission; a shield for those without one.
func serviceIcon(service string) string {
	switch service {
	case "http/v1":
		return "globe"
	case "kv/v1", "table/v1", "blob/v1", "cache/v1":
		return "database"
	case "catalog/v1", "search/v1":
		return "list"
	}
	return "shield"
}

// permission says in words what one permission allows.
func permission(m *manifestv1.Manifest, p manifestv1.Permission) form.Permission {
	w := grant.Words(p, func(name string) string { return secretTitle(m, name) })
	return form.Permission{Icon: serviceIcon(p.Type), Verb: w.Verb, Object: w.Object, Reason: p.Reason, Note: strings.Join(w.Notes, " ")}
}

func secretTitle(m *manifestv1.Manifest, name string) string {
	for _, s := range m.Secrets {
		if s.Name == name {
			return cmp.Or(s.Title, s.Name)
		}
	}
	return name
}

// granted are an installed plugin's permissions, each with what became of it.
func granted(in plugin.Instance) []form.Permission {
	out := asked(in.Manifest)
	for i, p := range in.Manifest.Permissions {
		out[i].Change = form.Refused
		for _, g := range in.Grants {
			if sameAim(g, p) {
				out[i].Change = form.Granted
				if !reflect.DeepEqual(withoutReason(g), withoutReason(p)) {
					out[i].Note = strings.TrimSpace(out[i].Note + " Granted narrower: " + grant.Words(g, nil).Object + ".")
				}
			}
		}
	}
	return out
}

// compared are a newer release's permissions beside those of the installed
// one: new, unchanged, or dropped. Before them stands what else the release
// could do more.
func compared(in plugin.Instance, next *manifestv1.Manifest, wider []plugin.Grant, widened []string) []form.Permission {
	out := asked(next)
	for i, p := range next.Permissions {
		out[i].Change = form.Unchanged
		if slices.ContainsFunc(wider, func(w plugin.Grant) bool { return reflect.DeepEqual(withoutReason(w), withoutReason(p)) }) {
			before := grant.Before(in.Grants, p, func(name string) string { return secretTitle(in.Manifest, name) })
			out[i].Change, out[i].Note = form.New, strings.TrimSpace(out[i].Note+" "+before)
		}
	}
	slices.SortStableFunc(out, func(a, b form.Permission) int { return cmp.Compare(weightOf(a.Change), weightOf(b.Change)) })
	for _, p := range in.Manifest.Permissions {
		if !slices.ContainsFunc(next.Permissions, func(n manifestv1.Permission) bool { return sameAim(n, p) }) {
			gone := permission(in.Manifest, p)
			gone.Change = form.Dropped
			out = append(out, gone)
		}
	}
	more := make([]form.Permission, 0, len(widened)+len(out))
	for _, sentence := range widened {
		more = append(more, form.Permission{Icon: "shield", Verb: sentence, Change: form.New})
	}
	return append(more, out...)
}

func weightOf(c form.Change) int {
	if c == form.New {
		return 0
	}
	return 1
}

// sameAim reports whether two permissions speak of the same thing, perhaps one
// more narrowly.
func sameAim(a, b manifestv1.Permission) bool {
	if a.Type != b.Type {
		return false
	}
	if a.Type != "http/v1" || len(a.Hosts) == 0 || len(b.Hosts) == 0 {
		return true
	}
	same := a.Auth == nil && b.Auth == nil || a.Auth != nil && b.Auth != nil && a.Auth.Secret == b.Auth.Secret
	return same && slices.ContainsFunc(a.Hosts, func(h string) bool { return slices.Contains(b.Hosts, h) })
}

func withoutReason(p manifestv1.Permission) manifestv1.Permission {
	p.Reason = ""
	return p
}

// chosen are the permissions whose boxes the form sent, by index.
func chosen(m *manifestv1.Manifest, indexes []string) []plugin.Grant {
	out := []plugin.Grant{}
	for _, text := range indexes {
		i, err := strconv.Atoi(text)
		if err == nil && i >= 0 && i < len(m.Permissions) {
			out = append(out, m.Permissions[i])
		}
	}
	return out
}
