package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// size is a size as manifests write it.
var size = regexp.MustCompile(`^[1-9][0-9]*(B|KiB|MiB|GiB)$`)

// pairs reads name=value with commas between into the fields of a struct, by
// their JSON names: numbers, times like 10s and sizes like 64MiB.
func pairs[T any](at func(*Config) *T) func(*Config, string) error {
	return func(c *Config, v string) error {
		fields := map[string]any{}
		for _, pair := range strings.Split(v, ",") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			name, text, ok := strings.Cut(pair, "=")
			if !ok {
				return fmt.Errorf("%q is not name=value", pair)
			}
			fields[strings.TrimSpace(name)] = number(strings.TrimSpace(text))
		}
		raw, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		var out T
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&out); err != nil {
			return fmt.Errorf("%q is not understood: %s", v, strings.TrimPrefix(err.Error(), "json: "))
		}
		*at(c) = out
		return nil
	}
}

// number returns text as a whole number where it is one; 2e9 is.
func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f == float64(int64(f)) {
		return int64(f)
	}
	return text
}

// bytesOf reads a size like 512MiB.
func bytesOf(at func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, v string) error {
		if v == "" {
			*at(c) = 0
			return nil
		}
		units := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
		m := size.FindStringSubmatch(v)
		if m == nil {
			return fmt.Errorf("%q is not a size like 512MiB", v)
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(v, m[1]), 10, 64)
		if err != nil || n > 1<<62/units[m[1]] {
			return fmt.Errorf("%q is too large", v)
		}
		*at(c) = n * units[m[1]]
		return nil
	}
}

// flat writes a mapping of the file as pairs reads it, sorted by name. ok is
// false where something in it is neither a number nor a text.
func flat(m map[string]any) (text string, ok bool) {
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch v := m[name].(type) {
		case string, int, int64, uint64, float64:
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		default:
			return "", false
		}
	}
	return strings.Join(parts, ","), true
}
