package manifest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

const good = `# A comment.
name: acme/board
version: "1.2.3"
title: Board
description: Shows what runs where.
license: Apache-2.0
callboard: ">=0.1.0 <1.0.0"
runtime: wasm
capabilities:
  - type: route/v1
    openapi:
      paths:
        /items:
          get:
            operationId: boardItems
            responses: {"200": {description: The items.}}
  - type: view/v1
    views:
      - {id: tab, slot: entity.tab, title: Board, when: {kinds: [Component], annotations: [acme.io/board]}}
  - type: schedule/v1
    schedules:
      - {id: poll, every: 5m}
permissions:
  - type: http/v1
    hosts: ["https://api.example.com", "${config.url}", "${config.more[].url}"]
    auth: {type: basic, secret: token, username: "${config.user}"}
    reason: Reads what runs where.
  - {type: kv/v1, quota: 1MiB, reason: Keeps the last good answer.}
config:
  schema:
    type: object
    properties:
      url: {type: string}
      user: {type: string}
      more: {type: array, items: {type: object, properties: {url: {type: string}}}}
  ui: {order: [url, user]}
secrets:
  - {name: token, title: Token, reason: Opens the board.}
limits: {timeout: 10s, memory: 64MiB, input: 1MiB, output: 4MiB, fuel: 2000000000, hostCalls: 50, hostBytes: 8MiB, logRate: 16KiB, concurrency: 4}
`

func TestParse(t *testing.T) {
	m, err := Parse([]byte(good), "plugin.yaml")
	if err != nil {
		t.Fatal(ProblemsOf(err), err)
	}
	if m.Name != "acme/board" || len(m.Capabilities) != 3 || m.Permissions[0].Auth.Secret != "token" || m.Config.UI.Order[1] != "user" {
		t.Errorf("got %+v", m)
	}
}

