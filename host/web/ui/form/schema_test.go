package form_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/ui/form"
)

const source = `{"type": "object", "required": ["url"], "properties": {
 "url": {"type": "string", "format": "uri", "title": "URL"}, "count": {"type": "integer", "default": 3}, "share": {"type": ["null", "number"]},
 "on": {"type": "boolean"}, "level": {"enum": ["low", "high", 3]}, "names": {"type": "array", "items": {"type": "string"}}, "ports": {"type": "array", "items": {"type": "integer"}},
 "free": {"type": "object"}, "id": {"type": "string", "readOnly": true}, "a/b~c": {"type": "string"},
 "auth": {"type": "object", "properties": {"user": {"type": "string"}}},
 "servers": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}}}}}}`

func TestFormsComeBackAsTheJSONTheyShow(t *testing.T) {
	tests := map[string]struct {
		sent url.Values
		want string
	}{
		"empty fields are left out":        {url.Values{"config/url": {""}, "config/count": {" "}}, `{"on":false}`},
		"types are kept":                   {url.Values{"config/url": {" https://a.example "}, "config/count": {"7"}, "config/share": {"0.5"}, "config/on": {"true"}}, `{"count":7,"on":true,"share":0.5,"url":"https://a.example"}`},
		"choices keep their type":          {url.Values{"config/level": {"3"}}, `{"level":3,"on":false}`},
		"lists are lines":                  {url.Values{"config/names": {"a\r\n\r\n b "}, "config/ports": {"80\n443"}}, `{"names":["a","b"],"on":false,"ports":[80,443]}`},
		"objects nest":                     {url.Values{"config/auth/user": {"mara"}}, `{"auth":{"user":"mara"},"on":false}`},
		"free objects are JSON":            {url.Values{"config/free": {`{"x": [1]}`}}, `{"free":{"x":[1]},"on":false}`},
		"what is only read is not taken":   {url.Values{"config/id": {"mine"}}, `{"on":false}`},
		"names are escaped":                {url.Values{"config/a~1b~0c": {"x"}}, `{"a/b~c":"x","on":false}`},
		"lists of objects skip empty ones": {url.Values{"config/servers/0/name": {""}, "config/servers/1/name": {"eu"}, "config/servers/1/weight": {"2"}, "config/servers/2/name": {"us"}}, `{"on":false,"servers":[{"name":"eu","weight":2},{"name":"us"}]}`},
		"what the schema does not know":    {url.Values{"config/other": {"x"}, "url": {"x"}}, `{"on":false}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := form.Schema{Source: json.RawMessage(source)}.Parse(test.sent)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestValuesOfTheWrongTypeAreNamed(t *testing.T) {
	sent := url.Values{"config/count": {"many"}, "config/share": {"NaN"}, "config/ports": {"80\nhttp"}, "config/free": {"{"}, "config/servers/0/weight": {"x"}}
	_, err := form.Schema{Source: json.RawMessage(source)}.Parse(sent)
	e := host.AsError(err)
	if e.Code != host.CodeInvalid {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Pointer)
	}
	if want := "/count /free /ports /servers/0/weight /share"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestSchemasThatCannotBeReadAreRefused(t *testing.T) {
	if _, err := (form.Schema{Source: json.RawMessage(`{"type": 3}`)}).Parse(nil); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("got %v", err)
	}
	if got, err := (form.Schema{}).Parse(nil); err != nil || string(got) != "{}" {
		t.Errorf("got %s, %v for no schema", got, err)
	}
}

func TestRoundTripKeepsTheValue(t *testing.T) {
	value := `{"auth":{"user":"mara"},"count":7,"level":"low","names":["a","b"],"on":true,"servers":[{"name":"eu","weight":2}],"url":"https://a.example"}`
	var out strings.Builder
	if err := (form.Schema{Source: json.RawMessage(source), Order: []string{"count", "nothing", "url"}, Value: json.RawMessage(value)}).Render(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`value="https://a.example"`, `value="7"`, `>a` + "\n" + `b</textarea>`, `checked`, `value="low" selected`, `name="config/servers/0/name"`, `name="config/servers/1/name"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in the form", want)
		}
	}
	if strings.Index(out.String(), "config/count") > strings.Index(out.String(), "config/url") {
		t.Error("the order is not kept")
	}
}
