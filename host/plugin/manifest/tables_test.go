package manifest

import (
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

// shop is a permission with something of everything that tables may have.
const shop = `  - type: table/v1
    reason: Keeps what runs where.
    quota: 10MiB
    rows: 10000
    version: 2
    tables:
      - name: services
        columns: [{name: id, type: text}, {name: tier, type: integer, default: 3}]
        primaryKey: [id]
      - name: runs
        columns: [{name: id, type: text}, {name: service, type: text, required: true}, {name: log, type: json}]
        primaryKey: [id]
        indexes: [{columns: [service, id], unique: true}]
        references: [{name: of, columns: [service], table: services, onDelete: cascade}]
    migrations:
      - {version: 2, steps: [{do: backfill, table: services, column: tier, value: 3}]}
config:
`

func TestTables(t *testing.T) {
	src := strings.Replace(good, "config:\n", shop, 1)
	m, err := Parse([]byte(src), "plugin.yaml")
	if err != nil {
		t.Fatal(ProblemsOf(err), err)
	}
	if p := m.Permissions[2]; p.Version != 2 || len(p.Tables) != 2 || p.Tables[1].References[0].OnDelete != "cascade" || string(p.Tables[0].Columns[1].Default) != "3" || p.Rows != 10000 {
		t.Errorf("got %+v", p)
	}
	for _, c := range []struct{ name, old, new, where, says string }{
		{"NoQuota", "    quota: 10MiB\n", "", "plugin.yaml:29", `lacks "quota"`},
		{"NoRows", "    rows: 10000\n", "", "plugin.yaml:29", `lacks "rows"`},
		{"NoPrimaryKey", "        primaryKey: [id]\n", "", "plugin.yaml:35", `lacks "primaryKey"`},
		{"UnknownType", "type: integer", "type: int", "plugin.yaml:36", "must be one of"},
		{"DefaultOfAnotherType", "default: 3}", "default: many}", "plugin.yaml:36", "as a integer must be"},
		{"UnknownColumnOfTheKey", "primaryKey: [id]", "primaryKey: [ident]", "plugin.yaml:37", "no column of the table"},
		{"KeyOfJSON", "primaryKey: [id]\n        indexes", "primaryKey: [log]\n        indexes", "plugin.yaml:40", "cannot be compared"},
		{"TableTwice", "name: runs", "name: services", "plugin.yaml:38", "another table has"},
		{"ColumnTwice", "{name: log, type: json}", "{name: id, type: json}", "plugin.yaml:39", "another column has"},
		{"ReferenceToNothing", "table: services, onDelete", "table: service, onDelete", "plugin.yaml:42", "no table of the plugin"},
		{"ReferenceOfAnotherType", "columns: [{name: id, type: text}, {name: tier", "columns: [{name: id, type: integer}, {name: tier", "plugin.yaml:42", "types of the primary key"},
		{"ReferenceNamedLikeAColumn", "{name: of,", "{name: service,", "plugin.yaml:42", "reference or a column has"},
		{"MigrationBeyondTheVersion", "    version: 2\n", "    version: 1\n", "plugin.yaml:44", "raise the permission's version"},
		{"StepWithoutItsColumn", "column: tier, value: 3", "value: 3", "plugin.yaml:44", `lacks "column"`},
		{"FieldOfAnotherPermission", "    rows: 10000\n", "    rows: 10000\n    hosts: [https://a.example]\n", "plugin.yaml:33", "unknown field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(src, c.old) {
				t.Fatalf("there is no %q", c.old)
			}
			_, err := Parse([]byte(strings.Replace(src, c.old, c.new, 1)), "plugin.yaml")
			e := host.AsError(err)
			if e.Code != host.CodeInvalid || e.Where != c.where || !strings.Contains(e.Error(), c.says) {
				t.Errorf("got %v, at %s", ProblemsOf(err), e.Where)
			}
		})
	}
}
