// Package setup is what an instance has to be given before it can work: its
// configuration, by the manifest's schema, and its required secrets. It checks
// and fills in; storing and sealing are not its business.
package setup

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Form is the configuration and secrets that a release asks for. Its schema is
// compiled once, at the first use.
type Form struct {
	manifest *manifestv1.Manifest
	schema   func() (*schema.Schema, error)
}

// Of returns the form of a manifest.
func Of(m *manifestv1.Manifest) *Form {
	return &Form{manifest: m, schema: sync.OnceValues(func() (*schema.Schema, error) {
		return schema.Compile("config", m.Config.Schema)
	})}
}

// Unfit says of a release that the configuration does not fit it.
func Unfit(version string, err error) error {
	e := host.AsError(err)
	e.Message = "version " + version + " needs another configuration: " + e.Message
	return e.WithHint("give the upgrade a configuration that fits")
}

// Given is a configuration as it is stored: what somebody chose, and no
// defaults, so that those of the next release hold for the rest.
func Given(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || string(raw) == "null" || json.Compact(&b, raw) != nil {
		return "{}"
	}
	return b.String()
}

// Fill returns the configuration with defaults, and what is wrong with it.
func (f *Form) Fill(raw json.RawMessage) (json.RawMessage, []schema.Fault) {
	none := json.RawMessage("{}")
	if len(raw) == 0 || string(raw) == "null" {
		raw = none
	}
	v, err := schema.Decode(raw)
	if err != nil {
		return none, []schema.Fault{{Message: err.Error()}}
	}
	if f.manifest.Config == nil {
		if object, ok := v.(map[string]any); !ok || len(object) > 0 {
			return none, []schema.Fault{{Message: "this plugin has no configuration"}}
		}
		return none, nil
	}
	s, err := f.schema()
	if err != nil {
		return none, []schema.Fault{{Message: err.Error()}}
	}
	v = s.Fill(v)
	filled, err := json.Marshal(v)
	if err != nil {
		return none, []schema.Fault{{Message: err.Error()}}
	}
	return filled, s.Check(v)
}

// Check is Fill for a configuration that is to be stored: its faults are an
// error of CodeInvalid with a field for each.
func (f *Form) Check(raw json.RawMessage) error {
	if _, faults := f.Fill(raw); len(faults) > 0 {
		e := host.Errorf(host.CodeInvalid, "the configuration is not valid: %s", faults[0])
		e.Fields = schema.Fields(faults)
		for i := range e.Fields {
			e.Fields[i].Pointer = "/config" + e.Fields[i].Pointer
		}
		return e
	}
	return nil
}

// Ready says what an instance still lacks to work, or nil: it has this
// configuration, and secrets of these names have a value.
func (f *Form) Ready(config json.RawMessage, secrets []string) error {
	if _, faults := f.Fill(config); len(faults) > 0 {
		e := host.Errorf(host.CodePluginNotReady, "the configuration is not complete: %s", faults[0])
		e.Fields = schema.Fields(faults)
		return e.WithHint("configure the plugin first")
	}
	for _, s := range f.manifest.Secrets {
		if s.Required && !slices.Contains(secrets, s.Name) {
			return host.Errorf(host.CodePluginNotReady, "the secret %q is not set", s.Title).
				WithHint("set %s in the plugin's settings", s.Name)
		}
	}
	return nil
}

// Secret refuses a name that is not one of the manifest's secrets, and a value
// that no header or parameter could carry.
func (f *Form) Secret(name, value string) error {
	if !slices.ContainsFunc(f.manifest.Secrets, func(s manifestv1.Secret) bool { return s.Name == name }) {
		return f.unknownSecret(name)
	}
	if len(value) > MaxSecretBytes || strings.ContainsAny(value, "\r\n\x00") {
		e := host.Errorf(host.CodeInvalid, "the value of the secret %q cannot be used", name).WithHint("it must be one line of at most 64 KiB")
		e.Fields = []host.FieldError{{Pointer: "/secrets/" + name, Message: "must be one line of at most 64 KiB"}}
		return e
	}
	return nil
}

// MaxSecretBytes is the longest value of a secret.
const MaxSecretBytes = 64 << 10

func (f *Form) unknownSecret(name string) error {
	var known []string
	for _, s := range f.manifest.Secrets {
		known = append(known, s.Name)
	}
	e := host.Errorf(host.CodeInvalid, "%s has no secret %q", f.manifest.Name, name)
	if near := schema.Nearest(name, known); near != "" {
		e.WithHint("did you mean %q?", near)
	} else if len(known) > 0 {
		e.WithHint("it has %s", strings.Join(known, ", "))
	}
	e.Fields = []host.FieldError{{Pointer: "/secrets/" + name, Message: "is not a secret of this plugin"}}
	return e
}
