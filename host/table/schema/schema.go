// Package schema is the form of a plugin's tables: it compiles what a manifest
// declares, says what is wrong with it, and works out how stored rows of an
// older form become those of a newer one. It reads and writes no data.
package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/table/value"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Fault is one thing that is wrong with a declaration.
type Fault struct {
	// Path leads to it, relative to the list of tables (or of migrations).
	Path          []string
	Message, Hint string
}

// Schema is a compiled declaration. It is safe for concurrent use.
type Schema struct {
	Tables []*Table
	byName map[string]*Table
}

// Table returns the table with that name, or nil.
func (s *Schema) Table(name string) *Table { return s.byName[name] }

// Names returns the names of the tables.
func (s *Schema) Names() []string {
	out := make([]string, len(s.Tables))
	for i, t := range s.Tables {
		out[i] = t.Name
	}
	return out
}

// Table is one compiled table. Columns are meant by their place in Columns.
type Table struct {
	Name    string
	Number  int64 // names the table in the database
	Columns []Column
	// Indexes[0] is the primary key.
	Indexes    []*Index
	References []*Reference
	// Referrers are the references of all tables to this one.
	Referrers []*Reference
	byColumn  map[string]int
}

// Key returns the columns of the primary key.
func (t *Table) Key() []int { return t.Indexes[0].Columns }

// Column returns the place of the column with that name, or -1.
func (t *Table) Column(name string) int {
	if i, ok := t.byColumn[name]; ok {
		return i
	}
	return -1
}

// Reference returns the reference with that name, or nil.
func (t *Table) Reference(name string) *Reference {
	for _, r := range t.References {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Names returns the names of columns.
func (t *Table) Names(columns []int) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = t.Columns[c].Name
	}
	return out
}

// ColumnNames returns the names of all columns.
func (t *Table) ColumnNames() []string {
	out := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Name
	}
	return out
}

// Column is one compiled column.
type Column struct {
	Name     string
	Kind     value.Kind
	Required bool
	Default  value.Value // null if there is none
}

// Index is one compiled index. The one of the primary key has the number 0: its
// entries are the rows themselves.
type Index struct {
	Name    string
	Number  int64
	Columns []int
	Unique  bool
}

// Primary reports whether it is the primary key.
func (i *Index) Primary() bool { return i.Number == 0 }

// Reference is one compiled reference: Columns of From hold the primary key of
// a row of To.
type Reference struct {
	Name     string
	From, To *Table
	Columns  []int
	Cascade  bool
	// Index begins with Columns: by it what refers to a row is found.
	Index *Index
}

// Numbers names tables ("t") and indexes ("t.i") in the database.
type Numbers map[string]int64