func TestParseRefuses(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the good manifest has no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	cases := []struct{ name, src, where, says, hint string }{
		{"Empty", "", "", "empty", ""},
		{"NotYAML", "a: [", "plugin.yaml:1", "not YAML", "indentation"},
		{"TwoDocuments", good + "---\na: b\n", "plugin.yaml:40", "more than one", ""},
		{"NoObject", "just text", "plugin.yaml:1", "must be a object", ""},
		{"UnknownField", swap("license:", "licence:"), "plugin.yaml:6", "unknown field", `did you mean "license"`},
		{"UnknownNestedField", swap("operationId: boardItems", "operationID: boardItems"), "plugin.yaml:15", "not supported", `did you mean "operationId"`},
		{"KeyTwice", swap("title: Board\n", "title: Board\ntitle: Bord\n"), "plugin.yaml:5", "twice", ""},
		{"VersionIsANumber", swap(`"1.2.3"`, "1.2"), "plugin.yaml:3", "must be a string", ""},
		{"VersionIsNoSemVer", swap(`"1.2.3"`, "v1.2.3"), "plugin.yaml:3", "does not match", ""},
		{"NameWithoutNamespace", swap("acme/board", "board"), "plugin.yaml:2", "does not match", ""},
		{"NoTitle", swap("title: Board\n", ""), "plugin.yaml:2", `lacks "title"`, ""},
		{"RangeIsNoRange", swap(">=0.1.0 <1.0.0", "soon"), "plugin.yaml:7", "not a version range", "for example"},
		{"RangeIsImpossible", swap(">=0.1.0 <1.0.0", ">=2.0.0 <1.0.0"), "plugin.yaml:7", "no version can satisfy", ""},
		{"RangeIsLater", swap(">=0.1.0 <1.0.0", ">=7.0.0"), "plugin.yaml:7", "this host is", "update Callboard"},
		{"RangeIsEarlier", swap(">=0.1.0 <1.0.0", "<0.1.0"), "plugin.yaml:7", "this host is", ""},
		{"UnknownCapability", swap("type: view/v1", "type: views/v1"), "plugin.yaml:17", "must be one of", `did you mean "view/v1"`},
		{"CapabilityTwice", swap("type: schedule/v1\n    schedules:\n      - {id: poll, every: 5m}", "type: view/v1\n    views: [{id: x, slot: page, title: X}]"), "plugin.yaml:20", "twice", "merge"},
		{"FieldOfAnotherCapability", swap("    views:\n", "    schedules: []\n    views:\n"), "plugin.yaml:18", "does not belong here", ""},
		{"UnknownSlot", swap("entity.tab", "entity.tabs"), "plugin.yaml:19", "must be one of", `did you mean "entity.tab"`},
		{"WhenOnAPage", swap("entity.tab", "page"), "plugin.yaml:19", "entity slots", ""},
		{"TooOften", swap("every: 5m", "every: 30s"), "plugin.yaml:22", "30s", "at least 1m"},
		{"NoReason", swap("    reason: Reads what runs where.\n", ""), "plugin.yaml:24", `lacks "reason"`, ""},
		{"BadHost", swap("https://api.example.com", "api.example.com"), "plugin.yaml:25", "not an origin", "scheme://host"},
		{"HostWithAPath", swap("https://api.example.com", "https://api.example.com/v1"), "plugin.yaml:25", "no path", ""},
		{"HostOfEverything", swap("https://api.example.com", "https://*"), "plugin.yaml:25", "not an origin", ""},
		{"HostOfUnknownConfig", swap("${config.url}", "${config.uri}"), "plugin.yaml:25", "does not have", ""},
		{"UnknownSecret", swap("secret: token", "secret: tokn"), "plugin.yaml:26", "not one of the manifest's secrets", `did you mean "token"`},
		{"UserOfUnknownConfig", swap(`"${config.user}"`, `"${config.usr}"`), "plugin.yaml:26", "does not have", ""},
		{"UnusedSecret", swap("secrets:\n", "secrets:\n  - {name: spare, title: Spare, reason: For later.}\n"), "plugin.yaml:38", "used by no permission", ""},
		{"SecretTwice", swap("secrets:\n", "secrets:\n  - {name: token, title: Token, reason: Again.}\n"), "plugin.yaml:39", "another secret has", ""},
		{"BadQuota", swap("quota: 1MiB", "quota: 1 megabyte"), "plugin.yaml:28", "does not match", ""},
		{"PermissionTwice", swap("config:\n", "  - {type: kv/v1, quota: 1B, reason: Once more please.}\nconfig:\n"), "plugin.yaml:29", "twice", "merge"},
		{"ConfigSchemaIsNone", swap("url: {type: string}\n", "url: {type: strin}\n"), "plugin.yaml:30", "not a usable JSON Schema", ""},
		{"ConfigOfOutside", swap("url: {type: string}\n", "url: {$ref: 'https://evil.example/s.json'}\n"), "plugin.yaml:30", "leads out", ""},
		{"OrderOfUnknownField", swap("order: [url, user]", "order: [url, usr]"), "plugin.yaml:36", "does not have", ""},
		{"NoTime", swap("timeout: 10s", "timeout: 0s"), "plugin.yaml:39", "0s", ""},
		{"HugeInput", swap("input: 1MiB", "input: 99999999999999999999GiB"), "plugin.yaml:39", "not a size", ""},
		{"NoFuel", swap("fuel: 2000000000", "fuel: 0"), "plugin.yaml:39", "fuel", ""},
		{"UnknownPolicy", swap("  - type: view/v1\n", "  - type: view/v1\n    failure: {policy: ajar}\n"), "plugin.yaml:18", "must be one of", ""},
		{"StaleForEver", swap("  - type: view/v1\n", "  - type: view/v1\n    failure: {policy: stale, staleFor: 48h}\n"), "plugin.yaml:18", "48h", "at most 24h"},
		{"StaleForWhatFailsOpen", swap("  - type: view/v1\n", "  - type: view/v1\n    failure: {policy: open, staleFor: 1h}\n"), "plugin.yaml:18", "no meaning", "policy: stale"},
		{"HugeMemory", swap("memory: 64MiB", "memory: 99999999999999999999GiB"), "plugin.yaml:39", "not a size", ""},
		{"ForeignPath", swap("/items:", "/api/v1/items:"), "plugin.yaml:13", "not the plugin's own", "relative"},
		{"CodeOutside", good + "main: ../../etc/passwd\n", "plugin.yaml:40", "does not match", ""},
		{"MergeKey", good + "<<: {a: b}\n", "plugin.yaml:40", "merge keys", ""},
		{"Tag", good + "homepage: !!binary aGk=\n", "plugin.yaml:40", "not supported", ""},
		{"NotANumber", good + "x: .nan\n", "plugin.yaml:40", "JSON can hold", ""},
		{"KeyIsAList", good + "? [a, b]\n: c\n", "plugin.yaml:40", "plain word", ""},
		{"Bomb", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "", "aliases counted", ""},
		{"Deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), "plugin.yaml:1", "nested deeper", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.src), "plugin.yaml")
			if host.CodeOf(err) != host.CodeInvalid {
				t.Fatalf("got %v", err)
			}
			problems := ProblemsOf(err)
			if problems == nil {
				problems = Problems{host.AsError(err)}
			}
			for _, p := range problems {
				if (c.where == "" || p.Where == c.where) && strings.Contains(p.Message, c.says) && strings.Contains(p.Hint, c.hint) {
					return
				}
			}
			t.Errorf("want %q and %q at %s, got:\n%v", c.says, c.hint, c.where, problems)
		})
	}
	t.Run("Huge", func(t *testing.T) {
		if _, err := Parse(make([]byte, MaxBytes+1), "plugin.yaml"); host.CodeOf(err) != host.CodeTooLarge {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AllProblemsAreTold", func(t *testing.T) {
		_, err := Parse([]byte(strings.NewReplacer("license:", "licence:", "runtime: wasm", "runtime: jar").Replace(good)), "plugin.yaml")
		e := host.AsError(err)
		if len(ProblemsOf(err)) != 2 || len(e.Fields) != 2 || !strings.Contains(e.Message, "and 1 more") || !strings.Contains(ProblemsOf(err).Error(), "plugin.yaml:8") {
			t.Errorf("got %v with %v", err, e.Fields)
		}
	})
}

