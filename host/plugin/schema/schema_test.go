package schema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func compile(t testing.TB, raw string) *Schema {
	t.Helper()
	s, err := Compile("test", json.RawMessage(raw))
	if err != nil {
		t.Fatalf("compiling %s: %v", raw, err)
	}
	return s
}

func decode(t testing.TB, raw string) any {
	t.Helper()
	v, err := Decode([]byte(raw))
	if err != nil {
		t.Fatalf("decoding %s: %v", raw, err)
	}
	return v
}

func TestCheck(t *testing.T) {
	s := compile(t, `{"type":"object","additionalProperties":false,"required":["name"],"properties":{
		"name":{"type":"string","pattern":"^[a-z]+$","maxLength":5},"size":{"type":["integer","null"]},"tone":{"enum":["good","bad"]},
		"when":{"type":"string","format":"date-time"},"either":{"anyOf":[{"type":"string"},{"type":"integer"}]},
		"one":{"oneOf":[{"type":"integer"},{"minimum":3}]},"list":{"type":"array","items":{"type":"integer"},"maxItems":2},"no":false}}`)
	cases := []struct{ value, at, says, hint string }{
		{`{"name":"a","size":1,"tone":"good","either":7,"when":"2026-01-02T03:04:05Z"}`, "", "", ""},
		{`{}`, "", `lacks "name"`, ""},
		{`{"name":7}`, "/name", "is a number but must be a string", ""},
		{`{"name":"A"}`, "/name", "does not match", ""},
		{`{"name":"abcdefg"}`, "/name", "maxLength", ""},
		{`{"name":"a","nmae":1}`, "/nmae", "unknown field", `did you mean "name"?`},
		{`{"name":"a","xyzxyz":1}`, "/xyzxyz", "unknown field", "known are"},
		{`{"name":"a","tone":"goood"}`, "/tone", "must be one of good, bad", `did you mean "good"?`},
		{`{"name":"a","size":"x"}`, "/size", "null or a integer", ""},
		{`{"name":"a","when":"noon"}`, "/when", "date-time", ""},
		{`{"name":"a","either":true}`, "/either", "none of the allowed forms", ""},
		{`{"name":"a","one":4}`, "/one", "exactly one", ""},
		{`{"name":"a","list":[1,"x"]}`, "/list/1", "must be a integer", ""},
		{`{"name":"a","list":[1,2,3]}`, "/list", "maxItems", ""},
		{`{"name":"a","no":1}`, "/no", "does not belong here", ""},
	}
	for _, c := range cases {
		faults := s.Check(decode(t, c.value))
		if c.says == "" {
			if len(faults) > 0 {
				t.Errorf("%s: %v", c.value, faults)
			}
			continue
		}
		if len(faults) != 1 || faults[0].Pointer() != c.at || !strings.Contains(faults[0].Message, c.says) || !strings.Contains(faults[0].Hint, c.hint) {
			t.Errorf("%s: got %v", c.value, faults)
		}
	}
	if n := len(compile(t, `{"items":{"type":"string"}}`).Check(decode(t, "["+strings.Repeat("1,", 100)+"1]"))); n != maxFaults {
		t.Errorf("%d faults are told", n)
	}
	fields := Fields(s.Check(decode(t, `{"name":"a","nmae":1}`)))
	if len(fields) != 1 || fields[0].Pointer != "/nmae" || !strings.Contains(fields[0].Message, "did you mean") {
		t.Errorf("as fields: %v", fields)
	}
}

func TestCompileRefuses(t *testing.T) {
	for raw, says := range map[string]string{
		`{"$ref":"https://evil.example/s.json"}`: "leads out",
		`{"$ref":"file:///etc/passwd"}`:          "leads out",
		`{"$ref":"other.json"}`:                  "leads out",
		`{"type":"strin"}`:                       "not a JSON Schema",
		`{"pattern":"("}`:                        "",
		`{`:                                      "not JSON",
		`{"$schema":"https://evil.example/x"}`:   "",
	} {
		if _, err := Compile("test", json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s gave %v", raw, err)
		}
	}
}

