package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	schedulev1 "github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// readManifest decodes plugin.yaml and refuses unknown fields. "callboard
// plugin validate" checks more.
func readManifest(path string) (*manifest.Manifest, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	doc, err := yaml.YAMLToJSON(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &struct {
		manifest.Manifest
		Schema string `json:"$schema"` // for editors
	}{}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &m.Manifest, nil
}

// operation is one operation of the fragment.
type operation struct {
	method, path string
	statuses     []string
	defaults     map[string]string // of query parameters
}

// parameter is what is read of an OpenAPI parameter.
type parameter struct {
	Ref    string `json:"$ref"`
	Name   string `json:"name"`
	In     string `json:"in"`
	Schema struct {
		Default json.RawMessage `json:"default"`
	} `json:"schema"`
}

// fragment is what is read of an OpenAPI fragment.
type fragment struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
	} `json:"components"`
}

// httpMethods are the members of a path item that hold operations.
var httpMethods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// operations reads the operations of all fragments, by id.
func operations(m *manifest.Manifest) (map[string]operation, error) {
	out := map[string]operation{}
	for _, c := range m.Capabilities {
		if len(c.OpenAPI) == 0 {
			continue
		}
		var f fragment
		if err := json.Unmarshal(c.OpenAPI, &f); err != nil {
			return nil, fmt.Errorf("reading the OpenAPI fragment: %w", err)
		}
		for path, item := range f.Paths {
			for method, raw := range item {
				if !slices.Contains(httpMethods, method) {
					continue
				}
				if err := f.add(out, method, path, raw, item["parameters"]); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// add reads one operation; shared are the parameters of its path item.
func (f fragment) add(out map[string]operation, method, path string, raw, shared json.RawMessage) error {
	var op struct {
		OperationID string                     `json:"operationId"`
		Parameters  []parameter                `json:"parameters"`
		Responses   map[string]json.RawMessage `json:"responses"`
	}
	if err := json.Unmarshal(raw, &op); err != nil {
		return fmt.Errorf("reading the operation %s %s: %w", method, path, err)
	}
	if op.OperationID == "" {
		return fmt.Errorf("the operation %s %s has no operationId", method, path)
	}
	if _, taken := out[op.OperationID]; taken {
		return fmt.Errorf("the operationId %q is there twice", op.OperationID)
	}
	var ofPath []parameter
	if len(shared) > 0 {
		if err := json.Unmarshal(shared, &ofPath); err != nil {
			return fmt.Errorf("reading the parameters of %s: %w", path, err)
		}
	}
	o := operation{method: strings.ToUpper(method), path: path, defaults: f.defaults(append(ofPath, op.Parameters...))}
	for status := range op.Responses {
		o.statuses = append(o.statuses, status)
	}
	out[op.OperationID] = o
	return nil
}

// defaults returns the defaults of the query parameters among ps.
func (f fragment) defaults(ps []parameter) map[string]string {
	out := map[string]string{}
	for _, p := range ps {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = f.Components.Parameters[name]
		}
		if p.In != "query" || len(p.Schema.Default) == 0 {
			continue
		}
		var text string
		if json.Unmarshal(p.Schema.Default, &text) != nil {
			text = string(p.Schema.Default)
		}
		out[p.Name] = text
	}
	return out
}

// declares says whether the operation declares the status, by itself, by its
// class ("4XX") or by "default".
func (o operation) declares(status int) bool {
	exact := fmt.Sprint(status)
	return slices.Contains(o.statuses, exact) || slices.Contains(o.statuses, "default") ||
		slices.Contains(o.statuses, exact[:1]+"XX")
}

// declared returns what the manifest names.
func (h *Host) declared() []sdk.Offered {
	var out []sdk.Offered
	for id := range h.routes {
		out = append(out, sdk.Offered{Capability: routev1.Name, Name: id})
	}
	for _, c := range h.manifest.Capabilities {
		for _, v := range c.Views {
			out = append(out, sdk.Offered{Capability: viewv1.Name, Name: v.ID})
		}
		for _, s := range c.Schedules {
			out = append(out, sdk.Offered{Capability: schedulev1.Name, Name: s.ID})
		}
		out = append(out, declaredFlow(c)...)
	}
	return out
}

// sameOffers compares the manifest with what the plugin offers.
func (h *Host) sameOffers(offered []sdk.Offered) error {
	declared := h.declared()
	var faults []string
	for _, d := range declared {
		if !slices.Contains(offered, d) {
			faults = append(faults, fmt.Sprintf("%s names %s %q, but the plugin does not offer it", h.file, d.Capability, d.Name))
		}
	}
	for _, o := range offered {
		if !slices.Contains(declared, o) {
			faults = append(faults, fmt.Sprintf("the plugin offers %s %q, but %s does not name it", o.Capability, o.Name, h.file))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("%s", strings.Join(faults, "; "))
}

// withDefaults fills the defaults of the manifest's schema into the
// configuration, object by object.
func withDefaults(m *manifest.Manifest, config json.RawMessage) (json.RawMessage, error) {
	values := map[string]any{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &values); err != nil {
			return nil, fmt.Errorf("the configuration is not an object: %w", err)
		}
	}
	if m.Config != nil {
		var schema map[string]any
		if err := json.Unmarshal(m.Config.Schema, &schema); err != nil {
			return nil, fmt.Errorf("reading the configuration's schema: %w", err)
		}
		fillDefaults(schema, values)
	}
	return json.Marshal(values)
}

func fillDefaults(schema, values map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, raw := range properties {
		property, _ := raw.(map[string]any)
		if value, given := property["default"]; given {
			if _, there := values[name]; !there {
				values[name] = value
			}
		}
		if nested, ok := values[name].(map[string]any); ok {
			fillDefaults(property, nested)
		}
	}
}
