package descriptor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// doc returns a document of a kind; meta and spec are YAML below those keys.
func doc(kind, meta, spec string) string {
	version := "backstage.io/v1alpha1"
	if kind == "Template" {
		version = "scaffolder.backstage.io/v1beta3"
	}
	s := "apiVersion: " + version + "\nkind: " + kind + "\nmetadata:\n  name: x\n" + indent(meta)
	if spec != "" {
		s += "spec:\n" + indent(spec)
	}
	return s
}

func indent(s string) string {
	if s == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}

// minimal is the smallest good spec of each kind.
var minimal = map[string]string{
	"Component": "type: t\nlifecycle: l\nowner: o", "API": "type: t\nlifecycle: l\nowner: o\ndefinition: d",
	"Resource": "type: t\nowner: o", "System": "owner: o", "Domain": "owner: o", "User": "memberOf: []",
	"Group": "type: t\nchildren: []", "Location": "target: ./x.yaml", "Template": "type: t\nsteps: []",
	"AiResource": "type: t\nlifecycle: l\nowner: o",
}

func TestValidate(t *testing.T) {
	t.Run("SmallestOfEachKindIsGood", func(t *testing.T) {
		for _, kind := range Kinds() {
			if got := Check([]byte(doc(kind, "", minimal[kind])), Limits{}); len(got) != 0 {
				t.Errorf("%s: %+v", kind, got)
			}
		}
	})
	t.Run("ErrEachRequiredFieldMissing", func(t *testing.T) {
		for kind, spec := range minimal {
			if kind == "Location" {
				continue
			}
			lines := strings.Split(spec, "\n")
			for i, line := range lines {
				rest := append(append([]string{}, lines[:i]...), lines[i+1:]...)
				field, _, _ := strings.Cut(line, ":")
				got := Check([]byte(doc(kind, "", strings.Join(append(rest, "extra: 1"), "\n"))), Limits{})
				if len(got) != 1 || got[0].Path != "/spec/"+field || got[0].Hint == "" || got[0].Line != 6 {
					t.Errorf("%s without %s: %+v", kind, field, got)
				}
			}
		}
	})
	// bad: YAML, then line and part of the message of its one problem.
	for name, c := range map[string]struct {
		text string
		line int
		want string
	}{
		"NotAMap":             {"- a\n", 1, "not a map"},
		"NoKind":              {"apiVersion: v1\nmetadata:\n  name: x\n", 1, "kind is missing"},
		"NoVersion":           {"kind: Component\nmetadata:\n  name: x\n", 1, "apiVersion is missing"},
		"NoMetadata":          {"apiVersion: backstage.io/v1alpha1\nkind: Location\n", 1, "metadata is missing"},
		"MetadataList":        {"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: []\n", 3, "metadata must be a map"},
		"NoName":              {"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  title: x\n", 4, "metadata.name is missing"},
		"NameNumber":          {"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: 12\n", 4, "must be a string, not a number"},
		"NameEmpty":           {"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name: ''\n", 4, "metadata.name is empty"},
		"NameNull":            {"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata:\n  name:\n", 4, "metadata.name is empty"},
		"ForeignRootField":    {doc("System", "", "owner: o") + "extra: 1\n", 7, `unknown field "extra"`},
		"UnknownKind":         {doc("Wizard", "", "a: b"), 2, `no rule recognises kind "Wizard"`},
		"KindInOtherCase":     {doc("component", "", minimal["Component"]), 2, "spelled exactly"},
		"ForeignVersion":      {strings.Replace(doc("System", "", "owner: o"), "v1alpha1", "v9", 1), 1, "does not belong to kind System"},
		"BadVersion":          {strings.Replace(doc("System", "", "owner: o"), "backstage.io/v1alpha1", "a/b/c", 1), 1, "which is not allowed"},
		"Namespace":           {doc("System", "namespace: Up", "owner: o"), 5, "metadata.namespace"},
		"TitleEmpty":          {doc("System", "title: ''", "owner: o"), 5, "metadata.title is empty"},
		"DescriptionList":     {doc("System", "description: [a]", "owner: o"), 5, "metadata.description"},
		"LabelKey":            {doc("System", "labels:\n  a/b/c: x", "owner: o"), 6, "metadata.labels has the key"},
		"LabelKeyPrefix":      {doc("System", "labels:\n  UP.case/x: x", "owner: o"), 6, "metadata.labels has the key"},
		"LabelValue":          {doc("System", "labels:\n  a: 'x y'", "owner: o"), 6, "which is not allowed"},
		"LabelNumber":         {doc("System", "labels:\n  a: 1", "owner: o"), 6, "must be a string, not a number"},
		"LabelsList":          {doc("System", "labels: [a]", "owner: o"), 5, "metadata.labels must be a map"},
		"AnnotationBool":      {doc("System", "annotations:\n  a: true", "owner: o"), 6, "must be a string, not a boolean"},
		"AnnotationKey":       {doc("System", "annotations:\n  'a b': x", "owner: o"), 6, "metadata.annotations has the key"},
		"TagCase":             {doc("System", "tags: [Java]", "owner: o"), 5, `the tag "Java" is not allowed`},
		"TagNumber":           {doc("System", "tags: [1]", "owner: o"), 5, "metadata.tags.0 must be a string"},
		"TagsMap":             {doc("System", "tags: {a: b}", "owner: o"), 5, "metadata.tags must be a list"},
		"LinkURL":             {doc("System", "links:\n- url: nowhere", "owner: o"), 6, "metadata.links.0.url"},
		"LinkNoURL":           {doc("System", "links:\n- title: x", "owner: o"), 6, "metadata.links.0.url is missing"},
		"LinkTitleBlank":      {doc("System", "links:\n- url: http://a\n  title: ' '", "owner: o"), 7, "metadata.links.0.title"},
		"LinkIcon":            {doc("System", "links:\n- url: http://a\n  icon: 'a b'", "owner: o"), 7, "metadata.links.0.icon"},
		"LinkString":          {doc("System", "links: [x]", "owner: o"), 5, "metadata.links.0 must be a map"},
		"SpecMissing":         {doc("System", "", ""), 1, "spec is missing"},
		"SpecString":          {doc("System", "", "") + "spec: x\n", 5, "spec must be a map"},
		"OwnerList":           {doc("System", "", "owner: [a]"), 6, "spec.owner must be a string, not a list"},
		"OwnerRef":            {doc("System", "", "owner: 'group:'"), 6, "the name is empty"},
		"DependsOnNoKind":     {doc("Component", "", minimal["Component"]+"\ndependsOn: [db]"), 9, "the kind is missing"},
		"DependsOnEmpty":      {doc("Component", "", minimal["Component"]+"\ndependsOn: ['']"), 9, "spec.dependsOn.0"},
		"ChildrenMap":         {doc("Group", "", "type: t\nchildren: {}"), 7, "spec.children must be a list"},
		"ProfileEmail":        {doc("User", "", "memberOf: []\nprofile: {email: 1}"), 7, "spec.profile.email"},
		"ProfileString":       {doc("User", "", "memberOf: []\nprofile: me"), 7, "spec.profile must be a map"},
		"Presence":            {doc("Location", "", "presence: maybe"), 6, "spec.presence"},
		"StepWithoutAction":   {doc("Template", "", "type: t\nsteps: [{id: a}]"), 7, "spec.steps.0.action is missing"},
		"StepString":          {doc("Template", "", "type: t\nsteps: [a]"), 7, "spec.steps.0 must be a map"},
		"Parameters":          {doc("Template", "", "type: t\nsteps: []\nparameters: x"), 8, "spec.parameters"},
		"RuleWithoutCategory": {doc("AiResource", "", "type: rule\nlifecycle: l\nowner: o\nrationale: r"), 6, "spec.category is missing"},
		"McpWithoutRemotes":   {doc("API", "", "type: mcp-server\nlifecycle: l\nowner: o"), 6, "spec.remotes is missing"},
		"McpNoRemote":         {doc("API", "", "type: mcp-server\nlifecycle: l\nowner: o\nremotes: []"), 9, "spec.remotes is empty"},
		"McpRemoteURL":        {doc("API", "", "type: mcp-server\nlifecycle: l\nowner: o\nremotes: [{type: sse, url: x}]"), 9, "spec.remotes.0.url"},
		"McpRemoteString":     {doc("API", "", "type: mcp-server\nlifecycle: l\nowner: o\nremotes: [x]"), 9, "spec.remotes.0 must be a map"},
	} {
		t.Run("Err"+name, func(t *testing.T) {
			got := Check([]byte(c.text), Limits{})
			if len(got) != 1 || got[0].Line != c.line || !strings.Contains(got[0].Message, c.want) || got[0].Hint == "" {
				t.Errorf("got %+v, want line %d %q", got, c.line, c.want)
			}
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"McpServer":       doc("API", "", "type: mcp-server\nlifecycle: l\nowner: o\nremotes: [{type: streamable-http, url: 'https://x.test/mcp'}]"),
		"LocationNoSpec":  doc("Location", "", ""),
		"ExtraMetadata":   doc("System", "extra: {a: [1]}", "owner: o"),
		"StatusRelations": doc("System", "", "owner: o") + "relations: []\nstatus: {}\n",
		"Tags":            doc("System", "tags: [c++, 'a:b', c#, two-words, '1']", "owner: o"),
		"Beta":            strings.Replace(doc("System", "", "owner: o"), "v1alpha1", "v1beta1", 1),
		"MailtoLink":      doc("System", "links: [{url: 'mailto:a@b.test'}]", "owner: o"),
		"Placeholder":     doc("API", "", "type: t\nlifecycle: l\nowner: o\ndefinition: {$text: ./x}"),
		"LabelEmpty":      doc("System", "labels:\n  example.com/a.b_c-d: ''", "owner: o"),
	} {
		t.Run("OK"+name, func(t *testing.T) {
			if got := Check([]byte(text), Limits{}); len(got) != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		what string
		f    func(string) bool
		good []string
		bad  []string
	}{
		{"name", validName, []string{"a", "A.b_c-d", "1", long[:63]}, []string{"", "-a", "a-", "a b", "ä", long, ".a"}},
		{"kind", validKind, []string{"A", "Component", "x1"}, []string{"", "1a", "a-b", long}},
		{"namespace", validNamespace, []string{"a", "a-b", "1"}, []string{"", "A", "a--b", "-a", "a.b", long}},
		{"version", validVersion, []string{"v1", "backstage.io/v1alpha1", "a.b.c/V1"}, []string{"", "/v1", "a/", "A.b/v1", "a/b/c", "v1-x"}},
		{"key", validKey, []string{"a", "a/b", "a.b-c/D_e"}, []string{"", "/a", "a/", "a/b/c", "a..b/c", "A/b"}},
		{"label", validLabel, []string{"", "a", "A-1"}, []string{"a b", "-"}},
		{"tag", validTag, []string{"a", "c++", "a:b-c#"}, []string{"", "A", "a--b", "a_b", long}},
		{"url", validURL, []string{"http://a", "https://a/b?c", "mailto:a@b", "x:y"}, []string{"", "a", "/a", "http://", "//a/b"}},
	} {
		for _, s := range c.good {
			if !c.f(s) {
				t.Errorf("%s %q is refused", c.what, s)
			}
		}
		for _, s := range c.bad {
			if c.f(s) {
				t.Errorf("%s %q is accepted", c.what, s)
			}
		}
	}
}

func TestRelations(t *testing.T) {
	spec := "type: t\nlifecycle: l\nowner: user:Ann\nsystem: other/S\nsubcomponentOf: parent\nprovidesApis: [p]\nconsumesApis: [API:default/c]\n" +
		"dependsOn: ['resource:db']\ndependencyOf: ['component:x/y']\n"
	docs, problems := Parse([]byte(strings.Replace(doc("Component", "namespace: ns", spec), "name: x", "name: Self", 1)), Limits{})
	if len(problems) != 0 || len(docs) != 1 {
		t.Fatal(problems)
	}
	edges, _ := docs[0].Relations()
	got := map[string]bool{}
	for _, e := range edges {
		got[fmt.Sprintf("%s %s %s", e.Source, e.Type, e.Target)] = true
	}
	for _, want := range [][3]string{
		{"ownedBy", "user:ns/ann", "ownerOf"}, {"partOf", "system:other/s", "hasPart"}, {"partOf", "component:ns/parent", "hasPart"},
		{"providesApi", "api:ns/p", "apiProvidedBy"}, {"consumesApi", "api:default/c", "apiConsumedBy"},
		{"dependsOn", "resource:ns/db", "dependencyOf"}, {"dependencyOf", "component:x/y", "dependsOn"},
	} {
		out, back := "component:ns/self "+want[0]+" "+want[1], want[1]+" "+want[2]+" component:ns/self"
		if !got[out] || !got[back] {
			t.Errorf("missing %q or %q", out, back)
		}
		delete(got, out)
		delete(got, back)
	}
	if len(got) != 0 {
		t.Errorf("too many: %v", got)
	}
}

func TestRealCatalogs(t *testing.T) {
	files, err := filepath.Glob("../testdata/*/*.y*ml")
	more, _ := filepath.Glob("../testdata/backstage-examples/*/*.yaml")
	files = append(files, more...)
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if strings.Contains(f, ".oas.") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := Check(src, Limits{}); len(got) != 0 {
			t.Errorf("%s: %+v", f, got)
		}
		docs, _ := Parse(src, Limits{})
		if len(docs) == 0 {
			t.Errorf("%s holds no document", f)
		}
	}
}
