package author

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// compatible checks that a release breaks nothing of an earlier one, unless
// its version says so: a higher major version, or minor version below 1.0.
func compatible(before, now *manifestv1.Manifest) error {
	if before.Name != now.Name {
		return host.Errorf(host.CodeInvalid, "the earlier release is of %s, this one of %s", before.Name, now.Name)
	}
	old, err := semver.NewVersion(before.Version)
	if err != nil {
		return err
	}
	fresh, err := semver.NewVersion(now.Version)
	if err != nil {
		return err
	}
	if !fresh.GreaterThan(old) {
		return host.Errorf(host.CodeConflict, "the version %s is not above %s, that of the earlier release", now.Version, before.Version)
	}
	broken := breaks(before, now)
	if len(broken) == 0 || fresh.Major() > old.Major() || fresh.Major() == 0 && fresh.Minor() > old.Minor() {
		return nil
	}
	e := host.Errorf(host.CodeConflict, "%s breaks what %s promised: %s", now.Version, before.Version, broken[0])
	for _, text := range broken {
		e.Fields = append(e.Fields, host.FieldError{Pointer: manifestv1.FileName, Message: text})
	}
	next := old.IncMajor()
	if old.Major() == 0 {
		next = old.IncMinor()
	}
	return e.WithHint("Keep it, or raise the version to %s.", next.String())
}

// breaks lists what callers, readers and admins of a release would miss.
func breaks(before, now *manifestv1.Manifest) []string {
	var out []string
	had, has := offers(before), offers(now)
	for _, name := range slices.Sorted(maps.Keys(had)) {
		switch is, ok := has[name]; {
		case !ok:
			out = append(out, name+" is gone")
		case is != had[name]:
			out = append(out, fmt.Sprintf("%s was %s and is %s", name, had[name], is))
		}
	}
	return append(out, configBreaks(before, now)...)
}

// offers names what a manifest offers, with what must stay of each.
func offers(m *manifestv1.Manifest) map[string]string {
	out := map[string]string{}
	for _, c := range m.Capabilities {
		out["the capability "+c.Type] = "there"
		for _, v := range c.Views {
			out["the view "+v.ID] = v.Slot
		}
		for _, s := range c.Schedules {
			out["the schedule "+s.ID] = "there"
		}
		if len(c.OpenAPI) == 0 {
			continue
		}
		if f, _ := fragment.Compile(c.OpenAPI); f != nil {
			for _, op := range f.Operations {
				out["the operation "+op.ID] = op.Method + " " + op.Path
			}
		}
	}
	return out
}

// configBreaks lists settings that an admin made and that are settings no more,
// and those that must be made now.
func configBreaks(before, now *manifestv1.Manifest) []string {
	had, _ := settingsOf(before)
	has, required := settingsOf(now)
	_, was := settingsOf(before)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(had)) {
		switch is, ok := has[name]; {
		case !ok:
			out = append(out, "the setting "+name+" is gone")
		case is != had[name]:
			out = append(out, fmt.Sprintf("the setting %s was of type %s and is of type %s", name, had[name], is))
		}
	}
	for _, name := range required {
		if !slices.Contains(was, name) {
			out = append(out, "the setting "+name+" is required now")
		}
	}
	return out
}

// settingsOf returns the type of each setting, and those that are required.
func settingsOf(m *manifestv1.Manifest) (byName map[string]string, required []string) {
	byName = map[string]string{}
	if m.Config == nil {
		return byName, nil
	}
	var schema struct {
		Properties map[string]struct {
			Type json.RawMessage `json:"type"`
		} `json:"properties"`
		Required []string `json:"required"`
	}
	if json.Unmarshal(m.Config.Schema, &schema) != nil {
		return byName, nil // the manifest's own check has said it
	}
	for name, p := range schema.Properties {
		byName[name] = string(p.Type)
	}
	return byName, schema.Required
}
