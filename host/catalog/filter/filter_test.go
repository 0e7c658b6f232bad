package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

func TestFlatten(t *testing.T) {
	doc := `{"kind":"API","metadata":{"name":"X","uid":"U","etag":"e","tags":["Go","go"],"labels":{"A/b":"C"},"none":null},
	"spec":{"n":1.50,"on":true,"list":[{"a":1},{"a":"Z"}],"long":"` + strings.Repeat("x", 300) + `"},
	"relations":[{"type":"ownedBy","targetRef":"group:default/a"}],"status":{"x":1}}`
	got, err := Flatten([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, term := range got {
		lines = append(lines, term.Key+"="+term.Original)
	}
	want := "kind=API metadata.labels.a/b=C metadata.name=X metadata.namespace=default metadata.none= metadata.tags=Go metadata.tags.go=true metadata.uid=U " +
		"relations.ownedby=group:default/a spec.list.a=1 spec.list.a=Z spec.long= spec.n=1.50 spec.on=true"
	if strings.Join(lines, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(lines, " "), want)
	}
	if _, err := Flatten([]byte("[")); err == nil {
		t.Error("broken JSON is taken apart")
	}
}

func TestParse(t *testing.T) {
	got, err := Parse([]string{"kind=component, spec.type=a,spec.type=b,metadata.x", "", "a=b=c,a"})
	if err != nil || fmt.Sprint(got) != "[map[kind:[component] metadata.x:[] spec.type:[a b]] map[a:[b=c]]]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Parse([]string{"=x"}); host.CodeOf(err) != host.CodeInvalid {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	got := Words("Käse-Brötchen v2.0 ﬁn " + strings.Repeat("y", 100))
	if fmt.Sprint(got[:5]) != "[kase brotchen v2 0 fin]" || len(got[5]) != maxWord {
		t.Errorf("%q", got)
	}
}

func TestMatch(t *testing.T) {
	terms := []Term{{Key: "kind", Value: "api"}}
	if !Match(terms, nil) || !Match(terms, []Set{{"kind": {"x", "api"}}}) || Match(terms, []Set{{"kind": {"x"}}, {"none": nil}}) {
		t.Error("wrong")
	}
}
