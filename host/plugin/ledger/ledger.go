// Package ledger counts what calls of plugins use, for each tenant, plugin,
// capability and outcome, and keeps tenants to their quotas. Counting is in
// memory and cheap; every few seconds, and at a stop, the counts are added to
// the control database in hourly sums, exactly once each, however many hosts
// write and however often one of them is killed between two calls.
//
// It counts what it is told. How a call is limited while it runs is for the
// runtime, whether it may run now for package turn.
package ledger

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// Settings of a Book. Zero fields take the defaults in brackets.
type Settings struct {
	// Every is how often counts are written (5 s).
	Every time.Duration
	// HourlyFor is how long hourly sums are kept before they become daily ones
	// (30 days), DailyFor how long those are kept (400 days).
	HourlyFor, DailyFor time.Duration
	// Quota is what a tenant may use of any plugin, beside what is set for one.
	Quota Quota
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Use is what one call used, or the sum over many. Sizes are in bytes.
type Use struct {
	Fuel                 int64
	Input, Output        int64
	HostCalls, HostBytes int64
	// Wall is how long the guest ran, Waited how long the call waited before.
	Wall, Waited time.Duration
}

func (u *Use) add(v Use) {
	u.Fuel += v.Fuel
	u.Input += v.Input
	u.Output += v.Output
	u.HostCalls += v.HostCalls
	u.HostBytes += v.HostBytes
	u.Wall += v.Wall
	u.Waited += v.Waited
}

// sums are the calls of one outcome.
type sums struct {
	calls int64
	use   Use
}

// Book is the ledger of one host. It is safe for concurrent use.
type Book struct {
	db *store.DB
	s  Settings
	// host names this process among the writers.
	host string

	mu    sync.Mutex
	tabs  map[tabKey]*Tab
	dirty []*account

	// writing serialises Flush; below is its state.
	writing sync.Mutex
	batch   int64
	pending *batch
}

type tabKey struct {
	tenant host.TenantID
	plugin string
}

// New returns a book over the control database. It counts at once; Run writes.
func New(db *store.DB, s Settings) *Book {
	s.Every = cmp.Or(s.Every, 5*time.Second)
	s.HourlyFor, s.DailyFor = cmp.Or(s.HourlyFor, 30*24*time.Hour), cmp.Or(s.DailyFor, 400*24*time.Hour)
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return &Book{db: db, s: s, host: host.NewID("w"), tabs: map[tabKey]*Tab{}}
}

// Tab is what one tenant uses of one plugin.
type Tab struct {
	book     *Book
	key      tabKey
	accounts sync.Map // capability to *account
	gate     gate
	proof    proof
}

// Tab returns the tab of a tenant and a plugin ("namespace/name").
func (b *Book) Tab(t host.TenantID, plugin string) *Tab {
	key := tabKey{t, plugin}
	b.mu.Lock()
	defer b.mu.Unlock()
	tab := b.tabs[key]
	if tab == nil {
		tab = &Tab{book: b, key: key}
		tab.gate.set(b.s.Quota)
		b.tabs[key] = tab
	}
	return tab
}

// Note counts a call of a capability that began at a time. Code is the code of
// its failure, or empty.
func (t *Tab) Note(at time.Time, capability string, code host.Code, u Use) {
	v, ok := t.accounts.Load(capability)
	if !ok {
		v, _ = t.accounts.LoadOrStore(capability, &account{tab: t, capability: capability})
	}
	v.(*account).note(at, code, u)
	t.gate.spend(at, u.Fuel)
}

// shards is into how many parts an account is divided, so that callers on many
// cores seldom wait for each other.
const shards = 4

// account is what one tenant uses of one capability of one plugin, since it
// was last written.
type account struct {
	tab        *Tab
	capability string
	dirty      atomic.Bool
	shards     [shards]shard
}

type shard struct {
	mu   sync.Mutex
	hour int64 // since 1970; of good and bad
	good sums
	bad  map[host.Code]*sums
	// past are the sums of hours that ended before they were written.
	past []sum
	_    [32]byte // keeps neighbours out of the cache line
}

// sum is what is written: the calls of one outcome in one hour.
type sum struct {
	hour int64
	code host.Code
	sums
}

func (a *account) note(at time.Time, code host.Code, u Use) {
	s := &a.shards[rand.Uint32()%shards]
	hour := at.Unix() / 3600
	s.mu.Lock()
	if s.hour != hour {
		s.past = s.drain(s.past)
		s.hour = hour
	}
	to := &s.good
	if code != "" {
		if to = s.bad[code]; to == nil {
			if s.bad == nil {
				s.bad = map[host.Code]*sums{}
			}
			to = &sums{}
			s.bad[code] = to
		}
	}
	to.calls++
	to.use.add(u)
	s.mu.Unlock()
	if !a.dirty.Load() && a.dirty.CompareAndSwap(false, true) {
		b := a.tab.book
		b.mu.Lock()
		b.dirty = append(b.dirty, a)
		b.mu.Unlock()
	}
}

// drain moves what the shard has counted to out; s.mu is held.
func (s *shard) drain(out []sum) []sum {
	if s.good.calls > 0 {
		out = append(out, sum{s.hour, "", s.good})
		s.good = sums{}
	}
	for code, bad := range s.bad {
		out = append(out, sum{s.hour, code, *bad})
		delete(s.bad, code)
	}
	return out
}

// drain returns and forgets what the account has counted.
func (a *account) drain() []sum {
	// What is counted from here on makes the account dirty again.
	a.dirty.Store(false)
	var out []sum
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		out = append(out, s.past...)
		s.past = nil
		out = s.drain(out)
		s.mu.Unlock()
	}
	return out
}

// Run writes what was counted, folds old sums, and reads quotas, until ctx
// ends; then it writes once more.
func (b *Book) Run(ctx context.Context) {
	write := time.NewTicker(b.s.Every)
	defer write.Stop()
	fold := time.NewTicker(time.Hour)
	defer fold.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			b.complain("writing the last counts of plugin calls", b.Flush(last))
			return
		case <-write.C:
			b.complain("writing the counts of plugin calls", b.Flush(ctx))
			b.complain("reading the quotas of plugins", b.Refresh(ctx))
		case <-fold.C:
			b.complain("folding old counts of plugin calls", b.Fold(ctx))
		}
	}
}

func (b *Book) complain(what string, err error) {
	if err != nil {
		b.s.Log.Warn(what+" failed; it is tried again", "error", err)
	}
}

// row makes the row of a sum.
func (a *account) row(s sum) record.Usage {
	return record.Usage{
		TenantID: string(a.tab.key.tenant), Plugin: a.tab.key.plugin, Capability: a.capability, Code: string(s.code),
		Start: time.Unix(s.hour*3600, 0).UTC(), Span: spanHour, Calls: s.calls,
		Fuel: s.use.Fuel, WallNanos: int64(s.use.Wall), WaitNanos: int64(s.use.Waited),
		Input: s.use.Input, Output: s.use.Output, HostCalls: s.use.HostCalls, HostBytes: s.use.HostBytes,
	}
}
