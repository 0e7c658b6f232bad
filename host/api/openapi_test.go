package api_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/callboard-dev/callboard/host/api"
)

var update = flag.Bool("update", false, "write the golden documents anew")

// goldens is where the documents lie that others compare with and lint.
const goldens = "../../schemas/openapi"

// golden compares with, or writes, a golden document.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(goldens, name)
	if *update {
		must(t, os.WriteFile(path, append(got, '\n'), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if strings.TrimSpace(string(want)) != strings.TrimSpace(string(got)) {
		t.Errorf("the document is not %s any more; if that is meant: go test ./host/api -run Document -update", path)
	}
}

func TestDocument(t *testing.T) {
	h := newHouse(t)
	p := h.admin()
	fetch := func() (string, []byte) {
		w := p.send("GET", "/openapi.json", "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/openapi+json" {
			t.Fatalf("answers %d %v", w.Code, w.Header())
		}
		return w.Header().Get("ETag"), w.Body.Bytes()
	}
	etag, core := fetch()
	t.Run("CoreIsGolden", func(t *testing.T) { golden(t, "core.json", core) })
	t.Run("ResolvesInItself", func(t *testing.T) { resolves(t, core) })
	t.Run("Unchanged", func(t *testing.T) {
		if w := p.send("GET", "/openapi.json", "", header("If-None-Match", etag)); w.Code != 304 {
			t.Errorf("answers %d", w.Code)
		}
	})
	p.install()
	t.Run("PluginAppears", func(t *testing.T) {
		tag, doc := fetch()
		golden(t, "with-plugin.json", doc)
		resolves(t, doc)
		var d map[string]any
		must(t, json.Unmarshal(doc, &d))
		op := dig(d, "paths", "/api/plugins/greeter/greetings/{who}", "get")
		if tag == etag || dig(op, "operationId") != "greet" || dig(op, "x-callboard-plugin") != "acme/greeter" ||
			dig(op, "responses", "default", "$ref") != "#/components/responses/Problem" {
			t.Errorf("the operation is %v", op)
		}
	})
	t.Run("DisabledDisappears", func(t *testing.T) {
		p.want(200, "POST", "/api/v1/plugins/greeter/disable", "")
		tag, doc := fetch()
		if string(doc) != string(core) || tag != etag {
			t.Error("the document is not the one before the plugin came")
		}
		p.want(200, "POST", "/api/v1/plugins/greeter/enable", "")
		p.settled("active")
		if _, doc := fetch(); !strings.Contains(string(doc), "greetLoudly") {
			t.Error("the enabled plugin's operations are missing")
		}
	})
	t.Run("YAMLSaysTheSame", func(t *testing.T) {
		w := p.send("GET", "/openapi.yaml", "")
		raw, err := yaml.YAMLToJSON(w.Body.Bytes())
		must(t, err)
		var a, b any
		must(t, json.Unmarshal(raw, &a))
		_, doc := fetch()
		must(t, json.Unmarshal(doc, &b))
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Error("YAML and JSON differ")
		}
	})
	t.Run("NeedsACaller", func(t *testing.T) { person{h: h}.want(401, "GET", "/openapi.json", "") })
	t.Run("ForOtherRooms", func(t *testing.T) {
		doc, tag, err := h.api.Document(t.Context(), callerOf(t, p))
		if err != nil || tag == "" || !json.Valid(doc) {
			t.Errorf("%v %q", err, tag)
		}
	})
}

var reference = regexp.MustCompile(`"\$ref":\s*"([^"]+)"`)

// resolves checks that every reference leads to something in the document, and
// that operation ids are there and unique.
func resolves(t *testing.T, raw []byte) {
	t.Helper()
	var doc map[string]any
	must(t, json.Unmarshal(raw, &doc))
	for _, m := range reference.FindAllStringSubmatch(string(raw), -1) {
		rest, ok := strings.CutPrefix(m[1], "#/")
		at := any(doc)
		for part := range strings.SplitSeq(rest, "/") {
			at = dig(at, part)
		}
		if !ok || at == nil {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
	seen := map[string]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			id, _ := dig(op, "operationId").(string)
			if id == "" || seen[id] {
				t.Errorf("%s %s has the operation id %q", method, path, id)
			}
			seen[id] = true
		}
	}
}

func TestOperationIDs(t *testing.T) {
	ids := api.OperationIDs()
	if len(ids) < 40 || !slices.Contains(ids, "getEntity") || !slices.Contains(ids, "backstageQueryEntities") {
		t.Errorf("the ids are %v", ids)
	}
}
