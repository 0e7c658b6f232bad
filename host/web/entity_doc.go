package web

import (
	"encoding/json"
	"strings"

	"github.com/goccy/go-yaml"
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/web/ui"
)

// link is one of an entity's metadata.links.
type link struct {
	URL   string `json:"url"`
	Title string `json:"title"`
	Type  string `json:"type"`
}

func linksOf(e catalog.Entity) []link {
	var doc struct {
		Metadata struct {
			Links []link `json:"links"`
		} `json:"metadata"`
	}
	if json.Unmarshal(e.Doc, &doc) != nil {
		return nil
	}
	return doc.Metadata.Links[:min(len(doc.Metadata.Links), 50)]
}

// descriptor shows the entity's document as YAML, the way it is written.
func (v *visit) descriptor(e catalog.Entity) g.Node {
	text, err := yaml.JSONToYAML(e.Doc)
	if err != nil {
		text = e.Doc
	}
	return ui.Card{Title: "Descriptor", Origin: h.Span(h.Class("origin"), g.Text("as the catalog keeps it, read "), ui.Ago(e.UpdatedAt, v.now())),
		Body: ui.Code{Title: e.Ref.String() + ".yaml", Text: string(text), Tall: true, Lines: yamlLines(string(text))}}
}

// yamlLines marks keys, comments and plain values, with numbers before them.
func yamlLines(text string) []g.Node {
	var out []g.Node
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		out = append(out, yamlLine(line), g.Text("\n"))
	}
	return out
}

func yamlLine(line string) g.Node {
	body := strings.TrimLeft(line, " -")
	indent := line[:len(line)-len(body)]
	if strings.HasPrefix(body, "#") {
		return g.Group{g.Text(indent), h.Span(h.Class("y-com"), g.Text(body))}
	}
	key, value, found := strings.Cut(body, ":")
	if !found || strings.ContainsAny(key, "\"' ") || value != "" && value[0] != ' ' {
		return g.Group{g.Text(indent), yamlValue(body)}
	}
	return g.Group{g.Text(indent), h.Span(h.Class("y-key"), g.Text(key)), g.Text(":"), yamlValue(value)}
}

func yamlValue(value string) g.Node {
	trimmed := strings.TrimSpace(value)
	class := ""
	switch {
	case trimmed == "":
		return g.Text(value)
	case trimmed == "true", trimmed == "false", trimmed == "null", strings.Trim(trimmed, "0123456789.-") == "":
		class = "y-num"
	case trimmed[0] == '"', trimmed[0] == '\'':
		class = "y-str"
	default:
		return g.Text(value)
	}
	return h.Span(h.Class(class), g.Text(value))
}
