package gallery

import (
	"encoding/json"

	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui/form"
)

// exampleSchema has one property of each kind that the form knows.
const exampleSchema = `{
  "type": "object",
  "required": ["url", "range"],
  "properties": {
    "url": {"type": "string", "format": "uri", "title": "Prometheus URL", "description": "Where the API answers, without /api/v1.", "examples": ["https://prometheus.example.org"]},
    "range": {"type": "string", "enum": ["1h", "6h", "24h"], "default": "6h", "title": "Shown range"},
    "step": {"type": "integer", "minimum": 5, "maximum": 3600, "default": 60, "title": "Step in seconds"},
    "alerts": {"type": "boolean", "default": true, "title": "Show alerts", "description": "Alerts of the service stand on its overview."},
    "labels": {"type": "array", "items": {"type": "string"}, "title": "Labels to show", "default": ["job", "instance"]},
    "servers": {"type": "array", "title": "More servers", "description": "An entity chooses one of them.", "items": {"type": "object", "required": ["name"], "properties": {
      "name": {"type": "string", "title": "Name"}, "url": {"type": "string", "format": "uri", "title": "URL"}}}},
    "query": {"type": "object", "title": "Queries", "properties": {
      "latency": {"type": "string", "title": "Latency", "maxLength": 2000},
      "headers": {"type": "object", "title": "Extra headers", "additionalProperties": {"type": "string"}}}}
  }
}`

func forms() []Specimen {
	order := []string{"url", "range", "step"}
	return []Specimen{fields(), {ID: "schema-form", Title: "JSON Schema form", About: "A plugin's configuration, from the schema in its manifest.", States: []State{
		{Name: "With defaults", Node: h.Div(h.Class("form"), form.Schema{Source: json.RawMessage(exampleSchema), Order: order})},
		{Name: "With values and errors", Node: h.Div(h.Class("form"), form.Schema{Source: json.RawMessage(exampleSchema), Order: order, Prefix: "wrong",
			Value:  json.RawMessage(`{"url": "prometheus", "range": "24h", "step": 2, "alerts": false, "servers": [{"name": "eu", "url": "https://eu.example.org"}]}`),
			Errors: map[string]string{"/url": "Write a whole address with scheme, for example https://prometheus.example.org.", "/step": "Must be at least 5."}})},
		{Name: "Nothing to configure", Node: form.Schema{}},
	}}, consent()}
}

func fields() Specimen {
	choices := []form.Option{{Value: "url", Label: "URL"}, {Value: "git", Label: "Git repository"}, {Value: "file", Label: "File on the server"}}
	return Specimen{ID: "field", Title: "Field", About: "Label above, help in sight, the error below with what would be right.", States: []State{
		{Name: "Text", Node: form.Field{Name: "a", Label: "Label", Help: "What this token is for.", Placeholder: "deploy from CI"}},
		{Name: "With error", Node: form.Field{Name: "b", Label: "E-mail address", Kind: form.Email, Value: "mara@", Required: true, Error: "Write a whole address, for example mara@northwind.dev."}},
		{Name: "Optional and fixed width", Node: form.Field{Name: "c", Label: "Target", Optional: true, Mono: true, Value: "https://github.com/northwind/payments"}},
		{Name: "Select", Node: form.Field{Name: "d", Label: "Type", Kind: form.Select, Value: "git", Options: choices}},
		{Name: "Combobox", Node: form.Field{Name: "e", Label: "Owner", Options: []form.Option{{Value: "team-ledger", Label: "Team Ledger"}, {Value: "team-risk", Label: "Team Risk"}}, Help: "Type, or choose one of the groups."}},
		{Name: "Checkbox", Node: form.Field{Name: "f", Label: "Enable after installing", Kind: form.Checkbox, Value: "true", Help: "You can disable it at any time."}},
		{Name: "Text area", Node: form.Field{Name: "g", Label: "Query", Kind: form.TextArea, Mono: true, Value: "sum(rate(http_requests_total[5m])) by (code)"}},
		{Name: "Search", Node: form.Field{Name: "h", Label: "Filter", HideLabel: true, Kind: form.Search, Icon: "search", Placeholder: "Filter by name, tag or owner"}},
		{Name: "Disabled", Node: form.Field{Name: "i", Label: "Namespace", Value: "default", Disabled: true}},
		{Name: "File", Node: form.Field{Name: "j", Label: "Packaged plugin", Kind: form.File, Help: "The file that callboard plugin package wrote."}},
	}}
}

func consent() Specimen {
	items := []form.Permission{
		{Icon: "globe", Verb: "Reach", Object: "https://argocd.eu.northwind.dev:443", Reason: "Applications of the EU cluster are shown beside the others.", Change: form.New},
		{Icon: "globe", Verb: "Reach", Object: "https://argocd.northwind.dev:443", Reason: "Reads applications, resources and history.", Change: form.Unchanged},
		{Icon: "lock", Verb: "Use the secret", Object: "argocd-token", Note: "The host signs requests with it. The plugin never sees it.", Change: form.Unchanged},
		{Icon: "database", Verb: "Keep up to", Object: "1MiB", Reason: "Remembers what was shown last.", Change: form.Dropped},
	}
	asked := []form.Permission{{Icon: "globe", Verb: "Reach", Object: "https://api.github.com", Reason: "Reads workflow runs of the entity's repository."}}
	return Specimen{ID: "consent", Title: "Consent list", About: "What a plugin asks for, with its reasons, before anything runs.", States: []State{
		{Name: "Upgrade that asks for more", Flush: true, Node: form.Consent{ID: "upgrade", Items: items}},
		{Name: "To choose from", Flush: true, Node: h.Form(h.Action("#consent"), form.Consent{ID: "choose", Items: asked, Choose: true})},
		{Name: "Asks for nothing", Flush: true, Node: form.Consent{}},
	}}
}