// Compile compiles a declaration. What has no number in numbers gets the next
// free one there. The Schema is nil if there are faults.
func Compile(declared []manifestv1.Table, numbers Numbers) (*Schema, []Fault) {
	c := &compiler{numbers: numbers, schema: &Schema{byName: map[string]*Table{}}}
	for i := range declared {
		c.table(&declared[i], fmt.Sprint(i))
	}
	for i := range declared {
		c.references(&declared[i], fmt.Sprint(i))
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return c.schema, nil
}

type compiler struct {
	numbers Numbers
	schema  *Schema
	faults  []Fault
}

func (c *compiler) fault(hint, message string, path ...string) {
	c.faults = append(c.faults, Fault{Path: path, Message: message, Hint: hint})
}

// number returns the number of a table or index.
func (c *compiler) number(name string) int64 {
	if n, ok := c.numbers[name]; ok {
		return n
	}
	next := int64(1)
	for _, n := range c.numbers {
		next = max(next, n+1)
	}
	if c.numbers == nil {
		c.numbers = Numbers{}
	}
	c.numbers[name] = next
	return next
}

func (c *compiler) table(d *manifestv1.Table, at string) {
	if c.schema.byName[d.Name] != nil {
		c.fault("", fmt.Sprintf("is %q, which another table has", d.Name), at, "name")
		return
	}
	t := &Table{Name: d.Name, Number: c.number(d.Name), byColumn: map[string]int{}}
	c.schema.byName[d.Name] = t
	c.schema.Tables = append(c.schema.Tables, t)
	for i, column := range d.Columns {
		c.column(t, column, at, "columns", fmt.Sprint(i))
	}
	c.primaryKey(t, d.PrimaryKey, at)
	for i, index := range d.Indexes {
		c.index(t, index, at, "indexes", fmt.Sprint(i))
	}
}

func (c *compiler) column(t *Table, d manifestv1.Column, at ...string) {
	if t.Column(d.Name) >= 0 {
		c.fault("", fmt.Sprintf("is %q, which another column has", d.Name), append(at, "name")...)
		return
	}
	kind, ok := value.KindOf(d.Type)
	if !ok {
		c.fault("", fmt.Sprintf("is %q, which is no type", d.Type), append(at, "type")...)
		return
	}
	def, err := value.Parse(kind, d.Default)
	if err != nil {
		c.fault("", fmt.Sprintf("%v, as a %s must be", err, d.Type), append(at, "default")...)
		def = value.Null()
	}
	t.byColumn[d.Name] = len(t.Columns)
	t.Columns = append(t.Columns, Column{Name: d.Name, Kind: kind, Required: d.Required, Default: def})
}

// columns finds columns by their names, each once and sortable.
func (c *compiler) columns(t *Table, names []string, at ...string) ([]int, bool) {
	var out []int
	for i, name := range names {
		here := append(slices.Clone(at), fmt.Sprint(i))
		n := t.Column(name)
		switch {
		case n < 0:
			c.fault("the table has "+strings.Join(t.ColumnNames(), ", "), fmt.Sprintf("is %q, which is no column of the table", name), here...)
			return nil, false
		case slices.Contains(out, n):
			c.fault("", fmt.Sprintf("names %q twice", name), here...)
			return nil, false
		case !t.Columns[n].Kind.Sorts():
			c.fault("", fmt.Sprintf("is %q, which cannot be compared", name), here...)
			return nil, false
		}
		out = append(out, n)
	}
	return out, len(out) > 0
}

func (c *compiler) primaryKey(t *Table, names []string, at string) {
	columns, ok := c.columns(t, names, at, "primaryKey")
	if !ok {
		if len(names) == 0 {
			c.fault("", "must name at least one column", at, "primaryKey")
		}
		columns = nil
	}
	for _, n := range columns {
		t.Columns[n].Required = true
	}
	t.Indexes = append(t.Indexes, &Index{Name: "primaryKey", Columns: columns, Unique: true})
}

func (c *compiler) index(t *Table, d manifestv1.Index, at ...string) {
	columns, ok := c.columns(t, d.Columns, append(slices.Clone(at), "columns")...)
	if !ok {
		return
	}
	name := IndexName(d)
	if slices.ContainsFunc(t.Indexes, func(i *Index) bool { return i.Name == name }) {
		c.fault("", fmt.Sprintf("is %q, which another index has", name), append(slices.Clone(at), "name")...)
		return
	}
	t.Indexes = append(t.Indexes, &Index{Name: name, Number: c.number(t.Name + "." + name), Columns: columns, Unique: d.Unique})
}

// IndexName returns the name of an index: its own, or its columns joined by _.
func IndexName(d manifestv1.Index) string {
	if d.Name != "" {
		return d.Name
	}
	return strings.Join(d.Columns, "_")
}

func (c *compiler) references(d *manifestv1.Table, at string) {
	t := c.schema.byName[d.Name]
	for i, r := range d.References {
		here := []string{at, "references", fmt.Sprint(i)}
		if t.Reference(r.Name) != nil || t.Column(r.Name) >= 0 {
			c.fault("", fmt.Sprintf("is %q, which another reference or a column has", r.Name), append(here, "name")...)
			continue
		}
		columns, ok := c.columns(t, r.Columns, append(slices.Clone(here), "columns")...)
		if !ok {
			continue
		}
		to := c.schema.byName[r.Table]
		if to == nil {
			c.fault("the plugin has "+strings.Join(c.schema.Names(), ", "), fmt.Sprintf("is %q, which is no table of the plugin", r.Table), append(here, "table")...)
			continue
		}
		if !sameKinds(t, columns, to, to.Key()) {
			c.fault("", fmt.Sprintf("must have the types of the primary key of %s: %s", to.Name, strings.Join(to.Names(to.Key()), ", ")), append(here, "columns")...)
			continue
		}
		ref := &Reference{Name: r.Name, From: t, To: to, Columns: columns, Cascade: r.OnDelete == manifestv1.OnDeleteCascade}
		ref.Index = c.indexFor(t, ref)
		t.References = append(t.References, ref)
		to.Referrers = append(to.Referrers, ref)
	}
}

// indexFor returns an index that begins with the reference's columns, and makes
// one where there is none.
func (c *compiler) indexFor(t *Table, r *Reference) *Index {
	for _, i := range t.Indexes {
		if len(i.Columns) >= len(r.Columns) && slices.Equal(i.Columns[:len(r.Columns)], r.Columns) {
			return i
		}
	}
	name := "@" + r.Name
	i := &Index{Name: name, Number: c.number(t.Name + "." + name), Columns: r.Columns}
	t.Indexes = append(t.Indexes, i)
	return i
}

func sameKinds(a *Table, as []int, b *Table, bs []int) bool {
	return slices.EqualFunc(as, bs, func(x, y int) bool { return a.Columns[x].Kind == b.Columns[y].Kind })
}
