package web

import (
	"cmp"
	"net/url"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/web/ui"
)

// entityURL is the address of an entity's page.
func entityURL(ref catalog.Ref) string {
	ns := cmp.Or(ref.Namespace, "default")
	return "/catalog/" + url.PathEscape(strings.ToLower(ns)) + "/" + url.PathEscape(strings.ToLower(ref.Kind)) + "/" + url.PathEscape(strings.ToLower(ref.Name))
}

// nameOf is what an entity is called: its title, or its name.
func nameOf(e catalog.Entity) string { return cmp.Or(e.Title, e.Ref.Name) }

// iconOf is the icon of an entity's kind.
func iconOf(kind string) string {
	switch k := strings.ToLower(kind); k {
	case "component", "api", "resource", "system", "domain", "group", "user", "location", "template":
		return k
	}
	return "box"
}

// kindWord spells a kind the way descriptors do, whatever its case was.
func kindWord(kind string) string {
	switch k := strings.ToLower(kind); k {
	case "api":
		return "API"
	case "component", "resource", "system", "domain", "group", "user", "location", "template":
		return strings.ToUpper(k[:1]) + k[1:]
	}
	return kind
}

// refLabel is a ref as people say it: without the kind, and without the
// namespace where it is the default one.
func refLabel(ref catalog.Ref) string {
	if ref.Namespace == "" || strings.EqualFold(ref.Namespace, "default") {
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}

func ownerLink(owner string) g.Node {
	if owner == "" {
		return h.Span(h.Class("quiet"), g.Text("none"))
	}
	ref, err := catalog.ParseRef(owner, catalog.Ref{Kind: "group", Namespace: "default"})
	if err != nil {
		return g.Text(owner)
	}
	return h.A(h.Class("nowrap"), h.Href(entityURL(ref)), g.Text(refLabel(ref)))
}

// lifecycleChip gives the well-known lifecycles their tones.
func lifecycleChip(e catalog.Entity) g.Node {
	if e.Orphan {
		return ui.Chip{Text: "orphan", Tone: ui.Warn}
	}
	switch e.Lifecycle {
	case "":
		return h.Span(h.Class("quiet"), g.Text("–"))
	case "production":
		return ui.Chip{Text: e.Lifecycle, Tone: ui.Good}
	case "experimental":
		return ui.Chip{Text: e.Lifecycle, Tone: ui.Warn}
	case "deprecated":
		return ui.Chip{Text: e.Lifecycle, Tone: ui.Bad}
	}
	return ui.Chip{Text: e.Lifecycle}
}

// relationWord is a relation in words, and whether its arrow points to the
// entity that carries it.
func relationWord(typ string) (word string, incoming bool) {
	words := map[string]string{
		"ownedBy": "owned by", "ownerOf": "owner of", "consumesApi": "consumes", "apiConsumedBy": "consumed by",
		"providesApi": "provides", "apiProvidedBy": "provided by", "dependsOn": "depends on", "dependencyOf": "used by",
		"parentOf": "parent of", "childOf": "child of", "memberOf": "member of", "hasMember": "has member",
		"partOf": "part of", "hasPart": "has part",
	}
	switch typ {
	case "ownerOf", "apiConsumedBy", "dependencyOf", "parentOf", "hasMember", "hasPart", "apiProvidedBy":
		incoming = true
	}
	if word = words[typ]; word == "" {
		word = typ
	}
	return word, incoming
}
