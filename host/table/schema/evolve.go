package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/table/value"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// CheckMigrations says what is wrong with the migrations of a declaration of
// that version, without knowing stored tables.
func CheckMigrations(version int, migrations []manifestv1.Migration) []Fault {
	var faults []Fault
	last := 1
	for i, m := range migrations {
		at := []string{fmt.Sprint(i), "version"}
		if m.Version <= last {
			faults = append(faults, Fault{Path: at, Message: fmt.Sprintf("is %d, but the one before is %d", m.Version, last), Hint: "write them in rising order, from 2 on"})
		} else if m.Version > max(1, version) {
			faults = append(faults, Fault{Path: at, Message: fmt.Sprintf("is %d, but the tables have the version %d", m.Version, max(1, version)), Hint: "raise the permission's version"})
		}
		last = m.Version
	}
	return faults
}

// Same reports whether two declarations are equal.
func Same(a, b []manifestv1.Table) bool {
	x, err := json.Marshal(a)
	y, bad := json.Marshal(b)
	return err == nil && bad == nil && bytes.Equal(x, y)
}

// Change is what becomes of one stored table.
type Change struct {
	// Old is the stored table; nil for one that is new.
	Old *Table
	// New is the declared table; nil for one that is dropped.
	New *Table
	// Fresh are the references that stored rows were not checked against.
	Fresh []*Reference

	slots []slot
	fills []fill
	// from says for each declared column which slot it is made of; -1 for its
	// default.
	from []int
}

// slot is a column while the steps are applied.
type slot struct {
	name string
	kind value.Kind
	gone bool
	def  value.Value
}

// fill gives a slot that is null a value, or that of another slot.
type fill struct {
	slot  int
	from  int // -1 for value
	value value.Value
}

// Rows makes a stored row one of the new form.
func (c *Change) Rows(old []value.Value) ([]value.Value, error) {
	work := make([]value.Value, len(c.slots))
	for i, s := range c.slots {
		work[i] = s.def
		if i < len(old) {
			work[i] = old[i]
		}
	}
	for _, f := range c.fills {
		if !work[f.slot].IsNull() {
			continue
		}
		if work[f.slot] = f.value; f.from >= 0 {
			work[f.slot] = work[f.from]
		}
	}
	row := make([]value.Value, len(c.New.Columns))
	for i, column := range c.New.Columns {
		row[i] = column.Default
		if c.from[i] >= 0 {
			row[i] = work[c.from[i]]
		}
		if column.Required && row[i].IsNull() {
			return nil, host.Errorf(host.CodeInvalid, "the column %s of %s is required, and stored rows have nothing there", column.Name, c.New.Name).
				WithHint("give it a default, or a backfill step")
		}
	}
	return row, nil
}

// Stored is a form of tables that a database holds.
type Stored struct {
	Version int                `json:"version"`
	Tables  []manifestv1.Table `json:"tables"`
	Numbers Numbers            `json:"numbers"`
}

// Evolve works out how stored tables become the declared ones of version. It
// returns the new form, its schema, and what changes; a table that stays as it
// is has no Change. CodeInvalid says which step is missing or wrong.
func Evolve(stored *Stored, version int, declared []manifestv1.Table, migrations []manifestv1.Migration) (*Stored, *Schema, []*Change, error) {
	old, faults := Compile(stored.Tables, stored.Numbers)
	if len(faults) > 0 {
		return nil, nil, nil, host.Errorf(host.CodeInternal, "the stored tables cannot be read: %s", faults[0].Message)
	}
	e := &evolution{declared: map[string]*manifestv1.Table{}}
	for i := range declared {
		e.declared[declared[i].Name] = &declared[i]
	}
	for i, t := range old.Tables {
		w := &work{name: t.Name, old: t, declared: &stored.Tables[i]}
		for _, c := range t.Columns {
			w.slots = append(w.slots, slot{name: c.Name, kind: c.Kind, def: value.Null()})
		}
		e.works = append(e.works, w)
	}
	for _, m := range migrations {
		if m.Version > stored.Version {
			e.steps = append(e.steps, m.Steps...)
		}
	}
	for i := range e.steps {
		if err := e.step(i); err != nil {
			return nil, nil, nil, err
		}
	}
	next := &Stored{Version: version, Tables: declared, Numbers: e.carry(stored.Numbers)}
	fresh, faults := Compile(declared, next.Numbers)
	if len(faults) > 0 {
		return nil, nil, nil, host.Errorf(host.CodeInvalid, "the declared tables are not valid: %s", faults[0].Message)
	}
	changes, err := e.finish(fresh)
	return next, fresh, changes, err
}

