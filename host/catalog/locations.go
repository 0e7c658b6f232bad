package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog/ingest"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/store"
)

// GuessType returns the type of location that a target looks like: git, url or
// file.
func GuessType(target string) string {
	lower := strings.ToLower(target)
	switch web := strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://"); {
	case !web && (strings.HasPrefix(lower, "git@") || strings.HasPrefix(lower, "git://") || strings.HasPrefix(lower, "ssh://")):
		return "git" // which says what address it can read
	case !web && strings.Contains(lower, "://") && !strings.HasPrefix(lower, "file://"):
		return "url"
	case !web:
		return "file"
	case strings.HasSuffix(lower, ".git"), strings.Contains(lower, ".git/"), strings.Contains(lower, ".git#"), strings.Contains(lower, ".git?"):
		return "git"
	default:
		return "url"
	}
}

// SplitAddress takes a location as people write it apart: a target, or
// "type:target" as Backstage writes it. typ is the type that was said beside
// it, or empty; where nothing says it, it is guessed. A "file://" URL is a
// target of type file.
func SplitAddress(typ, target string) (string, string) {
	target = strings.TrimSpace(target)
	if said, rest, ok := strings.Cut(target, ":"); ok && !strings.HasPrefix(rest, "//") {
		said = strings.ToLower(said)
		if known := said == "file" || said == "url" || said == "git"; known && (typ == "" || typ == said) {
			return said, strings.TrimSpace(rest)
		}
	}
	if typ == "" {
		typ = GuessType(target)
	}
	return typ, target
}

// address checks a location as a person wrote it and returns its one spelling.
func (k *Catalog) address(session source.Session, typ, target string) (source.Address, error) {
	typ, target = SplitAddress(typ, target)
	if target == "" || len(target) > 2000 || strings.ContainsAny(target, "\x00\r\n") {
		return source.Address{}, host.Errorf(host.CodeInvalid, "the target of the location is empty, longer than 2000 bytes or not one line").
			WithHint("give a path, a URL or the URL of a git repository")
	}
	return session.Resolve(source.Address{}, typ, target)
}

// Register reads a location and, unless dryRun is set, keeps it: its entities
// are written and refreshed from now on. typ is file, url or git; empty means
// what target says or looks like, see SplitAddress. The report says what was, or would be, written, with
// every problem. What a minute is not enough for is read later, and a problem
// until then. A location whose own document cannot be read is refused with
// that error, one that is registered already with CodeConflict.
func (k *Catalog) Register(ctx context.Context, c host.Caller, typ, target string, dryRun bool) (Report, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionLocationWrite, "location:"+target); err != nil {
		return Report{}, err
	}
	session := k.reader.Open()
	defer session.Close()
	at, err := k.address(session, typ, target)
	if err != nil {
		return Report{}, err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Report{}, err
	}
	within, done, err := k.attend(ctx, c.TenantID(), at.String())
	if err != nil {
		return Report{}, err
	}
	defer done()
	if !dryRun {
		if err := db.Read(ctx, func(ctx context.Context, q store.Querier) error { return notRegistered(ctx, q, at) }); err != nil {
			return Report{}, err
		}
	}
	res := ingest.Collect(within, session, at, nil, k.ingestSettings(c.TenantID()))
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	if res.RootErr != nil {
		return Report{}, res.RootErr
	}
	if dryRun {
		return k.preview(ctx, db, at, res)
	}
	var report Report
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		if err := notRegistered(ctx, q, at); err != nil {
			return err
		}
		loc, err := k.insert(ctx, q, at, false)
		if err != nil {
			return err
		}
		p, err := diff(ctx, q, loc, res)
		if err != nil {
			return err
		}
		entities, err := p.entities(res.Items)
		if err != nil {
			return err
		}
		if report, err = k.finish(ctx, q, c, &loc, res); err != nil {
			return err
		}
		report.Entities = entities
		return k.record(ctx, c, host.ActionLocationWrite, "location:"+at.String(), map[string]string{"change": "registered", "id": loc.ID})
	})
	if err != nil {
		return Report{}, err
	}
	k.wrote(ctx, c.TenantID())
	return report, nil
}