// TestPublishedSchema keeps the schema that editors use as strict as the text
// says: every object of ours is closed, every field is explained.
func TestPublishedSchema(t *testing.T) {
	doc, err := schema.Decode(manifestv1.Schema)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		if props, ok := object["properties"].(map[string]any); ok && object["type"] == "object" {
			open := strings.HasSuffix(path, "/config/properties/schema")
			if object["additionalProperties"] != false && !open {
				t.Errorf("%s is not closed", path)
			}
			for name, p := range props {
				sub, _ := p.(map[string]any)
				_, ref := sub["$ref"]
				_, said := sub["description"]
				if !said && !ref && !open && !strings.Contains(path, "/components") {
					t.Errorf("%s/%s is not explained", path, name)
				}
			}
		}
		for key, sub := range object {
			if key != "if" && key != "then" && key != "allOf" {
				walk(path+"/"+key, sub)
			}
		}
	}
	walk("", doc)
}

func TestBytes(t *testing.T) {
	for s, want := range map[string]int64{"1B": 1, "64MiB": 64 << 20, "2KiB": 2048, "1GiB": 1 << 30, "": 0, "0B": 0, "-1B": 0, "1MB": 0, "1": 0, "9999999999GiB": 0, "1.5MiB": 0} {
		got, err := Bytes(s)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v", s, got, err)
		}
		if want > 0 && FormatBytes(want) != s {
			t.Errorf("%d is written %q", want, FormatBytes(want))
		}
	}
}