// carry keeps the numbers of tables that stay, under their new names. Indexes
// of what changes are made anew; their numbers are not used again.
func (e *evolution) carry(old Numbers) Numbers {
	out := Numbers{}
	for _, w := range e.works {
		if w.old == nil {
			continue
		}
		if !w.dropped {
			out[w.name] = w.old.Number
		}
		for _, i := range w.old.Indexes[1:] {
			if !w.dropped {
				out[w.name+"."+i.Name] = i.Number
			}
		}
	}
	highest := int64(0)
	for _, n := range old {
		highest = max(highest, n)
	}
	out["#"] = highest // whatever was used once is never given again
	return out
}

type evolution struct {
	declared map[string]*manifestv1.Table
	works    []*work
	steps    []manifestv1.MigrationStep
}

// work is a table while the steps are applied.
type work struct {
	name     string
	old      *Table
	declared *manifestv1.Table // as stored
	slots    []slot
	fills    []fill
	dropped  bool
}

func (e *evolution) work(name string) *work {
	for _, w := range e.works {
		if w.name == name && !w.dropped {
			return w
		}
	}
	return nil
}

func (w *work) slot(name string) int {
	return slices.IndexFunc(w.slots, func(s slot) bool { return s.name == name && !s.gone })
}

func wrong(s manifestv1.MigrationStep, format string, args ...any) error {
	return host.Errorf(host.CodeInvalid, "the step %s of the table %s cannot be done: %s", s.Do, s.Table, fmt.Sprintf(format, args...)).
		WithHint("the steps of migrations are done in order, on the tables as the version before left them")
}

// step applies the i-th step.
func (e *evolution) step(i int) error {
	s := e.steps[i]
	if s.Do == manifestv1.StepAddTable {
		if e.work(s.Table) != nil {
			return wrong(s, "it is there already")
		}
		return nil
	}
	w := e.work(s.Table)
	if w == nil {
		if e.declared[s.Table] != nil {
			return nil // it is new: there are no rows to change
		}
		return wrong(s, "there is no such table")
	}
	switch s.Do {
	case manifestv1.StepDropTable:
		w.dropped = true
	case manifestv1.StepRenameTable:
		if e.work(s.To) != nil {
			return wrong(s, "there is a table %s already", s.To)
		}
		w.name = s.To
	case manifestv1.StepAddColumn:
		return e.addColumn(w, i)
	case manifestv1.StepDropColumn, manifestv1.StepRenameColumn, manifestv1.StepBackfill:
		n := w.slot(s.Column)
		if n < 0 {
			return wrong(s, "there is no column %s", s.Column)
		}
		return w.change(s, n)
	}
	return nil // an index is made, or not, as the declaration says
}