func (k *Catalog) ingestSettings(t host.TenantID) ingest.Settings {
	s := ingest.Settings{Rules: *k.rules.Load(), Limits: k.settings.Limits}
	if k.settings.Processors != nil {
		s.Processor = k.settings.Processors.For(t)
	}
	return s
}

func (k *Catalog) record(ctx context.Context, c host.Caller, a host.Action, resource string, detail map[string]string) error {
	return k.audit.Record(ctx, c, host.AuditEntry{Action: a, Resource: resource, Detail: detail})
}

// preview reports what registering or refreshing would do.
func (k *Catalog) preview(ctx context.Context, db *store.Tenant, at source.Address, res ingest.Result) (Report, error) {
	var report Report
	err := db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		loc, err := findAt(ctx, q, at)
		if host.CodeOf(err) == host.CodeNotFound {
			loc, err = locationRow{Type: at.Type, Target: at.Target, Status: StatusPending}, nil
		}
		if err != nil {
			return err
		}
		p, err := diff(ctx, q, loc, res)
		if err != nil {
			return err
		}
		report = p.report(loc, k.settings.Now().UTC())
		report.Entities, err = p.entities(res.Items)
		return err
	})
	return report, err
}

func findAt(ctx context.Context, q store.Querier, at source.Address) (locationRow, error) {
	var row locationRow
	err := q.NewSelect().Model(&row).Where("type = ? AND target = ?", at.Type, at.Target).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return row, host.Errorf(host.CodeNotFound, "no location %s is registered", at)
	}
	return row, err
}

func notRegistered(ctx context.Context, q store.Querier, at source.Address) error {
	row, err := findAt(ctx, q, at)
	if host.CodeOf(err) == host.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return host.Errorf(host.CodeConflict, "the location %s is registered already, as %s", at, row.ID).
		WithHint("refresh it to read it again now")
}

func (k *Catalog) insert(ctx context.Context, q store.Querier, at source.Address, managed bool) (locationRow, error) {
	now := k.settings.Now().UTC()
	row := locationRow{ID: host.NewID("loc"), Type: at.Type, Target: at.Target, Status: StatusPending,
		Sources: "null", Managed: managed, CreatedAt: now, NextAt: now}
	_, err := q.NewInsert().Model(&row).Exec(ctx)
	return row, err
}

// Locations returns the tenant's locations in the order of their registration.
func (k *Catalog) Locations(ctx context.Context, c host.Caller) ([]Location, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionLocationRead, "*"); err != nil {
		return nil, err
	}
	return k.locations(ctx, c.TenantID(), func(s *bun.SelectQuery) *bun.SelectQuery { return s })
}

func (k *Catalog) locations(ctx context.Context, id host.TenantID, where func(*bun.SelectQuery) *bun.SelectQuery) ([]Location, error) {
	db, err := k.db.Tenant(id)
	if err != nil {
		return nil, err
	}
	out := []Location{}
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		var rows []locationRow
		if err := where(q.NewSelect().Model(&rows).ExcludeColumn("sources")).Order("created_at", "id").Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			out = append(out, r.location())
		}
		return nil
	})
	return out, err
}

// Location returns one location. An unknown one is CodeNotFound.
func (k *Catalog) Location(ctx context.Context, c host.Caller, id string) (Location, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionLocationRead, "location:"+id); err != nil {
		return Location{}, err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return Location{}, err
	}
	var row locationRow
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		row, err = findLocation(ctx, q, id)
		return err
	})
	return row.location(), err
}

func findLocation(ctx context.Context, q store.Querier, id string) (locationRow, error) {
	var row locationRow
	err := sql.ErrNoRows
	if !strings.ContainsRune(id, 0) {
		err = q.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return row, host.Errorf(host.CodeNotFound, "there is no location %q", id).WithHint("list the locations to see their ids")
	}
	return row, err
}

// Unregister removes a location with the entities that it provides. A location
// of the configuration file is CodeConflict.
func (k *Catalog) Unregister(ctx context.Context, c host.Caller, id string) error {
	if err := k.authz.Authorize(ctx, c, host.ActionLocationWrite, "location:"+id); err != nil {
		return err
	}
	return k.unregister(ctx, c, id, false)
}