func TestOrigin(t *testing.T) {
	for s, want := range map[string]string{
		"https://API.example.com": "https://api.example.com:443", "http://a.example:8080": "http://a.example:8080",
		"https://*.example.com": "https://*.example.com:443", "http://[::1]:9090": "http://[::1]:9090", "http://127.0.0.1": "http://127.0.0.1:80",
		"http://localhost": "http://localhost:80", "${config.a[].b}": "${config.a[].b}",
		"": "", "https://": "", "ftp://a": "", "https://a/": "", "https://a?x": "", "https://u@a": "", "https://a:0": "", "https://a:99999": "", "https://a:080": "",
		"https://a:": "", "https://*.com": "", "https://a.*.com": "", "https://*": "", "https://[::1": "", "https://[::1]x": "", "https://[fe80::1%25eth0]": "",
		"https://*.10.0.0.1": "", "https://a b": "", "https://-a": "", "${secrets.a}": "", "${config.}": "", "${config.a": "", "https://ä.example": "",
	} {
		o, err := ParseOrigin(s)
		if (err == nil) != (want != "") || err == nil && o.String() != want {
			t.Errorf("%q is %q, %v", s, o, err)
		}
		if err == nil {
			if again, err := ParseOrigin(o.String()); err != nil || again.String() != want {
				t.Errorf("%q is not read back: %v", want, err)
			}
		}
	}
	if got := Lookup("${config.a[].b}", map[string]any{"a": []any{map[string]any{"b": "x"}, map[string]any{}, 7}}); len(got) != 1 || got[0] != "x" {
		t.Errorf("looking up gave %v", got)
	}
	if got := Lookup("ann", nil); len(got) != 1 || got[0] != "ann" {
		t.Errorf("what is no reference gave %v", got)
	}
}

// release writes a plugin's folder.
func release(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packed(t testing.TB, dir string) ([]byte, string) {
	t.Helper()
	var out bytes.Buffer
	digest, err := WritePackage(dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), digest
}

func TestPackage(t *testing.T) {
	dir := release(t, map[string]string{"plugin.yaml": good, "plugin.wasm": "\x00asm code", "README.md": "# Board\n", "secret.txt": "not for the package"})
	one, digest := packed(t, dir)
	other := release(t, map[string]string{"README.md": "# Board\n", "plugin.wasm": "\x00asm code", "plugin.yaml": good})
	two, _ := packed(t, other)
	if !bytes.Equal(one, two) {
		t.Error("the same release gives different packages")
	}
	if bytes.Contains(one, []byte("not for the package")) {
		t.Error("the package holds a file that nobody named")
	}
	folder, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "board.tar")
	if err := os.WriteFile(file, one, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*Bundle, error){
		"Open": func() (*Bundle, error) { return Open(file) }, "OpenBytes": func() (*Bundle, error) { return OpenBytes(one) },
	} {
		b, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Digest != digest || folder.Digest != digest || string(b.Code) != "\x00asm code" || b.Readme != "# Board\n" || b.Manifest.Name != "acme/board" {
			t.Errorf("%s: got %s, the folder has %s, the package %s", name, b.Digest, folder.Digest, digest)
		}
	}
	if m, err := Peek(dir); err != nil || m.Name != "acme/board" {
		t.Errorf("peeking gave %v", err)
	}
}

func TestOpenFolderRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := release(t, map[string]string{"plugin.yaml": good})
	if err := os.Symlink(outside, filepath.Join(link, "plugin.wasm")); err != nil {
		t.Fatal(err)
	}
	folderAsCode := release(t, map[string]string{"plugin.yaml": good})
	if err := os.Mkdir(filepath.Join(folderAsCode, "plugin.wasm"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, says string }{
		"NoFolder":      {"/no/such/folder", "does not exist"},
		"NoManifest":    {t.TempDir(), "plugin.yaml does not exist"},
		"NoCode":        {release(t, map[string]string{"plugin.yaml": good}), "build the plugin first"},
		"LinkOutside":   {link, "cannot be read"},
		"FolderAsCode":  {folderAsCode, "not a regular file"},
		"BadManifest":   {release(t, map[string]string{"plugin.yaml": "a: b"}), "plugin.yaml:1"},
		"HugeReadme":    {release(t, map[string]string{"plugin.yaml": good, "plugin.wasm": "x", "README.md": strings.Repeat("x", MaxReadmeBytes+1)}), "larger than 256KiB"},
		"LargeManifest": {release(t, map[string]string{"plugin.yaml": strings.Repeat("#", MaxBytes+1)}), "larger than 1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(c.dir); err == nil || !strings.Contains(err.Error(), c.says) || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
}

// entry is a file of a hostile tar.
type entry struct {
	name, body, link string
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o600, Size: int64(len(e.body))}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpenPackageRefuses(t *testing.T) {
	good, _ := packed(t, release(t, map[string]string{"plugin.yaml": good, "plugin.wasm": "\x00asm code"}))
	many := make([]entry, maxEntries+2)
	for i := range many {
		many[i].name = "f" + string(rune('A'+i))
	}
	digest := DigestOf([]byte("x"))
	blob := entry{name: blobName(digest), body: "x"}
	indexOf := func(d descriptor) entry {
		raw, err := json.Marshal(index{Manifests: []descriptor{d}})
		if err != nil {
			t.Fatal(err)
		}
		return entry{name: "index.json", body: string(raw)}
	}
	withImage := func(img image) []byte {
		raw, err := json.Marshal(img)
		if err != nil {
			t.Fatal(err)
		}
		d := DigestOf(raw)
		return tarOf(t, indexOf(descriptor{Digest: d, Size: int64(len(raw))}), entry{name: blobName(d), body: string(raw)}, blob)
	}
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"Junk":             {[]byte(strings.Repeat("junk", 500)), "tar cannot be read"},
		"Cut":              {good[:len(good)/2], ""},
		"Changed":          {bytes.Replace(good, []byte("asm code"), []byte("asm c0de"), 1), "damaged"},
		"Empty":            {tarOf(t), "no index.json"},
		"LeadsOut":         {tarOf(t, entry{name: "../../etc/cron.d/x", body: "x"}), "leads out"},
		"Absolute":         {tarOf(t, entry{name: "/etc/passwd", body: "x"}), "leads out"},
		"Link":             {tarOf(t, entry{name: "index.json", link: "/etc/passwd"}), "not a regular file"},
		"TwiceTheSameName": {tarOf(t, entry{name: "a", body: "x"}, entry{name: "./a", body: "y"}), "twice"},
		"TooManyFiles":     {tarOf(t, many...), "too large"},
		"IndexIsJunk":      {tarOf(t, entry{name: "index.json", body: "{"}), "index.json cannot be read"},
		"NoImage":          {tarOf(t, entry{name: "index.json", body: "{}"}), "names 0 images"},
		"BadDigest":        {tarOf(t, indexOf(descriptor{Digest: "sha256:../../x"})), "not a sha256 digest"},
		"MissingBlob":      {tarOf(t, indexOf(descriptor{Digest: digest})), "missing"},
		"ImageIsJunk":      {tarOf(t, indexOf(descriptor{Digest: digest, Size: 1}), blob), "image manifest"},
		"OtherArtifact":    {withImage(image{ArtifactType: "application/vnd.helm.chart"}), "artifactType"},
		"UnknownLayer":     {withImage(image{ArtifactType: ArtifactType, Layers: []descriptor{{MediaType: "text/x-shellscript", Digest: digest, Size: 1}}}), "unknown type"},
		"NoLayers":         {withImage(image{ArtifactType: ArtifactType}), "lacks"},
		"TooManyLayers":    {withImage(image{ArtifactType: ArtifactType, Layers: make([]descriptor, 9)}), "too many layers"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := OpenBytes(c.raw)
			if err == nil || !strings.Contains(err.Error(), c.says) || host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("got %v, %v", b, err)
			}
		})
	}
	if _, err := OpenFile("/no/such/file"); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("no file gave %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("name: acme/x\ncapabilities: [{type: route/v1, openapi: {paths: {/a: 7}}}]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := Parse(src, "plugin.yaml")
		if (m == nil) == (err == nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		var e *host.Error
		if err != nil && (!errors.As(err, &e) || e.Message == "") {
			t.Fatalf("not explained: %v", err)
		}
	})
}

func FuzzOpenBytes(f *testing.F) {
	raw, _ := packed(f, release(f, map[string]string{"plugin.yaml": good, "plugin.wasm": "\x00asm code"}))
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := OpenBytes(raw)
		if (b == nil) == (err == nil) || err != nil && host.CodeOf(err) == host.CodeInternal {
			t.Fatalf("got %v and %v", b, err)
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://[::1]:80", "https://*.a.example:1", "${config.a[].b}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOrigin(s)
		if err != nil {
			return
		}
		again, err := ParseOrigin(o.String())
		if err != nil || again.String() != o.String() || !o.Covers(again) {
			t.Fatalf("%q is read as %q, and that as %q, %v", s, o, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse([]byte(good), "plugin.yaml"); err != nil {
			b.Fatal(err)
		}
	}
}
