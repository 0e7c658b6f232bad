package descriptor

import (
	"fmt"
	"strings"

	"github.com/callboard-dev/callboard/host/catalog/descriptor/yamltree"
)

const (
	nameWords  = "1-63 letters, digits, dots, dashes and underscores, starting and ending with a letter or digit"
	keyWords   = "a name, or a DNS name, one slash and a name, like example.com/team"
	labelWords = "an empty value, or 1-63 letters, digits, dots, dashes and underscores"
	tagWords   = "at most 63 of a-z, 0-9, :, + and #, in words joined by single dashes"
)

func (v *validation) metadata(m *Node) {
	switch {
	case m == nil:
		v.add(v.parent, "/metadata", "add metadata with a name", "metadata is missing")
		return
	case m.Kind != yamltree.Map:
		v.add(m.Line, "/metadata", "write name and the rest below it, indented", "metadata must be a map, not %s", m.Kind)
		return
	}
	const at = "/metadata"
	v.format(m, at, "name", true, validName, nameWords)
	v.format(m, at, "namespace", false, validNamespace, "1-63 of a-z and 0-9, in words joined by single dashes")
	v.str(m, at, "title", false)
	v.str(m, at, "uid", false)
	v.str(m, at, "etag", false)
	if n := m.Get("description"); n != nil && n.Kind != yamltree.String {
		v.add(n.Line, at+"/description", "put the text in quotes", "metadata.description must be a string, not %s", n.Kind)
	}
	v.pairs(m, "labels", validLabel, labelWords)
	v.pairs(m, "annotations", func(string) bool { return true }, "")
	v.tags(m.Get("tags"))
	v.links(m.Get("links"))
}

// pairs checks labels or annotations.
func (v *validation) pairs(m *Node, key string, ok func(string) bool, words string) {
	n, path := m.Get(key), "/metadata/"+key
	if n == nil {
		return
	}
	if n.Kind != yamltree.Map {
		v.add(n.Line, path, "write key: value pairs below it, or remove the key", "metadata.%s must be a map, not %s", key, n.Kind)
		return
	}
	for _, f := range n.Fields {
		at := path + "/" + pointer(f.Key)
		switch {
		case !validKey(f.Key):
			v.add(f.Line, at, "write "+keyWords, "metadata.%s has the key %s, which is not allowed", key, quote(f.Key))
		case f.Value.Kind != yamltree.String:
			v.add(f.Value.Line, at, "put the value in quotes", "metadata.%s %s must be a string, not %s", key, quote(f.Key), f.Value.Kind)
		case !ok(f.Value.Text):
			v.add(f.Value.Line, at, "write "+words, "metadata.%s %s has the value %s, which is not allowed", key, quote(f.Key), quote(f.Value.Text))
		}
	}
}

func (v *validation) tags(n *Node) {
	if !v.isList(n, "/metadata/tags", "metadata.tags") {
		return
	}
	for i, t := range n.Items {
		at := fmt.Sprintf("/metadata/tags/%d", i)
		switch {
		case t.Kind != yamltree.String:
			v.add(t.Line, at, "put the tag in quotes", "metadata.tags.%d must be a string, not %s", i, t.Kind)
		case !validTag(t.Text):
			v.add(t.Line, at, tagHint(t.Text), "the tag %s is not allowed", quote(t.Text))
		}
	}
}

// tagHint proposes the tag that was probably meant.
func tagHint(s string) string {
	fixed := strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r > 127 || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789:+#", r)
	}), "-")
	if validTag(fixed) {
		return "write " + fixed + ": " + tagWords
	}
	return "write " + tagWords
}

func (v *validation) links(n *Node) {
	if !v.isList(n, "/metadata/links", "metadata.links") {
		return
	}
	for i, l := range n.Items {
		at := fmt.Sprintf("/metadata/links/%d", i)
		if l.Kind != yamltree.Map {
			v.add(l.Line, at, "write url and title below it", "metadata.links.%d must be a map, not %s", i, l.Kind)
			continue
		}
		v.format(l, at, "url", true, validURL, "an absolute URL, like https://example.com/")
		v.format(l, at, "title", false, func(s string) bool { return strings.TrimSpace(s) != "" }, "a title, or remove it")
		v.format(l, at, "icon", false, validName, nameWords)
		v.str(l, at, "type", false)
	}
}

// isList reports whether n is there and a list.
func (v *validation) isList(n *Node, path, name string) bool {
	if n != nil && n.Kind != yamltree.List {
		v.add(n.Line, path, "write its items below it, each after a dash", "%s must be a list, not %s", name, n.Kind)
	}
	return n != nil && n.Kind == yamltree.List
}