func (w *work) change(s manifestv1.MigrationStep, n int) error {
	switch s.Do {
	case manifestv1.StepDropColumn:
		w.slots[n].gone = true
	case manifestv1.StepRenameColumn:
		if w.slot(s.To) >= 0 {
			return wrong(s, "there is a column %s already", s.To)
		}
		w.slots[n].name = s.To
	default:
		f := fill{slot: n, from: -1}
		if s.From != "" {
			if f.from = w.slot(s.From); f.from < 0 {
				return wrong(s, "there is no column %s", s.From)
			}
			if w.slots[f.from].kind != w.slots[n].kind {
				return wrong(s, "%s and %s have different types", s.Column, s.From)
			}
		} else {
			v, err := value.Parse(w.slots[n].kind, s.Value)
			if err != nil {
				return wrong(s, "the value %v", err)
			}
			f.value = v
		}
		w.fills = append(w.fills, f)
	}
	return nil
}

// addColumn adds a slot: its type and default are those of the column that the
// later steps make of it.
func (e *evolution) addColumn(w *work, i int) error {
	s := e.steps[i]
	if w.slot(s.Column) >= 0 {
		return wrong(s, "there is a column %s already", s.Column)
	}
	table, column := w.name, s.Column
	for _, later := range e.steps[i+1:] {
		if later.Table != table {
			continue
		}
		switch {
		case later.Do == manifestv1.StepRenameTable:
			table = later.To
		case later.Do == manifestv1.StepRenameColumn && later.Column == column:
			column = later.To
		case later.Do == manifestv1.StepDropTable, later.Do == manifestv1.StepDropColumn && later.Column == column:
			return wrong(s, "a later step drops what it adds; leave both out")
		}
	}
	if t := e.declared[table]; t != nil {
		for _, c := range t.Columns {
			if c.Name != column {
				continue
			}
			kind, _ := value.KindOf(c.Type)
			def, err := value.Parse(kind, c.Default)
			if err != nil {
				return wrong(s, "its default %v", err)
			}
			w.slots = append(w.slots, slot{name: s.Column, kind: kind, def: def})
			return nil
		}
	}
	return wrong(s, "the declared table %s has no column %s", table, column)
}

// finish compares what the steps made with what is declared.
func (e *evolution) finish(fresh *Schema) ([]*Change, error) {
	var changes []*Change
	for _, w := range e.works {
		if w.dropped {
			changes = append(changes, &Change{Old: w.old})
			continue
		}
		t := fresh.Table(w.name)
		if t == nil {
			return nil, host.Errorf(host.CodeInvalid, "the stored table %s is not declared any more", w.name).
				WithHint("add a step dropTable or renameTable to the migrations")
		}
		if w.name == w.old.Name && Same([]manifestv1.Table{*w.declared}, []manifestv1.Table{*e.declared[w.name]}) && len(w.fills) == 0 {
			continue
		}
		c, err := w.compare(t)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (w *work) compare(t *Table) (*Change, error) {
	c := &Change{Old: w.old, New: t, slots: w.slots, fills: w.fills}
	used := map[int]bool{}
	for _, column := range t.Columns {
		n := w.slot(column.Name)
		if n >= 0 && w.slots[n].kind != column.Kind {
			return nil, host.Errorf(host.CodeInvalid, "the column %s of %s has another type than before", column.Name, t.Name).
				WithHint("add a new column, and drop the old one")
		}
		used[n] = true
		c.from = append(c.from, n)
	}
	for i, s := range w.slots {
		if !s.gone && !used[i] {
			return nil, host.Errorf(host.CodeInvalid, "the stored column %s of %s is not declared any more", s.name, t.Name).
				WithHint("add a step dropColumn or renameColumn to the migrations")
		}
	}
	var key []int
	for _, n := range t.Key() {
		key = append(key, c.from[n])
	}
	if !slices.Equal(key, w.old.Key()) {
		return nil, host.Errorf(host.CodeInvalid, "the primary key of %s cannot change", t.Name).WithHint("make a new table")
	}
	for _, r := range t.References {
		if o := w.old.Reference(r.Name); o == nil || o.To.Number != r.To.Number || !slices.Equal(w.old.Names(o.Columns), t.Names(r.Columns)) {
			c.Fresh = append(c.Fresh, r)
		}
	}
	return c, nil
}
