package descriptor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func parseOne(t *testing.T, text string) *Document {
	t.Helper()
	docs, problems := Parse([]byte(text), Limits{})
	if len(docs) != 1 || len(problems) != 0 {
		t.Fatalf("%d documents, %+v", len(docs), problems)
	}
	return docs[0]
}

func TestSubstitute(t *testing.T) {
	files := map[string]string{"t.txt": "plain: text\n", "j.json": "{\"b\":\t[1, \"\\ud83d\\ude00\"], \"a\": null}", "y.yaml": "z: yes\nl: [1.50, 0x10]\n", "two.yaml": "a: 1\n---\nb: 2\n", "bad.json": "{\n\"a\" 1}", "bad.yaml": "a: [\n"}
	resolve := func(how, target string, line int) (*Node, error) {
		body, ok := files[target]
		if !ok {
			return nil, host.Errorf(host.CodeNotFound, "no such file").WithHint("write it")
		}
		return Read(how, []byte(body), line, Limits{})
	}
	t.Run("EveryKind", func(t *testing.T) {
		d := parseOne(t, "a: &x {$text: t.txt}\nb: [{$json: j.json}, {$yaml: y.yaml}]\nc: *x\nd: {$ref: t.txt}\ne: {$text: t.txt, f: 1}\ng: {plain: 1}\n")
		n, problems := d.Substitute(resolve)
		if n != 3 || len(problems) != 0 {
			t.Fatalf("%d, %+v", n, problems)
		}
		want := `{"a":"plain: text\n","b":[{"b":[1,"😀"],"a":null},{"z":"yes","l":[1.5,16]}],"c":"plain: text\n","d":{"$ref":"t.txt"},"e":{"$text":"t.txt","f":1},"g":{"plain":1}}`
		if got := string(d.Root.AppendJSON(nil)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if line := d.Root.Get("b").Items[1].Get("l").Items[1].Line; line != 2 {
			t.Errorf("line %d", line)
		}
	})
	for name, c := range map[string]struct{ text, want, hint string }{
		"Missing":    {"a:\n  $text: none", "$text none: no such file", "write it"},
		"NotAString": {"a:\n  $text: [x]", "not a list", "path or URL"},
		"Empty":      {"a:\n  $text: ''", "must name a file", ""},
		"TwoDocs":    {"a:\n  $yaml: two.yaml", "2 documents", "single document"},
		"BadJSON":    {"a:\n  $json: bad.json", "line 2", "check the file"},
		"BadYAML":    {"a:\n  $yaml: bad.yaml", "line 1", "check the file"},
	} {
		t.Run("Err"+name, func(t *testing.T) {
			d := parseOne(t, c.text)
			_, problems := d.Substitute(resolve)
			if len(problems) != 1 || problems[0].Line != 2 || !strings.Contains(problems[0].Message, c.want) || !strings.Contains(problems[0].Hint, c.hint) {
				t.Errorf("%+v", problems)
			}
		})
	}
	t.Run("ErrOfAnotherKind", func(t *testing.T) {
		_, problems := parseOne(t, "$text: x").Substitute(func(string, string, int) (*Node, error) { return nil, errors.New("boom") })
		if len(problems) != 1 || !strings.Contains(problems[0].Message, "boom") {
			t.Errorf("%+v", problems)
		}
	})
}

func TestBase(t *testing.T) {
	d := parseOne(t, doc("System", "uid: u\netag: e\nannotations: {a: '1', b: '2'}", "owner: o")+"relations: []\n")
	var got struct {
		Metadata struct {
			UID, Etag, Namespace, Name string
			Annotations                map[string]string
		}
		Relations []any
	}
	if err := json.Unmarshal(d.Base(map[string]string{"b": "3", "c": "4"}), &got); err != nil {
		t.Fatal(err)
	}
	m := got.Metadata
	if m.UID != "" || m.Etag != "" || m.Namespace != "default" || m.Name != "x" || got.Relations != nil ||
		len(m.Annotations) != 3 || m.Annotations["b"] != "3" || m.Annotations["a"] != "1" {
		t.Errorf("%+v", got)
	}
	if d.Annotation("a") != "1" || d.Annotation("none") != "" || d.String() != "system:default/x (line 1)" {
		t.Error(d.String())
	}
}

func TestPointers(t *testing.T) {
	p, ok := parseOne(t, doc("Location", "", "type: url\ntarget: a\ntargets: [b, c]\npresence: optional")).Pointers()
	if !ok || p.Type != "url" || !p.Optional || len(p.Targets) != 3 || p.Targets[2] != (Target{"c", 8}) {
		t.Errorf("%+v", p)
	}
	if _, ok := parseOne(t, doc("System", "", "owner: o")).Pointers(); ok {
		t.Error("a System points on")
	}
}

func FuzzDescriptor(f *testing.F) {
	for kind, spec := range minimal {
		f.Add([]byte(doc(kind, "tags: [a]\nlinks: [{url: 'http://a'}]\nannotations: {a: b}", spec)))
	}
	f.Add([]byte("a: &a [*a]\n---\nb: &b {x: 1}\nc: [*b, *b]\n"))
	f.Add([]byte("%YAML 1.2\n---\n? a\n: b\n...\n--- |\n text\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		docs, problems := Parse(src, Limits{Bytes: 1 << 16, Nodes: 5000, Depth: 50})
		for _, p := range problems {
			if p.Line < 0 || p.Message == "" || p.Hint == "" {
				t.Fatalf("problem without place or hint: %+v", p)
			}
		}
		for _, d := range docs {
			_, _ = d.Substitute(func(string, string, int) (*Node, error) { return nil, errors.New("no") })
			if got := d.Validate(); len(got) > 0 {
				continue
			}
			if base := d.Base(map[string]string{"a": "b"}); !json.Valid(base) {
				t.Fatalf("not JSON: %s", base)
			}
			if _, ok := d.Ref(); !ok {
				t.Fatal("a valid document without a ref")
			}
		}
	})
}