func TestDecode(t *testing.T) {
	for raw, ok := range map[string]bool{
		`1e308`: true, `-1.5E-300`: true, `{"a":[1]}`: true,
		`1e309`: false, `1e-999999999`: false, `[{"a":1e999999999}]`: false, `1e99999999999999999999`: false,
		`1 2`: false, `{}x`: false, ``: false, `nul`: false, strings.Repeat("1", 500): false,
	} {
		if _, err := Decode([]byte(raw)); (err == nil) != ok {
			t.Errorf("%.40s gave %v", raw, err)
		}
	}
}

func TestFill(t *testing.T) {
	s := compile(t, `{"properties":{"a":{"default":1},"b":{"default":{"d":[]},"properties":{"c":{"default":"x"}}},"l":{"items":{"$ref":"#/$defs/e"}}},
		"allOf":[{"properties":{"z":{"default":null}}},{"properties":{"y":{"default":false}}}],"$defs":{"e":{"properties":{"n":{"default":7}}}}}`)
	got := s.Fill(decode(t, `{"a":2,"l":[{},{"n":8}]}`))
	want := decode(t, `{"a":2,"b":{"c":"x","d":[]},"l":[{"n":7},{"n":8}],"y":false,"z":null}`)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	again := s.Fill(decode(t, `{}`)).(map[string]any)["b"].(map[string]any)
	again["d"] = "changed"
	if s.Fill(decode(t, `{}`)).(map[string]any)["b"].(map[string]any)["d"] == "changed" {
		t.Error("a default is shared between values")
	}
	t.Run("ASchemaOfItself", func(t *testing.T) {
		begin := time.Now()
		s := compile(t, `{"properties":{"a":{"default":{},"$ref":"#"},"b":{"default":{},"$ref":"#"}}}`)
		s.Fill(map[string]any{})
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	if d, ok := compile(t, `{"default":"x"}`).Default(); !ok || d != "x" {
		t.Errorf("the default is %v, %v", d, ok)
	}
	if _, ok := compile(t, `{}`).Default(); ok {
		t.Error("there is a default")
	}
}

func TestCoerce(t *testing.T) {
	cases := []struct {
		schema, text string
		want         any
	}{
		{`{"type":"integer"}`, "7", json.Number("7")}, {`{"type":"number"}`, "-1.5", json.Number("-1.5")},
		{`{"type":"integer"}`, "x", "x"}, {`{"type":"integer"}`, "", ""}, {`{"type":"integer"}`, "1e999999999", "1e999999999"}, {`{"type":"integer"}`, "{}", "{}"},
		{`{"type":"boolean"}`, "true", true}, {`{"type":"boolean"}`, "false", false}, {`{"type":"boolean"}`, "1", "1"},
		{`{"type":"string"}`, "7", "7"}, {`{}`, "7", "7"}, {`{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}}`, "7", json.Number("7")},
	}
	for _, c := range cases {
		if got := compile(t, c.schema).Coerce(c.text); got != c.want {
			t.Errorf("%q under %s is %v", c.text, c.schema, got)
		}
	}
	if s := compile(t, `{"type":"array","items":{"type":"integer"}}`); !s.IsArray() || s.Items().Coerce("1") != json.Number("1") {
		t.Error("the elements of an array are not coerced")
	}
	if compile(t, `{"type":"array"}`).Items() != nil {
		t.Error("there are items")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"permissions", "capabilities", "name", "main"}
	for word, want := range map[string]string{
		"permision": "permissions", "Capabilities": "capabilities", "nmae": "name", "nam": "name", "zzz": "", strings.Repeat("x", 100): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q is near %q", word, got)
		}
	}
}

func TestDocument(t *testing.T) {
	d, err := NewDocument("doc", decode(t, `{"a/b":{"schema":{"$ref":"#/components/x~0y"}},"components":{"x~y":{"type":"integer"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Schema(Pointer("a/b", "schema"))
	if err != nil || len(s.Check(decode(t, `"x"`))) == 0 || len(s.Check(decode(t, `1`))) != 0 {
		t.Errorf("got %v", err)
	}
	if _, err := d.Schema("/nothing"); err == nil {
		t.Error("there is a schema at /nothing")
	}
}
