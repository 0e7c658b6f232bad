package table

import (
	"bytes"
	"context"
	"errors"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/table/query"
	"github.com/callboard-dev/callboard/host/table/schema"
	"github.com/callboard-dev/callboard/host/table/value"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Migrate brings the tables of an instance to the declared form: all of it in
// one transaction, or nothing. It does nothing where they have it. CodeInvalid
// says which migration step is missing or wrong, CodePrecondition that the
// stored tables are newer, CodeConflict that rows do not fit a new index or
// reference.
func (s *Store) Migrate(ctx context.Context, t host.TenantID, instance string, d Declaration) error {
	db, err := s.db.Tenant(t)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		return s.migrate(ctx, q, place{t, instance}, d)
	})
}

// migrate does the same in a transaction.
func (s *Store) migrate(ctx context.Context, q store.Querier, at place, d Declaration) error {
	doc, err := readMeta(ctx, q, at.instance, metaForm)
	if err != nil {
		return err
	}
	if doc == nil {
		return create(ctx, q, at.instance, d)
	}
	f, err := s.form(at, doc)
	if err != nil {
		return err
	}
	if err := s.agree(f, d); !errors.Is(err, errStale) {
		return err
	}
	x := &tx{q: q, space: at.instance, schema: f.schema}
	if x.usage, err = readUsage(ctx, q, x.space); err != nil {
		return err
	}
	if f.stored.Version == d.version() {
		if x.usage.Rows > 0 {
			return host.Errorf(host.CodePrecondition, "the tables of version %d are declared in another way than they are stored", d.version()).
				WithHint("raise the version of the permission table/v1, and add a migration to it")
		}
		// Nothing is lost: the author is still looking for the right form.
		return create(ctx, q, at.instance, d)
	}
	next, fresh, changes, err := schema.Evolve(f.stored, d.version(), d.Tables, d.Migrations)
	if err != nil {
		return err
	}
	x.schema = fresh
	for _, c := range changes {
		if err := x.change(ctx, c); err != nil {
			return named(err, "migrating the table "+tableOf(c)+": ")
		}
	}
	for _, c := range changes {
		if err := x.verify(ctx, c); err != nil {
			return named(err, "migrating the table "+tableOf(c)+": ")
		}
	}
	if err := x.writeUsage(ctx); err != nil {
		return err
	}
	return writeMeta(ctx, q, x.space, metaForm, next)
}

func tableOf(c *schema.Change) string {
	if c.New != nil {
		return c.New.Name
	}
	return c.Old.Name
}

// create writes the form of tables that hold nothing yet.
func create(ctx context.Context, q store.Querier, space string, d Declaration) error {
	if len(d.Tables) == 0 {
		return host.Errorf(host.CodeInvalid, "the plugin declares no tables")
	}
	stored := schema.Stored{Version: d.version(), Tables: append([]manifestv1.Table{}, d.Tables...), Numbers: schema.Numbers{}}
	if _, faults := schema.Compile(stored.Tables, stored.Numbers); len(faults) > 0 {
		return host.Errorf(host.CodeInvalid, "the declared tables are not valid: %s", faults[0].Message)
	}
	return writeMeta(ctx, q, space, metaForm, stored)
}

// change rewrites the rows of a table, or removes it.
func (x *tx) change(ctx context.Context, c *schema.Change) error {
	// All entries go first: one of an index that changes must not be taken for
	// one of its new form.
	for _, i := range c.Old.Indexes[1:] {
		if _, err := x.q.NewDelete().Model((*keyRecord)(nil)).Where("space = ?", x.space).Where("idx = ?", i.Number).Exec(ctx); err != nil {
			return err
		}
	}
	var last []byte
	for {
		hits, full, err := x.look(ctx, window{
			table: c.Old, index: c.Old.Indexes[0], Range: query.Range{Lo: last}, limit: chunkRows, bytes: mostBytes,
		})
		if err != nil {
			return err
		}
		if err := x.rewrite(ctx, c, hits); err != nil {
			return err
		}
		if !full {
			break
		}
		last = append(bytes.Clone(hits[len(hits)-1].key), 0)
	}
	return nil
}

// rewrite removes rows in their old form and writes them in the new one.
func (x *tx) rewrite(ctx context.Context, c *schema.Change, hits []hit) error {
	var gone, put []*change
	for _, h := range hits {
		old, err := decode(c.Old, h.doc)
		if err != nil {
			return err
		}
		gone = append(gone, &change{key: h.key, old: old})
		if c.New == nil {
			continue
		}
		row, err := c.Rows(old)
		if err != nil {
			return err
		}
		put = append(put, &change{key: h.key, new: row})
	}
	if err := x.apply(ctx, c.Old, gone, newChecks()); err != nil || len(put) == 0 {
		return err
	}
	return x.apply(ctx, c.New, put, newChecks())
}

// verify checks stored rows against references that they were not checked
// against.
func (x *tx) verify(ctx context.Context, c *schema.Change) error {
	if c.New == nil || len(c.Fresh) == 0 {
		return nil
	}
	var last []byte
	for {
		hits, full, err := x.look(ctx, window{
			table: c.New, index: c.New.Indexes[0], Range: query.Range{Lo: last}, limit: tablev1.MaxRows, bytes: mostBytes,
		})
		if err != nil {
			return err
		}
		checks := newChecks()
		for _, h := range hits {
			var values []value.Value
			if values, err = decode(c.New, h.doc); err != nil {
				return err
			}
			for _, r := range c.Fresh {
				checks.add(r, values)
			}
		}
		if err := x.checkParents(ctx, checks); err != nil || !full {
			return err
		}
		last = append(bytes.Clone(hits[len(hits)-1].key), 0)
	}
}
