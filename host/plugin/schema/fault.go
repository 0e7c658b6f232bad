package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/callboard-dev/callboard/host"
)

// maxFaults is how many faults are reported of one value.
const maxFaults = 20

// Fault is one thing that is wrong with a value.
type Fault struct {
	// Path leads to the value; where a property is unknown or forbidden, to
	// that property.
	Path []string
	// Message says what is wrong, Hint what to do.
	Message, Hint string
}

// Pointer returns the JSON Pointer of the fault.
func (f Fault) Pointer() string { return Pointer(f.Path...) }

// String returns pointer, message and hint in one line.
func (f Fault) String() string {
	s := f.Message
	if p := f.Pointer(); p != "" {
		s = p + " " + s
	}
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}

// Fields returns the faults as the fields of a host.Error.
func Fields(faults []Fault) []host.FieldError {
	out := make([]host.FieldError, 0, len(faults))
	for _, f := range faults {
		m := f.Message
		if f.Hint != "" {
			m += " (" + f.Hint + ")"
		}
		out = append(out, host.FieldError{Pointer: f.Pointer(), Message: m})
	}
	return out
}

// Check returns what is wrong with v, a value of Decode; nil if nothing is.
func (s *Schema) Check(v any) []Fault {
	if s.tooMuch(v) {
		return []Fault{{Message: "would take too much work to check", Hint: "send less at a time"}}
	}
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	var bad *jsonschema.ValidationError
	if !errors.As(err, &bad) {
		return []Fault{{Message: err.Error()}}
	}
	faults := collect(bad, s.places)
	if len(faults) == 0 {
		faults = []Fault{{Path: bad.InstanceLocation, Message: "does not fit its schema"}}
	}
	return faults
}

// collect returns the faults at the leaves of a validation error.
func collect(e *jsonschema.ValidationError, places map[string]*jsonschema.Schema) []Fault {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return []Fault{alternatives(e, places)}
	}
	if len(e.Causes) > 0 {
		var out []Fault
		for _, c := range e.Causes {
			if out = append(out, collect(c, places)...); len(out) >= maxFaults {
				return out[:maxFaults]
			}
		}
		return out
	}
	return leaf(e, places)
}

// alternatives tells the faults of anyOf and oneOf as one.
func alternatives(e *jsonschema.ValidationError, places map[string]*jsonschema.Schema) Fault {
	var parts []string
	for _, c := range e.Causes {
		if f := collect(c, places); len(f) > 0 && len(parts) < 4 {
			parts = append(parts, f[0].String())
		}
	}
	f := Fault{Path: e.InstanceLocation, Message: "fits none of the allowed forms"}
	if len(parts) > 0 {
		f.Message += ": " + strings.Join(parts, "; or ")
	} else {
		f.Message = "fits more than one of the forms of which exactly one is allowed"
	}
	return f
}

func leaf(e *jsonschema.ValidationError, places map[string]*jsonschema.Schema) []Fault {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return unknown(at, k.Properties, places[e.SchemaURL])
	case *kind.Required:
		out := make([]Fault, 0, len(k.Missing))
		for _, m := range k.Missing {
			out = append(out, Fault{Path: at, Message: fmt.Sprintf("lacks %q", m)})
		}
		return out
	case *kind.FalseSchema:
		return []Fault{{Path: at, Message: "does not belong here"}}
	case *kind.Type:
		return []Fault{{Path: at, Message: fmt.Sprintf("is a %s but must be a %s", k.Got, strings.Join(k.Want, " or a "))}}
	case *kind.Enum:
		return []Fault{enum(at, k)}
	case *kind.Pattern:
		return []Fault{{Path: at, Message: fmt.Sprintf("is %q, which does not match %s", clip(k.Got), k.Want)}}
	default:
		return []Fault{{Path: at, Message: e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}}
	}
}

func unknown(at []string, names []string, s *jsonschema.Schema) []Fault {
	var known []string
	if s != nil {
		for name := range s.Properties {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	out := make([]Fault, 0, len(names))
	for _, n := range names {
		f := Fault{Path: append(slices.Clone(at), n), Message: fmt.Sprintf("is an unknown field %q", clip(n))}
		if near := Nearest(n, known); near != "" {
			f.Hint = fmt.Sprintf("did you mean %q?", near)
		} else if len(known) > 0 && len(known) <= 16 {
			f.Hint = "known are " + strings.Join(known, ", ")
		}
		out = append(out, f)
	}
	return out
}

func enum(at []string, k *kind.Enum) Fault {
	var want []string
	for _, w := range k.Want {
		want = append(want, fmt.Sprint(w))
	}
	f := Fault{Path: at, Message: fmt.Sprintf("is %q but must be one of %s", clip(fmt.Sprint(k.Got)), strings.Join(want, ", "))}
	if near := Nearest(fmt.Sprint(k.Got), want); near != "" {
		f.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return f
}

// clip shortens what came from a stranger before it is shown.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// Nearest returns the word of known that s was most likely meant to be, or
// the empty string.
func Nearest(s string, known []string) string {
	best, distance := "", 3
	if len(s) <= 4 {
		distance = 2
	}
	if len(s) > 64 {
		return ""
	}
	for _, k := range known {
		if d := edits(strings.ToLower(s), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits counts the single-letter changes, and swaps of neighbours, from a to b.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				cost++
			}
			rows[i][j] = min(cost, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
