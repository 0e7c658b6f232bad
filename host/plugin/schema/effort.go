package schema

import (
	"errors"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// maxSize is how many schemas one may consist of, where each reference
	// counts as what it refers to.
	maxSize = 10_000
	// maxEffort is how many schemas are applied to the parts of one value:
	// about a second of work.
	maxEffort = 1_000_000
)

var (
	errCircle = errors.New("it refers to itself without going into a property or an item, so no value can be checked against it")
	errSize   = fmt.Errorf("it has more than %d parts when its references are followed", maxSize)
)

// measure is what is known of a schema before any value is.
type measure struct {
	size int
	// recursive says that the schema may refer to itself: its size says
	// nothing then.
	recursive bool
}

// surveyor measures the schemas of one document, each once.
type surveyor struct {
	done map[*jsonschema.Schema]measure
	open map[*jsonschema.Schema]bool
	// straight are the schemas that lead to themselves on no way that stays
	// at the same value; false while that is being found out.
	straight map[*jsonschema.Schema]bool
}

func newSurveyor() *surveyor {
	return &surveyor{done: map[*jsonschema.Schema]measure{}, open: map[*jsonschema.Schema]bool{}, straight: map[*jsonschema.Schema]bool{}}
}

// measure adds up a schema and all that it consists of.
func (v *surveyor) measure(s *jsonschema.Schema) (measure, error) {
	if m, ok := v.done[s]; ok {
		return m, nil
	}
	if v.open[s] {
		return measure{size: 1, recursive: true}, nil
	}
	if err := v.walk(s); err != nil {
		return measure{}, err
	}
	v.open[s] = true
	defer delete(v.open, s)
	sum := measure{size: 1 + len(s.Required)}
	if s.Enum != nil {
		sum.size += len(s.Enum.Values)
	}
	for _, p := range slices.Concat(same(s), inside(s)) {
		m, err := v.measure(p)
		if err != nil {
			return measure{}, err
		}
		sum.recursive = sum.recursive || m.recursive
		if sum.size += m.size; sum.size > maxSize {
			return measure{}, errSize
		}
	}
	v.done[s] = sum
	return sum, nil
}

// walk refuses circles that stay at the same value.
func (v *surveyor) walk(s *jsonschema.Schema) error {
	if straight, met := v.straight[s]; met {
		if !straight {
			return errCircle
		}
		return nil
	}
	v.straight[s] = false
	for _, p := range same(s) {
		if err := v.walk(p); err != nil {
			return err
		}
	}
	v.straight[s] = true
	return nil
}

// same are the schemas that apply to the same value as s.
func same(s *jsonschema.Schema) []*jsonschema.Schema {
	list := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		list = append(list, s.DynamicRef.Ref)
	}
	list = slices.Concat(list, s.AllOf, s.AnyOf, s.OneOf)
	for _, p := range s.DependentSchemas {
		list = append(list, p)
	}
	for _, p := range s.Dependencies {
		list = append(list, one(p))
	}
	return slices.DeleteFunc(list, func(p *jsonschema.Schema) bool { return p == nil })
}

// inside are the schemas that apply to what a value consists of.
func inside(s *jsonschema.Schema) []*jsonschema.Schema {
	list := []*jsonschema.Schema{
		s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema,
		one(s.AdditionalProperties), one(s.Items), one(s.AdditionalItems),
	}
	list = slices.Concat(list, s.PrefixItems)
	if tuple, ok := s.Items.([]*jsonschema.Schema); ok {
		list = append(list, tuple...)
	}
	for _, p := range s.Properties {
		list = append(list, p)
	}
	for _, p := range s.PatternProperties {
		list = append(list, p)
	}
	return slices.DeleteFunc(list, func(p *jsonschema.Schema) bool { return p == nil })
}

// one returns v if it is a schema.
func one(v any) *jsonschema.Schema {
	s, _ := v.(*jsonschema.Schema)
	return s
}

// tooMuch reports whether checking v would keep the host busy for too long.
func (s *Schema) tooMuch(v any) bool {
	if !s.measure.recursive && parts(v) <= maxEffort/s.measure.size {
		return false
	}
	e := effort{left: maxEffort}
	e.apply(s.compiled, v)
	return e.left < 0
}

// parts counts the values of which v consists, itself among them.
func parts(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += parts(e)
		}
	case map[string]any:
		for _, e := range v {
			n += parts(e)
		}
	}
	return n
}

// effort counts down the schemas that are applied to a value.
type effort struct{ left int }

func (e *effort) apply(s *jsonschema.Schema, v any) {
	if s == nil {
		return
	}
	e.left--
	if s.Enum != nil {
		e.left -= len(s.Enum.Values)
	}
	for _, p := range same(s) {
		if e.left < 0 {
			return
		}
		e.apply(p, v)
	}
	switch v := v.(type) {
	case []any:
		e.items(s, v)
	case map[string]any:
		e.properties(s, v)
	}
}

func (e *effort) items(s *jsonschema.Schema, list []any) {
	tuple := s.PrefixItems
	if old, ok := s.Items.([]*jsonschema.Schema); ok {
		tuple = old
	}
	rest := []*jsonschema.Schema{s.Items2020, one(s.Items), one(s.AdditionalItems), s.UnevaluatedItems}
	for i, v := range list {
		if e.left < 0 {
			return
		}
		e.apply(s.Contains, v)
		if i < len(tuple) {
			e.apply(tuple[i], v)
			continue
		}
		for _, p := range rest {
			e.apply(p, v)
		}
	}
}

func (e *effort) properties(s *jsonschema.Schema, object map[string]any) {
	for name, v := range object {
		if e.left < 0 {
			return
		}
		e.apply(s.PropertyNames, name)
		p, known := s.Properties[name]
		e.apply(p, v)
		for pattern, p := range s.PatternProperties {
			if e.left--; pattern.MatchString(name) {
				known = true
				e.apply(p, v)
			}
		}
		if !known {
			e.apply(one(s.AdditionalProperties), v)
			e.apply(s.UnevaluatedProperties, v)
		}
	}
}
