package web

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// secretPrefix begins the names of the inputs of secrets.
const secretPrefix = "secret."

// removeSecret is what is sent to take a secret away.
const removeSecret = "remove"

// configForm is the form of a manifest's configuration.
func configForm(m *manifestv1.Manifest) form.Schema {
	if m.Config == nil {
		return form.Schema{}
	}
	out := form.Schema{Source: m.Config.Schema}
	if m.Config.UI != nil {
		out.Order = m.Config.UI.Order
	}
	return out
}

// configFields are the inputs of a plugin's configuration and secrets. Set
// names the secrets that have a value; their values are never shown.
func configFields(m *manifestv1.Manifest, value []byte, set []string, failure *host.Error) g.Node {
	out := g.Group{}
	if m.Config != nil {
		f := configForm(m)
		f.Value, f.Errors = value, fieldErrors(failure)
		out = append(out, f)
	}
	for _, s := range m.Secrets {
		field := form.Field{Name: secretPrefix + s.Name, Label: s.Title, Kind: form.Password, Help: s.Reason,
			Optional: !s.Required, AutoComplete: "off"}
		if slices.Contains(set, s.Name) {
			field.Placeholder, field.Help = "Set. Leave empty to keep it.", field.Help+" It has a value."
		}
		out = append(out, field)
		if slices.Contains(set, s.Name) && !s.Required {
			out = append(out, form.Field{Name: secretPrefix + s.Name + "." + removeSecret, Label: "Remove " + s.Title, Kind: form.Checkbox})
		}
	}
	return out
}

// fieldErrors are an error's fields by pointer, without a leading "/config".
func fieldErrors(e *host.Error) map[string]string {
	if e == nil {
		return nil
	}
	out := map[string]string{}
	for _, f := range e.Fields {
		out[strings.TrimPrefix(f.Pointer, "/config")] = f.Message
	}
	return out
}

// secretsSent are the secrets that the form sets or takes away; what it leaves
// empty keeps its value.
func secretsSent(m *manifestv1.Manifest, sent url.Values) map[string]string {
	out := map[string]string{}
	for _, s := range m.Secrets {
		if value := sent.Get(secretPrefix + s.Name); value != "" {
			out[s.Name] = value
		} else if sent.Get(secretPrefix+s.Name+"."+removeSecret) == "true" {
			out[s.Name] = ""
		}
	}
	return out
}

// bytesInWords is a size as people say it.
func bytesInWords(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// shortDigest is enough of a digest to compare it by eye.
func shortDigest(d string) string {
	algorithm, hex, found := strings.Cut(d, ":")
	if !found || len(hex) < 16 {
		return d
	}
	return algorithm + ":" + hex[:8] + "…" + hex[len(hex)-6:]
}
