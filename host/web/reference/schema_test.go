package reference

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// document is one operation whose parameter, body and answer have the schema
// S0 of the components.
func document(t *testing.T, schemas string) *Document {
	t.Helper()
	d, err := Parse([]byte(`{"paths":{"/a":{"post":{"operationId":"a","parameters":[{"name":"q","in":"query","schema":{"$ref":"#/components/schemas/S0"}}],
		"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/S0"}}}},
		"responses":{"200":{"description":"x","content":{"application/json":{"schema":{"$ref":"#/components/schemas/S0"}}}}}}}},
		"components":{"schemas":{` + schemas + `}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tower is n schemas of which each holds the next one several times.
func tower(n int, floor string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"S%d":%s,`, i, strings.ReplaceAll(floor, "NEXT", fmt.Sprintf(`{"$ref":"#/components/schemas/S%d"}`, i+1)))
	}
	return b.String() + fmt.Sprintf(`"S%d":{"type":"string"}`, n)
}

// wide is an object of n properties, each of which is such an object.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"p%d":{"$ref":"#/components/schemas/S0"}`, i)
	}
	return `"S0":{"type":"object","properties":{` + b.String()[1:] + `}}`
}

// TestAnySchemaIsShown: whatever a document's schemas are, its page is made
// in no time.
func TestAnySchemaIsShown(t *testing.T) {
	for name, schemas := range map[string]string{
		"parts of parts":                  tower(30, `{"allOf":[NEXT,NEXT],"properties":{"a":NEXT,"b":NEXT}}`),
		"choices of choices":              tower(30, `{"anyOf":[{"oneOf":[NEXT,{"anyOf":[NEXT]}]},NEXT]}`),
		"a schema that is part of itself": `"S0":{"allOf":[{"$ref":"#/components/schemas/S0"}]}`,
		"a reference to itself":           `"S0":{"$ref":"#/components/schemas/S0"}`,
		"a list of itself":                `"S0":{"type":"array","items":{"$ref":"#/components/schemas/S0"}}`,
		"wide objects within one another": wide(60),
	} {
		t.Run(name, func(t *testing.T) {
			d := document(t, schemas)
			done := make(chan int, 1)
			go func() {
				var b strings.Builder
				for _, group := range d.Groups {
					for _, op := range group.Operations {
						if err := d.operationNode(op, "http://127.0.0.1").Render(&b); err != nil {
							t.Error(err)
						}
					}
				}
				done <- b.Len()
			}()
			select {
			case n := <-done:
				if n == 0 || n > 4<<20 {
					t.Errorf("the page has %d bytes", n)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it takes for ever")
			}
		})
	}
}
