package manifest

import (
	"slices"

	"github.com/callboard-dev/callboard/host/table/schema"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// tables checks what a permission says of its tables: each of their names means
// something, and migrations lead to the version that is declared.
func (c *checker) tables(p *manifestv1.Permission, at []string) {
	if len(p.Tables) == 0 {
		return
	}
	_, faults := schema.Compile(p.Tables, nil)
	for _, f := range faults {
		c.fault(append(append(slices.Clone(at), "tables"), f.Path...), f.Message, f.Hint)
	}
	for _, f := range schema.CheckMigrations(p.Version, p.Migrations) {
		c.fault(append(append(slices.Clone(at), "migrations"), f.Path...), f.Message, f.Hint)
	}
}
