package fragment

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	"github.com/callboard-dev/callboard/schemas/capability/route/v1"
)

const good = `{
  "tags": [{"name": "Board"}],
  "paths": {
    "/items": {
      "parameters": [{"$ref": "#/components/parameters/lang"}],
      "get": {"operationId": "list", "summary": "List", "parameters": [
          {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20}},
          {"name": "open", "in": "query", "schema": {"type": "boolean"}},
          {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string", "maxLength": 3}}},
          {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
          {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}],
        "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}}}}}},
      "post": {"operationId": "add", "x-callboard-access": "admin",
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}},
        "responses": {"201": {"description": "made", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}, "4XX": {"description": "no"}}}
    },
    "/items/{id}": {
      "delete": {"operationId": "drop", "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
        "responses": {"204": {"description": "gone"}, "default": {"description": "any", "content": {"application/json": {}}}}}
    },
    "/items/latest": {"get": {"operationId": "latest", "responses": {"200": {"description": "ok"}}}}
  },
  "components": {
    "parameters": {"lang": {"name": "lang", "in": "query", "schema": {"type": "string", "enum": ["en", "de"]}}},
    "schemas": {"Item": {"type": "object", "required": ["name"], "additionalProperties": false,
      "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1}, "next": {"$ref": "#/components/schemas/Item"}}}}
  }
}`

func compiled(t testing.TB) *Fragment {
	t.Helper()
	f, faults := Compile(json.RawMessage(good))
	if len(faults) > 0 {
		t.Fatalf("the fragment has faults: %v", faults)
	}
	return f
}

