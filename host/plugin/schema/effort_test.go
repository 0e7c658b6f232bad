package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tower is n schemas of which each holds the next one several times.
func tower(n int, floor string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"$ref":"#/$defs/S0","$defs":{"S%d":{"type":"string"}`, n)
	for i := range n {
		fmt.Fprintf(&b, `,"S%d":%s`, i, strings.ReplaceAll(floor, "NEXT", fmt.Sprintf(`{"$ref":"#/$defs/S%d"}`, i+1)))
	}
	return b.String() + "}}"
}

// TestUnboundedSchemas: a schema whose check takes for ever is no schema.
func TestUnboundedSchemas(t *testing.T) {
	for name, c := range map[string]struct{ schema, says string }{
		"alternatives of alternatives": {tower(30, `{"anyOf":[NEXT,NEXT]}`), "parts"},
		"properties of properties":     {tower(30, `{"properties":{"a":NEXT,"b":NEXT}}`), "parts"},
		"both":                         {tower(30, `{"allOf":[NEXT,NEXT],"properties":{"a":NEXT,"b":NEXT}}`), "parts"},
		"items and contains":           {tower(30, `{"items":NEXT,"contains":NEXT}`), "parts"},
		"conditions":                   {tower(30, `{"if":NEXT,"then":NEXT,"else":NEXT}`), "parts"},
		"dependent schemas":            {tower(30, `{"dependentSchemas":{"a":NEXT,"b":NEXT}}`), "parts"},
		"a circle of references":       {`{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}`, "itself"},
		"a circle through allOf":       {`{"allOf":[{"$ref":"#"}]}`, "itself"},
		"a circle below a property":    {`{"properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"anyOf":[{"not":{"$ref":"#/$defs/A"}}]}}}`, "itself"},
		"a circle met by a detour":     {`{"$ref":"#/$defs/A","$defs":{"A":{"allOf":[{"$ref":"#/$defs/B"}]},"B":{"allOf":[{"properties":{"p":{"$ref":"#/$defs/C"}}},{"$ref":"#/$defs/C"}]},"C":{"$ref":"#/$defs/A"}}}`, "itself"},
		"a tower of one each":          {tower(30, `{"properties":{"a":NEXT}}`), ""},
		"a tree":                       {`{"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}}}`, ""},
		"a list of choices":            {`{"oneOf":[{"type":"string"},{"type":"array","items":{"$ref":"#"}}]}`, ""},
		"the same schema twice":        {`{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile("test", json.RawMessage(c.schema))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestEffortIsBounded: where schema and value multiply, the check ends.
func TestEffortIsBounded(t *testing.T) {
	forks := `{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}}}`
	tuple := `{"prefixItems":[{"$ref":"#"}],"items":{"allOf":[{"$ref":"#"},{"$ref":"#"}]},"contains":{"$ref":"#"}}`
	wild := `{"patternProperties":{"^a":{"$ref":"#"},"a$":{"$ref":"#"}},"additionalProperties":{"$ref":"#"},"propertyNames":{"maxLength":9}}`
	nested := func(begin, end string, n int) string {
		return strings.Repeat(begin, n) + "1" + strings.Repeat(end, n)
	}
	for name, c := range map[string]struct {
		schema, value string
		fine          bool
	}{
		"forks that meet a deep value are refused":    {forks, nested(`{"a":`, "}", 40), false},
		"forks that meet a flat value are checked":    {forks, nested(`{"a":`, "}", 5), true},
		"deep lists that fork are refused":            {tuple, nested(`[0,`, "]", 40), false},
		"patterns that overlap are refused":           {wild, nested(`{"a":`, "}", 40), false},
		"patterns that do not overlap are checked":    {wild, nested(`{"b":`, "}", 40), true},
		"a large schema for each of many is refused":  {`{"items":` + wide(9000) + `}`, many(100_000), false},
		"a small schema for each of many is checked":  {`{"items":{"type":"integer"}}`, many(100_000), true},
		"a recursive schema for each of many is fine": {`{"items":{"$ref":"#"}}`, many(100_000), true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Compile("test", json.RawMessage(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			v, err := Decode([]byte(c.value))
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			faults := s.Check(v)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if refused := len(faults) == 1 && strings.Contains(faults[0].Message, "too much work"); refused == c.fine {
				t.Errorf("got %v", faults)
			}
		})
	}
}

// wide is a schema of n alternatives.
func wide(n int) string {
	return `{"allOf":[` + strings.TrimSuffix(strings.Repeat("true,", n), ",") + `]}`
}

func many(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
