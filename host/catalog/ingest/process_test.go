package ingest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/catalog/source"
)

// FuzzTake gives what a program provides: no document may stop the others,
// become an entity that the format does not allow, or claim another place.
func FuzzTake(f *testing.F) {
	const good = `{"apiVersion":"backstage.io/v1alpha1","kind":"System","metadata":{"name":"a"},"spec":{"owner":"o"}}`
	for _, seed := range []string{
		good, `{`, `[]`, `null`, `{"kind":"System"}`, strings.Repeat(`[`, 2000), good + good, strings.Replace(good, `"o"`, `{"$text":"/etc/passwd"}`, 1),
		strings.Replace(good, `"name":"a"`, `"name":"a","annotations":{"backstage.io/managed-by-location":"file:/x"}`, 1),
		strings.Replace(good, "System", "Location", 1), "\xff\xfe", `{"a":"\ud800"}`,
	} {
		f.Add(seed)
	}
	at := source.Address{Type: "plugin", Target: "board/teams"}
	f.Fuzz(func(t *testing.T, doc string) {
		res := Take(context.Background(), at, [][]byte{[]byte(doc), []byte(strings.Replace(good, `"a"`, `"last"`, 1))}, Settings{Rules: AllKinds()})
		last := false
		for _, item := range res.Items {
			last = last || item.Ref.Name == "last"
			var e struct {
				Metadata struct {
					Annotations map[string]string `json:"annotations"`
				} `json:"metadata"`
			}
			if err := json.Unmarshal(item.Base, &e); err != nil || e.Metadata.Annotations[AnnotationManagedBy] != at.String() || item.Source != at.String() {
				t.Errorf("%s: %v", item.Base, err)
			}
		}
		if !last {
			t.Errorf("%q takes the one after it with it: %+v", doc, res.Problems)
		}
		if len(res.Known) != 0 {
			t.Error("a program's documents are remembered as files")
		}
	})
}