func TestCompile(t *testing.T) {
	f := compiled(t)
	var got []string
	for _, op := range f.Operations {
		got = append(got, op.ID+" "+op.Method+" "+op.Path+" "+string(op.Access))
	}
	want := []string{
		"list GET /items plugin.operation.read", "add POST /items plugin.operation.admin",
		"latest GET /items/latest plugin.operation.read", "drop DELETE /items/{id} plugin.operation.write",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// multiplying is a fragment whose parameter has a schema of n steps, each of
// which holds the next one four times.
func multiplying(n int) string {
	var b strings.Builder
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/components/schemas/S%d"}`, i+1)
		fmt.Fprintf(&b, `"S%d":{"allOf":[%s,%s],"properties":{"a":%s,"b":%s}},`, i, next, next, next, next)
	}
	return `{"paths":{"/a":{"get":{"operationId":"a","parameters":[{"name":"q","in":"query","schema":{"$ref":"#/components/schemas/S0"}}],"responses":{"200":{"description":"x"}}}}},
		"components":{"schemas":{` + b.String() + fmt.Sprintf(`"S%d":{"type":"string"}}}}`, n)
}

func TestCompileRefuses(t *testing.T) {
	op := func(extra string) string {
		return `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}` + extra + `}}}}`
	}
	cases := []struct{ name, raw, at, says string }{
		{"NoJSON", `{`, "", "not JSON"},
		{"NoObject", `[]`, "", "object"},
		{"NoPaths", `{"paths":{}}`, "/paths", "at least one"},
		{"OutsideReference", op(`,"parameters":[{"$ref":"https://evil.example/p.json"}]`), "/paths/~1a/get/parameters/0/$ref", "leads out"},
		{"FileReference", op(`,"x-a":{"$ref":"other.json#/a"}`), "/paths/~1a/get/x-a/$ref", "leads out"},
		{"DanglingReference", op(`,"parameters":[{"$ref":"#/components/parameters/none"}]`), "/paths/~1a/get/parameters/0/$ref", "nowhere"},
		{"SchemaWithItsOwnID", op(`,"x-a":{"$id":"https://evil.example"}`), "/paths/~1a/get/x-a/$id", "not supported"},
		{"AbsolutePath", `{"paths":{"https://evil.example/":{}}}`, "/paths/https:~1~1evil.example~1", "begin with a /"},
		{"ForeignPath", `{"paths":{"/api/catalog/entities":{}}}`, "/paths/~1api~1catalog~1entities", "not the plugin's own"},
		{"DotSegments", `{"paths":{"/../x":{}}}`, "/paths/~1..~1x", "neither"},
		{"EmptySegment", `{"paths":{"/a//b":{}}}`, "/paths/~1a~1~1b", "neither"},
		{"HalfAVariable", `{"paths":{"/a{b}":{}}}`, "/paths/~1a{b}", "neither"},
		{"VariableTwice", `{"paths":{"/{a}/{a}":{}}}`, "/paths/~1{a}~1{a}", "twice"},
		{"NoItem", `{"paths":{"/a":7}}`, "/paths/~1a", "object"},
		{"UnknownMethod", `{"paths":{"/a":{"gte":{}}}}`, "/paths/~1a/gte", "not supported"},
		{"Servers", op(`,"servers":[{"url":"https://evil.example"}]`), "/paths/~1a/get/servers", "not supported"},
		{"NoOperation", `{"paths":{"/a":{"get":[]}}}`, "/paths/~1a/get", "object"},
		{"NoOperationID", `{"paths":{"/a":{"get":{"responses":{"200":{"description":"ok"}}}}}}`, "/paths/~1a/get/operationId", "operationId"},
		{"SameOperationID", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}}},"/b":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}}}}}`, "/paths/~1b/get/operationId", "twice"},
		{"SamePathInOtherWords", `{"paths":{"/{a}":{"get":{"operationId":"a","parameters":[{"name":"a","in":"path","required":true,"schema":{}}],"responses":{"200":{"description":"ok"}}}},"/{b}":{"get":{"operationId":"b","parameters":[{"name":"b","in":"path","required":true,"schema":{}}],"responses":{"200":{"description":"ok"}}}}}}`, "/paths/~1{b}/get", "same requests"},
		{"BadAccess", op(`,"x-callboard-access":"root"`), "/paths/~1a/get/x-callboard-access", "read, write or admin"},
		{"NoResponses", `{"paths":{"/a":{"get":{"operationId":"a"}}}}`, "/paths/~1a/get/responses", "at least one"},
		{"BadStatus", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"ok":{"description":"x"}}}}}}`, "/paths/~1a/get/responses/ok", "not a status"},
		{"NoDescription", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{}}}}}}`, "/paths/~1a/get/responses/200", "description"},
		{"OtherMedia", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"x","content":{"text/html":{}}}}}}}}`, "/paths/~1a/get/responses/200/content/text~1html", "application/json"},
		{"BadSchema", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"x","content":{"application/json":{"schema":{"type":"strin"}}}}}}}}}`, "/paths/~1a/get/responses/200/content/application~1json/schema", "not a JSON Schema"},
		{"BadUnusedSchema", `{"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"x"}}}}},"components":{"schemas":{"X":{"pattern":"("}}}}`, "/components/schemas/X", ""},
		{"PathParameterMissing", `{"paths":{"/{a}":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}}}}}`, "/paths/~1{a}/get/parameters", "{a} is missing"},
		{"PathParameterTooMany", op(`,"parameters":[{"name":"x","in":"path","required":true,"schema":{}}]`), "/paths/~1a/get/parameters", "no {x}"},
		{"PathParameterOptional", op(`,"parameters":[{"name":"x","in":"path","schema":{}}]`), "/paths/~1a/get/parameters/0", "required"},
		{"CookieParameter", op(`,"parameters":[{"name":"x","in":"cookie","schema":{}}]`), "/paths/~1a/get/parameters/0", "in must be"},
		{"CredentialHeader", op(`,"parameters":[{"name":"Authorization","in":"header","schema":{}}]`), "/paths/~1a/get/parameters/0", "not handed to plugins"},
		{"ParameterWithoutSchema", op(`,"parameters":[{"name":"x","in":"query"}]`), "/paths/~1a/get/parameters/0", "schema"},
		{"ParameterWithoutName", op(`,"parameters":[{"in":"query","schema":{}}]`), "/paths/~1a/get/parameters/0", "name"},
		{"ParametersNoList", op(`,"parameters":{}`), "/paths/~1a/get/parameters", "list"},
		{"ParameterNoObject", op(`,"parameters":[7]`), "/paths/~1a/get/parameters/0", "object"},
		{"BodyOfGet", op(`,"requestBody":{"content":{"application/json":{}}}`), "/paths/~1a/get/requestBody", "no body"},
		{"BodyWithoutJSON", `{"paths":{"/a":{"post":{"operationId":"a","requestBody":{},"responses":{"200":{"description":"x"}}}}}}`, "/paths/~1a/post/requestBody", "application/json"},
		{"SchemaOfItself", `{"paths":{"/a":{"get":{"operationId":"a","parameters":[{"name":"q","in":"query","schema":{"$ref":"#/components/schemas/A"}}],"responses":{"200":{"description":"x"}}}}},"components":{"schemas":{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}}}}`, "/paths/~1a/get/parameters/0/schema", "refers to itself"},
		{"SchemaThatMultiplies", multiplying(30), "/paths/~1a/get/parameters/0/schema", "parts"},
		{"CircleOfReferences", `{"paths":{"/a":{"get":{"operationId":"a","parameters":[{"$ref":"#/components/parameters/a"}],"responses":{"200":{"description":"x"}}}}},"components":{"parameters":{"a":{"$ref":"#/components/parameters/b"},"b":{"$ref":"#/components/parameters/a"}}}}`, "", "circle"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, faults := Compile(json.RawMessage(c.raw))
			if f != nil || len(faults) == 0 {
				t.Fatal("it was accepted")
			}
			if !slices.ContainsFunc(faults, func(f schema.Fault) bool {
				return (c.at == "" || f.Pointer() == c.at) && strings.Contains(f.Message, c.says)
			}) {
				t.Errorf("got %v, want %q at %s", faults, c.says, c.at)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	f := compiled(t)
	cases := []struct{ method, path, id, param, allowed string }{
		{"GET", "/items", "list", "", ""},
		{"HEAD", "/items", "list", "", ""},
		{"DELETE", "/items/7", "drop", "7", ""},
		{"DELETE", "/items/a%2Fb", "drop", "a/b", ""},
		{"DELETE", "/items/latest", "", "", "GET"},
		{"GET", "/items/latest", "latest", "", ""},
		{"GET", "/items/7", "", "", "DELETE"},
		{"PUT", "/items", "", "", "GET,POST"},
		{"GET", "/items/", "", "", ""},
		{"GET", "/items/7/8", "", "", ""},
		{"GET", "/nothing", "", "", ""},
		{"GET", "/items/%zz", "", "", ""},
	}
	for _, c := range cases {
		op, params, allowed := f.Match(c.method, c.path)
		id := ""
		if op != nil {
			id = op.ID
		}
		if id != c.id || params["id"] != c.param || strings.Join(allowed, ",") != c.allowed {
			t.Errorf("%s %s: got %q with %v, allowed %v", c.method, c.path, id, params, allowed)
		}
	}
	if f.Operation("drop") == nil || f.Operation("none") != nil {
		t.Error("finding by id is wrong")
	}
}

func TestCheckRequest(t *testing.T) {
	f := compiled(t)
	cases := []struct {
		name, op, query, body string
		param                 string
		faults                string // pointers, joined
	}{
		{"OK", "list", "limit=5&open=true&tag=a&tag=b&ids=1,2&lang=de", "", "", ""},
		{"Nothing", "list", "", "", "", ""},
		{"NotANumber", "list", "limit=many", "", "", "/query/limit"},
		{"TooMuch", "list", "limit=51", "", "", "/query/limit"},
		{"HugeNumber", "list", "limit=1e999999999", "", "", "/query/limit"},
		{"NotABoolean", "list", "open=yes", "", "", "/query/open"},
		{"OneOfAList", "list", "tag=a&tag=long", "", "", "/query/tag/1"},
		{"OneOfACommaList", "list", "ids=1,x", "", "", "/query/ids/1"},
		{"Twice", "list", "limit=1&limit=2", "", "", "/query/limit"},
		{"NotInTheEnum", "list", "lang=fr", "", "", "/query/lang"},
		{"Misspelt", "list", "limt=1", "", "", "/query/limt"},
		{"PathOK", "drop", "", "", "7", ""},
		{"PathWrong", "drop", "", "", "seven", "/path/id"},
		{"BodyOK", "add", "", `{"name":"x"}`, "", ""},
		{"BodyMissing", "add", "", "", "", "/body"},
		{"BodyNoJSON", "add", "", "{", "", "/body"},
		{"BodyWrong", "add", "", `{"name":7,"nex":{}}`, "", "/body/name,/body/nex"},
		{"BodyDeep", "add", "", `{"name":"x","next":{"name":"y","next":{}}}`, "", "/body/next/next"},
		{"BodyTrailing", "add", "", `{"name":"x"} {}`, "", "/body"},
		{"BodyUnexpected", "list", "", `{}`, "", "/body"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			query, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			in := Request{Query: query, Body: []byte(c.body), Params: map[string]string{}, Header: http.Header{"X-Trace": {"t"}}}
			if c.param != "" {
				in.Params["id"] = c.param
			}
			_, faults := f.Operation(c.op).CheckRequest(in)
			var at []string
			for _, f := range faults {
				at = append(at, f.Pointer())
			}
			slices.Sort(at)
			if got := strings.Join(at, ","); got != c.faults {
				t.Errorf("got %v", faults)
			}
		})
	}
	t.Run("DefaultsAndHeadersReachTheGuest", func(t *testing.T) {
		out, _ := f.Operation("list").CheckRequest(Request{Header: http.Header{"X-Trace": {"t"}, "Cookie": {"c"}}})
		if !slices.Equal(out.Query["limit"], []string{"20"}) || len(out.Header) != 1 || out.Header["x-trace"] != "t" {
			t.Errorf("got %+v", out)
		}
		out, _ = f.Operation("add").CheckRequest(Request{Body: []byte(`{"name":"x","next":{"name":"y"}}`)})
		if string(out.Body) != `{"name":"x","next":{"name":"y","size":1},"size":1}` {
			t.Errorf("got %s", out.Body)
		}
	})
}

func TestCheckResponse(t *testing.T) {
	f := compiled(t)
	cases := []struct {
		name, op string
		status   int
		body     string
		at       string
	}{
		{"OK", "list", 200, `[{"name":"a"}]`, ""},
		{"WrongItem", "list", 200, `[{"name":"a"},{"nam":"b"}]`, "/body/1"},
		{"NoBody", "list", 200, ``, "/body"},
		{"NoJSON", "list", 200, `{`, "/body"},
		{"UndescribedStatus", "list", 418, `{}`, "/status"},
		{"NoStatus", "list", 0, `[]`, "/status"},
		{"Informational", "list", 100, `[]`, "/status"},
		{"Range", "add", 422, ``, ""},
		{"RangeWithoutContent", "add", 422, `{}`, "/body"},
		{"Empty", "drop", 204, ``, ""},
		{"NullIsEmpty", "drop", 204, `null`, ""},
		{"Default", "drop", 500, `{"any":"thing"}`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			faults := f.Operation(c.op).CheckResponse(&route.Response{Status: c.status, Body: json.RawMessage(c.body)})
			if (len(faults) == 0) != (c.at == "") || len(faults) > 0 && faults[0].Pointer() != c.at {
				t.Errorf("got %v, want a fault at %q", faults, c.at)
			}
		})
	}
}

func TestRename(t *testing.T) {
	r, err := compiled(t).Rename("board")
	if err != nil {
		t.Fatal(err)
	}
	list := string(r.Operations["list"])
	for _, want := range []string{`"#/components/parameters/board.lang"`, `"#/components/schemas/board.Item"`, `"operationId":"list"`} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is not in %s", want, list)
		}
	}
	if item := string(r.Components["schemas"]["board.Item"]); !strings.Contains(item, "#/components/schemas/board.Item") {
		t.Errorf("the component is %s", item)
	}
	if len(r.Tags) != 1 || len(r.Operations) != 4 {
		t.Errorf("got %d tags and %d operations", len(r.Tags), len(r.Operations))
	}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"paths":{"/{a}":{"get":{"operationId":"a","parameters":[{"name":"a","in":"path","required":true,"schema":{"$ref":"#/components/schemas/X"}}],"responses":{"200":{"description":"ok"}}}}},"components":{"schemas":{"X":{"allOf":[{"$ref":"#/components/schemas/X"}]}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fragment, faults := Compile(raw)
		if (fragment == nil) != (len(faults) > 0) {
			t.Fatalf("got %v and %v", fragment, faults)
		}
		if fragment == nil {
			return
		}
		if _, err := fragment.Rename("p"); err != nil {
			t.Fatal(err)
		}
		for _, op := range fragment.Operations {
			if op.Access != host.ActionOperationRead && op.Access != host.ActionOperationWrite && op.Access != host.ActionOperationAdmin {
				t.Fatalf("the access is %q", op.Access)
			}
			_, _ = op.CheckRequest(Request{Body: []byte(`{}`), Query: url.Values{"a": {"1"}}})
			_ = op.CheckResponse(&route.Response{Status: 200, Body: json.RawMessage(`{}`)})
		}
	})
}
