package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// Spans of sums, in seconds.
const (
	spanMinute = 60
	spanHour   = 3600
	spanDay    = 86400
)

// chunk is how many rows go into one statement.
const chunk = 250

// batch is what one Flush writes. It is written whole or not at all; until it
// is known that it was, nothing else is.
type batch struct {
	number   int64
	usage    []record.Usage
	evidence []record.Evidence
}

// Flush adds what was counted to the database. After a failure nothing is
// lost: the next Flush writes it, and not twice.
func (b *Book) Flush(ctx context.Context) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	for range 2 { // what an earlier Flush left, then what came since
		if b.pending == nil {
			b.pending = b.collect()
		}
		if b.pending == nil {
			return nil
		}
		if err := b.write(ctx, b.pending); err != nil {
			return fmt.Errorf("writing what plugins used: %w", err)
		}
		b.pending = nil
	}
	return nil
}

// collect takes what was counted; nil if there is nothing.
func (b *Book) collect() *batch {
	b.mu.Lock()
	dirty := b.dirty
	b.dirty = nil
	tabs := make([]*Tab, 0, len(b.tabs))
	for _, t := range b.tabs {
		tabs = append(tabs, t)
	}
	b.mu.Unlock()
	all := map[string]record.Usage{}
	add := func(r record.Usage) {
		key := usageKey(r)
		if have, ok := all[key]; ok {
			r = plus(have, r)
		}
		all[key] = r
	}
	out := &batch{}
	for _, t := range tabs {
		if r, ok := t.gate.take(); ok {
			r.TenantID, r.Plugin = string(t.key.tenant), t.key.plugin
			add(r)
		}
		out.evidence = append(out.evidence, t.proof.take(t.key)...)
	}
	for _, a := range dirty {
		for _, s := range a.drain() {
			add(a.row(s))
		}
	}
	if len(all) == 0 && len(out.evidence) == 0 {
		return nil
	}
	for _, r := range all {
		out.usage = append(out.usage, r)
	}
	slices.SortFunc(out.usage, func(x, y record.Usage) int { return cmp.Compare(usageKey(x), usageKey(y)) })
	b.batch++
	out.number = b.batch
	return out
}

func usageKey(r record.Usage) string {
	return strings.Join([]string{r.TenantID, r.Plugin, fmt.Sprint(r.Span), r.Start.UTC().Format(time.RFC3339), r.Capability, r.Code}, "\x1f")
}

// plus returns a with what b counted.
func plus(a, b record.Usage) record.Usage {
	a.Calls += b.Calls
	a.Fuel += b.Fuel
	a.WallNanos += b.WallNanos
	a.WaitNanos += b.WaitNanos
	a.Input += b.Input
	a.Output += b.Output
	a.HostCalls += b.HostCalls
	a.HostBytes += b.HostBytes
	return a
}

// write adds a batch, unless it is there already: a commit of which nobody
// heard is recognised by its number.
func (b *Book) write(ctx context.Context, w *batch) error {
	return b.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		var writer record.Writer
		err := q.NewSelect().Model(&writer).Where("host = ?", b.host).Scan(ctx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && writer.Batch >= w.number {
			return nil
		}
		if err := upsertUsage(ctx, q, w.usage); err != nil {
			return err
		}
		if err := upsertEvidence(ctx, q, w.evidence); err != nil {
			return err
		}
		writer = record.Writer{Host: b.host, Batch: w.number, UpdatedAt: b.s.Now().UTC()}
		_, err = q.NewInsert().Model(&writer).On("CONFLICT (host) DO UPDATE").
			Set("batch = EXCLUDED.batch").Set("updated_at = EXCLUDED.updated_at").Exec(ctx)
		return err
	})
}

func upsertUsage(ctx context.Context, q store.Querier, rows []record.Usage) error {
	for part := range slices.Chunk(rows, chunk) {
		insert := q.NewInsert().Model(&part).On("CONFLICT (tenant_id, plugin, span, starts_at, capability, code) DO UPDATE")
		for _, column := range []string{"calls", "fuel", "wall_nanos", "wait_nanos", "input_bytes", "output_bytes", "host_calls", "host_bytes"} {
			insert = insert.Set(column + " = u." + column + " + EXCLUDED." + column)
		}
		if _, err := insert.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

func upsertEvidence(ctx context.Context, q store.Querier, rows []record.Evidence) error {
	for part := range slices.Chunk(rows, chunk) {
		_, err := q.NewInsert().Model(&part).On("CONFLICT (tenant_id, plugin, service, target) DO UPDATE").
			Set("uses = ev.uses + EXCLUDED.uses").
			Set("last_used_at = CASE WHEN EXCLUDED.last_used_at > ev.last_used_at THEN EXCLUDED.last_used_at ELSE ev.last_used_at END").Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// Fold turns hourly sums that are old into daily ones, and forgets what nobody
// asks for any more.
func (b *Book) Fold(ctx context.Context) error {
	now := b.s.Now().UTC()
	before := now.Add(-b.s.HourlyFor).Truncate(24 * time.Hour)
	for {
		more := false
		err := b.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) (err error) {
			more, err = foldDay(ctx, q, before)
			return err
		})
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return b.db.Control().Write(ctx, func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*record.Usage)(nil)).Where("span = ?", spanMinute).Where("starts_at < ?", now.Add(-time.Hour)).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = q.NewDelete().Model((*record.Usage)(nil)).Where("span = ?", spanDay).Where("starts_at < ?", now.Add(-b.s.DailyFor)).Exec(ctx)
		if err != nil {
			return err
		}
		// A host that was away for so long has a new name when it comes back.
		_, err = q.NewDelete().Model((*record.Writer)(nil)).Where("host <> ?", b.host).Where("updated_at < ?", now.Add(-30*24*time.Hour)).Exec(ctx)
		return err
	})
}

// foldDay folds the oldest day before a time; more is false where there is
// none.
func foldDay(ctx context.Context, q store.Querier, before time.Time) (more bool, err error) {
	var oldest record.Usage
	err = q.NewSelect().Model(&oldest).Where("span = ?", spanHour).Where("starts_at < ?", before).Order("starts_at").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	day := oldest.Start.UTC().Truncate(24 * time.Hour)
	var hours []record.Usage
	err = q.NewSelect().Model(&hours).Where("span = ?", spanHour).Where("starts_at >= ?", day).Where("starts_at < ?", day.Add(24*time.Hour)).Scan(ctx)
	if err != nil {
		return false, err
	}
	days := map[string]record.Usage{}
	for _, r := range hours {
		r.Span, r.Start = spanDay, day
		if have, ok := days[usageKey(r)]; ok {
			r = plus(have, r)
		}
		days[usageKey(r)] = r
	}
	rows := make([]record.Usage, 0, len(days))
	for _, r := range days {
		rows = append(rows, r)
	}
	if err := upsertUsage(ctx, q, rows); err != nil {
		return false, err
	}
	_, err = q.NewDelete().Model((*record.Usage)(nil)).Where("span = ?", spanHour).Where("starts_at >= ?", day).Where("starts_at < ?", day.Add(24*time.Hour)).Exec(ctx)
	return true, err
}
