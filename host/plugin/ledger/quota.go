package ledger

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// Quota is how much a tenant may use of a plugin. Zero is no bound.
type Quota struct {
	CallsPerMinute int64 `json:"callsPerMinute,omitempty"`
	// FuelPerDay is for a day in UTC.
	FuelPerDay int64 `json:"fuelPerDay,omitempty"`
}

// within returns the narrower of two quotas in each measure.
func (q Quota) within(o Quota) Quota {
	least := func(a, b int64) int64 {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	return Quota{least(q.CallsPerMinute, o.CallsPerMinute), least(q.FuelPerDay, o.FuelPerDay)}
}

// Who sets quotas. All of them hold.
const (
	SetByTenant   = "tenant"
	SetByOperator = "operator"
)

// gate keeps one tenant to its quota of one plugin. Other hosts count too: what
// they have written is read every few seconds, so that together they exceed a
// quota by what they do in that time at most.
type gate struct {
	bound atomic.Bool // whether there is a quota at all

	mu    sync.Mutex
	quota Quota
	// minute is the current one since 1970; local are the calls admitted here
	// in it, written those of them that Flush took, others those of all other
	// hosts.
	minute                 int64
	local, written, others int64
	// day is the current one; base is its fuel in the database, since is what
	// was used here after the last Flush.
	day         int64
	base, since int64
}

func (g *gate) set(q Quota) {
	g.mu.Lock()
	g.quota = q
	g.mu.Unlock()
	g.bound.Store(q != Quota{})
}

// turn moves the gate to the present minute and day; g.mu is held.
func (g *gate) turn(now time.Time) {
	if m := now.Unix() / spanMinute; m != g.minute {
		g.minute, g.local, g.written, g.others = m, 0, 0, 0
	}
	if d := now.Unix() / spanDay; d != g.day {
		g.day, g.base, g.since = d, 0, 0
	}
}

// Enter admits a call, or says by CodeQuota which quota is used up and when it
// begins anew. Fuel is how much of the day's is left, or 0 where there is no
// quota of it.
func (t *Tab) Enter(now time.Time) (fuel int64, err error) {
	g := &t.gate
	if !g.bound.Load() {
		return 0, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	if q := g.quota.CallsPerMinute; q > 0 && g.local+g.others >= q {
		return 0, spent("calls in a minute", q, time.Unix((g.minute+1)*spanMinute, 0).Sub(now))
	}
	if q := g.quota.FuelPerDay; q > 0 {
		if fuel = q - g.base - g.since; fuel <= 0 {
			return 0, spent("units of fuel in a day", q, time.Unix((g.day+1)*spanDay, 0).Sub(now))
		}
	}
	g.local++
	return fuel, nil
}

func spent(what string, quota int64, wait time.Duration) error {
	e := host.Errorf(host.CodeQuota, "the quota of %d %s is used up", quota, what)
	e.RetryAfter = wait.Truncate(time.Second) + time.Second
	return e.WithHint("an admin sees the quota on the plugin's page and may ask the operator for more")
}

func (g *gate) spend(at time.Time, fuel int64) {
	if fuel == 0 || !g.bound.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Unix()/spanDay == g.day {
		g.since += fuel
	}
}

// take returns the calls of this minute that were not written yet, where there
// is a quota of them, and begins a new count of fuel.
func (g *gate) take() (record.Usage, bool) {
	if !g.bound.Load() {
		return record.Usage{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := g.local - g.written
	g.written = g.local
	if g.quota.CallsPerMinute == 0 || fresh == 0 {
		return record.Usage{}, false
	}
	return record.Usage{Start: time.Unix(g.minute*spanMinute, 0).UTC(), Span: spanMinute, Calls: fresh}, true
}

// Refresh reads the quotas, and what all hosts have used of them.
func (b *Book) Refresh(ctx context.Context) error {
	quotas, err := b.quotas(ctx, "")
	if err != nil {
		return err
	}
	b.mu.Lock()
	var bound []*Tab
	for key, t := range b.tabs {
		q := b.s.Quota
		for _, row := range quotas[key] {
			q = q.within(Quota{row.CallsPerMinute, row.FuelPerDay})
		}
		t.gate.set(q)
		if (q != Quota{}) {
			bound = append(bound, t)
		}
	}
	b.mu.Unlock()
	for _, t := range bound {
		if err := b.measure(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// measure reads what is used of a tab's quota. It runs after a Flush, so what
// this host wrote is in it.
func (b *Book) measure(ctx context.Context, t *Tab) error {
	now := b.s.Now().UTC()
	minute, day := now.Truncate(time.Minute), now.Truncate(24*time.Hour)
	var calls, fuel sql.NullInt64
	t.gate.mu.Lock()
	// What is used while the database is read is counted twice, for once.
	t.gate.turn(now)
	before := t.gate.since
	t.gate.mu.Unlock()
	err := b.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		err := q.NewSelect().Model((*record.Usage)(nil)).ColumnExpr("CAST(SUM(calls) AS BIGINT)").Where("tenant_id = ?", string(t.key.tenant)).
			Where("plugin = ?", t.key.plugin).Where("span = ?", spanMinute).Where("starts_at = ?", minute).Scan(ctx, &calls)
		if err != nil {
			return err
		}
		return q.NewSelect().Model((*record.Usage)(nil)).ColumnExpr("CAST(SUM(fuel) AS BIGINT)").Where("tenant_id = ?", string(t.key.tenant)).
			Where("plugin = ?", t.key.plugin).Where("span = ?", spanHour).Where("starts_at >= ?", day).Scan(ctx, &fuel)
	})
	if err != nil {
		return err
	}
	g := &t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn(now)
	if g.minute == minute.Unix()/spanMinute {
		g.others = max(0, calls.Int64-g.written)
	}
	if g.day == day.Unix()/spanDay {
		g.base, g.since = fuel.Int64, max(0, g.since-before)
	}
	return nil
}

// quotas reads the rows of plugin_quotas, of one tenant or of all.
func (b *Book) quotas(ctx context.Context, t host.TenantID) (map[tabKey][]record.Quota, error) {
	var rows []record.Quota
	err := b.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		rows = nil
		query := q.NewSelect().Model(&rows)
		if t != "" {
			query = query.Where("tenant_id = ?", string(t))
		}
		return query.Scan(ctx)
	})
	out := map[tabKey][]record.Quota{}
	for _, r := range rows {
		key := tabKey{host.TenantID(r.TenantID), r.Plugin}
		out[key] = append(out[key], r)
	}
	return out, err
}

// SetQuota sets the quota of a tenant for a plugin on behalf of source, inside
// the caller's transaction; the zero Quota removes it. Other hosts follow
// within a few seconds. Who may do so is decided before.
func (b *Book) SetQuota(ctx context.Context, q store.Querier, t host.TenantID, plugin, source string, quota Quota) error {
	if quota.CallsPerMinute < 0 || quota.FuelPerDay < 0 {
		return host.Errorf(host.CodeInvalid, "a quota cannot be negative").WithHint("0 removes it")
	}
	row := record.Quota{TenantID: string(t), Plugin: plugin, Source: source,
		CallsPerMinute: quota.CallsPerMinute, FuelPerDay: quota.FuelPerDay, UpdatedAt: b.s.Now().UTC()}
	if (quota == Quota{}) {
		_, err := q.NewDelete().Model(&row).WherePK().Exec(ctx)
		return err
	}
	_, err := q.NewInsert().Model(&row).On("CONFLICT (tenant_id, plugin, source) DO UPDATE").
		Set("calls_per_minute = EXCLUDED.calls_per_minute").Set("fuel_per_day = EXCLUDED.fuel_per_day").
		Set("updated_at = EXCLUDED.updated_at").Exec(ctx)
	return err
}

// Quotas are what bounds a tenant's use of a plugin.
type Quotas struct {
	Tenant   Quota `json:"tenant"`
	Operator Quota `json:"operator"`
	// Effective is the narrowest of all, the host's own for any plugin
	// included.
	Effective Quota `json:"effective"`
}

// QuotasOf returns the quotas of a tenant for a plugin.
func (b *Book) QuotasOf(ctx context.Context, t host.TenantID, plugin string) (Quotas, error) {
	all, err := b.quotas(ctx, t)
	out := Quotas{Effective: b.s.Quota}
	for _, r := range all[tabKey{t, plugin}] {
		q := Quota{r.CallsPerMinute, r.FuelPerDay}
		if r.Source == SetByOperator {
			out.Operator = q
		} else {
			out.Tenant = q
		}
		out.Effective = out.Effective.within(q)
	}
	return out, err
}