func (k *Catalog) unregister(ctx context.Context, c host.Caller, id string, managed bool) error {
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return err
	}
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		loc, err := findLocation(ctx, q, id)
		if err != nil {
			return err
		}
		if loc.Type == typePlugin && !managed {
			return host.Errorf(host.CodeConflict, "the location %s belongs to a plugin", loc.address()).
				WithHint("uninstall the plugin, or take its permission to write to the catalog away")
		}
		if loc.Managed && !managed {
			return host.Errorf(host.CodeConflict, "the location %s comes from the configuration file", loc.address()).
				WithHint("remove it from catalog.locations and restart")
		}
		if err := k.removeEntities(ctx, q, c.TenantID(), loc.ID, func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("location_id = ?", loc.ID) }); err != nil {
			return err
		}
		if _, err := q.NewDelete().Model((*errorRow)(nil)).Where("location_id = ?", loc.ID).Exec(ctx); err != nil {
			return err
		}
		if _, err := q.NewDelete().Model(&loc).WherePK().Exec(ctx); err != nil {
			return err
		}
		return k.record(ctx, c, host.ActionLocationWrite, "location:"+loc.address().String(), map[string]string{"change": "unregistered", "id": loc.ID})
	})
	if err != nil {
		return err
	}
	k.wrote(ctx, c.TenantID())
	return nil
}

// removeEntities deletes the entities that where selects.
func (k *Catalog) removeEntities(ctx context.Context, q store.Querier, t host.TenantID, location string, where func(*bun.SelectQuery) *bun.SelectQuery) error {
	rows, err := storedRows(ctx, q, where)
	if err != nil {
		return err
	}
	w := &writer{q: q, now: k.settings.Now().UTC(), location: location, affected: map[string]bool{}, bases: map[string]ingest.Item{}}
	p := plan{}
	for _, r := range rows {
		p.removed = append(p.removed, r.Ref)
	}
	if err := w.open(ctx, true); err != nil {
		return err
	}
	if err := w.write(ctx, p, true); err != nil {
		return err
	}
	return k.tell(ctx, t, w.changes)
}

// Delete removes one orphan. An entity that a location still provides would
// come back, so it is CodeConflict.
func (k *Catalog) Delete(ctx context.Context, c host.Caller, ref Ref) error {
	key := ref.String()
	if err := k.authz.Authorize(ctx, c, host.ActionLocationWrite, "entity:"+key); err != nil {
		return err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return err
	}
	err = db.Write(ctx, func(ctx context.Context, q store.Querier) error {
		where := func(s *bun.SelectQuery) *bun.SelectQuery { return s.Where("ref = ?", key) }
		rows, err := storedRows(ctx, q, where)
		switch {
		case err != nil:
			return err
		case len(rows) == 0:
			return notFound("ref", key)
		case !rows[0].Orphan:
			return host.Errorf(host.CodeConflict, "%s is still described at %s", key, rows[0].Source).
				WithHint("remove it there, or unregister its location")
		}
		if err := k.removeEntities(ctx, q, c.TenantID(), rows[0].LocationID, where); err != nil {
			return err
		}
		return k.record(ctx, c, host.ActionLocationWrite, "entity:"+key, map[string]string{"change": "deleted"})
	})
	if err != nil {
		return err
	}
	k.wrote(ctx, c.TenantID())
	return nil
}

// Problems returns everything that is wrong in the tenant's locations.
func (k *Catalog) Problems(ctx context.Context, c host.Caller) ([]Problem, error) {
	if err := k.authz.Authorize(ctx, c, host.ActionLocationRead, "*"); err != nil {
		return nil, err
	}
	db, err := k.db.Tenant(c.TenantID())
	if err != nil {
		return nil, err
	}
	out := []Problem{}
	err = db.Read(ctx, func(ctx context.Context, q store.Querier) error {
		var rows []errorRow
		if err := q.NewSelect().Model(&rows).Order("location_id", "id").Limit(10_000).Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			out = append(out, r.problem())
		}
		return nil
	})
	return out, err
}
