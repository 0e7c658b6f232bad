package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxExponent is the largest power of ten in a number: what a float64 holds.
// Without it "1e999999999" would be written out digit by digit.
const maxExponent = 308

// Decode decodes one JSON value, numbers as json.Number. It refuses trailing
// data and numbers beyond the range of a float64.
func Decode(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: there is more after the value")
	}
	return v, checkNumbers(v)
}

func checkNumbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		if !sane(string(v)) {
			return errors.New("a number is out of range")
		}
	case []any:
		for _, e := range v {
			if err := checkNumbers(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, e := range v {
			if err := checkNumbers(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func sane(n string) bool {
	if len(n) > 400 {
		return false
	}
	i := strings.IndexAny(n, "eE")
	if i < 0 {
		return true
	}
	exp, err := strconv.Atoi(strings.TrimPrefix(n[i+1:], "+"))
	return err == nil && exp >= -maxExponent && exp <= maxExponent
}

// Bounds of the work of one Fill: schemas may refer to themselves.
const (
	maxFills     = 10_000
	maxFillDepth = 32
)

// Fill returns v with the schema's defaults where an object lacks a property.
// Objects are changed in place.
func (s *Schema) Fill(v any) any {
	f := filler{}
	return f.fill(s.compiled, v, 0)
}

// Default returns the schema's own default.
func (s *Schema) Default() (v any, ok bool) {
	c := deref(s.compiled)
	if c.Default == nil {
		return nil, false
	}
	return copied(*c.Default), true
}

// filler counts what a Fill has done.
type filler struct{ steps int }

func (f *filler) fill(s *jsonschema.Schema, v any, depth int) any {
	if f.steps++; s == nil || depth > maxFillDepth || f.steps > maxFills {
		return v
	}
	s = deref(s)
	for _, part := range s.AllOf {
		v = f.fill(part, v, depth+1)
	}
	switch v := v.(type) {
	case map[string]any:
		for name, p := range s.Properties {
			if d := deref(p); d.Default != nil {
				if _, ok := v[name]; !ok {
					v[name] = copied(*d.Default)
				}
			}
			if have, ok := v[name]; ok {
				v[name] = f.fill(p, have, depth+1)
			}
		}
	case []any:
		for i := range v {
			v[i] = f.fill(s.Items2020, v[i], depth+1)
		}
	}
	return v
}

// copied is a deep copy of a decoded JSON value.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}

// deref follows references to where the keywords are.
func deref(s *jsonschema.Schema) *jsonschema.Schema {
	for range 32 {
		if s.Ref == nil || s.Types != nil || s.Properties != nil || s.Default != nil {
			return s
		}
		s = s.Ref
	}
	return s
}

// Coerce turns the text of a path, query or header parameter into the JSON
// value that the schema asks for. Where the text does not fit it stays a
// string, and Check says what was wanted.
func (s *Schema) Coerce(text string) any {
	types := typesOf(s.compiled)
	if slices.Contains(types, "integer") || slices.Contains(types, "number") {
		if json.Valid([]byte(text)) && sane(text) {
			if n := json.Number(text); strings.IndexAny(text[:1], "-0123456789") == 0 {
				return n
			}
		}
	}
	if slices.Contains(types, "boolean") {
		switch text {
		case "true":
			return true
		case "false":
			return false
		}
	}
	return text
}

// IsArray reports whether the schema asks for an array; Items is then the
// schema of its elements, or nil.
func (s *Schema) IsArray() bool { return slices.Contains(typesOf(s.compiled), "array") }

// Items returns the schema of an array's elements, or nil.
func (s *Schema) Items() *Schema {
	items := deref(s.compiled).Items2020
	if items == nil {
		return nil
	}
	// The whole is never smaller than its part.
	return &Schema{compiled: items, places: s.places, measure: s.measure}
}

func typesOf(s *jsonschema.Schema) []string {
	s = deref(s)
	if s.Types != nil {
		return s.Types.ToStrings()
	}
	return nil
}

// fragmentOf escapes a JSON Pointer for the fragment of a URL.
func fragmentOf(pointer string) string {
	parts := strings.Split(pointer, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// Pointer joins the tokens of a JSON Pointer.
func Pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}
