// Package turn decides whose call runs next: a bounded number of calls run at
// a time, and those that wait are served tenant by tenant (deficit round
// robin), so that one tenant's flood moves another tenant's call by a bounded
// number of turns and no more. It counts calls and knows nothing of plugins.
//
// A call that cannot be served soon is refused at once, with the time after
// which it is worth trying again; nothing waits without a bound.
package turn

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Settings of a Line. Zero fields take the defaults in brackets.
type Settings struct {
	// Slots is how many calls run at a time (64).
	Slots int
	// PerTenant is how many of them may be one tenant's (Slots).
	PerTenant int
	// Queue is how many calls may wait (4 x Slots). When it is full, the newest
	// call of the tenant with most waiting calls goes.
	Queue int
	// Wait is how long a call waits for its turn at most (2 s).
	Wait time.Duration
}

func (s Settings) filled() Settings {
	s.Slots = max(1, cmp.Or(s.Slots, 64))
	s.PerTenant = min(max(1, cmp.Or(s.PerTenant, s.Slots)), s.Slots)
	s.Queue = max(0, cmp.Or(s.Queue, 4*s.Slots))
	s.Wait = cmp.Or(s.Wait, 2*time.Second)
	return s
}

// Line hands out turns. It is safe for concurrent use.
type Line struct {
	s Settings

	mu      sync.Mutex
	flows   map[host.TenantID]*flow
	ring    ring // the flows that wait and may run
	running int
	waiting int
	queued  int // tenants with calls that wait
	turns   uint64
	shed    uint64
	pace    pace
	closed  bool
}

// New returns a line in which nobody stands.
func New(s Settings) *Line {
	return &Line{s: s.filled(), flows: map[host.TenantID]*flow{}}
}

// Ask says who wants a turn. Zero numbers take the line's settings.
type Ask struct {
	Tenant host.TenantID
	// Weight is how many turns in a row the tenant has when its place in the
	// round comes (1).
	Weight int
	// Limit is how many of the tenant's calls run at a time
	// (Settings.PerTenant). The last Ask of a tenant counts.
	Limit int
}

// Turn is the right to run. Done gives it back, once.
type Turn struct {
	line *Line
	flow *flow
	// Waited is how long the call stood in the line; 0 where it did not.
	Waited time.Duration
	// Passed is how many turns others were given meanwhile.
	Passed uint64
}

// Take waits for a turn. Its error is a *host.Error of CodeUnavailable with
// RetryAfter: the line is full, the wait was too long, or the line is closed.
// Where ctx ends first, it is ctx's own error.
func (l *Line) Take(ctx context.Context, a Ask) (Turn, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return Turn{}, stopping()
	}
	f := l.flow(a)
	if l.running < l.s.Slots && f.running < f.limit && f.waiting == 0 {
		l.grant(f)
		l.mu.Unlock()
		return Turn{line: l, flow: f}, nil
	}
	if !l.makeRoom(f) {
		err := l.full()
		l.mu.Unlock()
		return Turn{}, err
	}
	w := &waiter{flow: f, ready: make(chan error, 1), turns: l.turns}
	l.stand(w)
	l.mu.Unlock()
	return l.await(ctx, w)
}

// await waits until the waiter is served, gives up or is sent away.
func (l *Line) await(ctx context.Context, w *waiter) (Turn, error) {
	begin := time.Now()
	limit := time.NewTimer(l.s.Wait)
	defer limit.Stop()
	var gone error
	select {
	case err := <-w.ready:
		return l.served(w, begin, err)
	case <-limit.C:
	case <-ctx.Done():
		gone = ctx.Err()
	}
	l.mu.Lock()
	if w.standing {
		l.leave(w)
		l.tidy(w.flow)
		err := l.full()
		l.mu.Unlock()
		if gone != nil {
			return Turn{}, gone
		}
		return Turn{}, err
	}
	l.mu.Unlock()
	t, err := l.served(w, begin, <-w.ready)
	if err == nil && gone != nil {
		t.Done()
		return Turn{}, gone
	}
	return t, err
}

func (l *Line) served(w *waiter, begin time.Time, err error) (Turn, error) {
	if err != nil {
		return Turn{}, err
	}
	return Turn{line: l, flow: w.flow, Waited: time.Since(begin), Passed: w.passed}, nil
}

// Done gives the turn back. The zero Turn has none.
func (t Turn) Done() {
	l := t.line
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	t.flow.running--
	if l.waiting > 0 {
		l.pace.step(time.Now())
	}
	if t.flow.waiting > 0 && !t.flow.ringed {
		l.ring.resume(t.flow)
	}
	l.serve()
	l.tidy(t.flow)
}

// Close refuses everybody who waits or comes later. Turns that are held stay
// good.
func (l *Line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, f := range l.flows {
		for f.last != nil {
			l.dismiss(f.last, stopping())
		}
	}
}

// State is how a line stands.
type State struct {
	Running, Waiting int
	// Turns and Shed count the calls that were served and refused so far.
	Turns, Shed uint64
}

// State returns how the line stands now.
func (l *Line) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{Running: l.running, Waiting: l.waiting, Turns: l.turns, Shed: l.shed}
}

// Running returns how many calls of a tenant run now.
func (l *Line) Running(t host.TenantID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.flows[t]; f != nil {
		return f.running
	}
	return 0
}

// full is what a call is told that cannot wait; l.mu is held.
func (l *Line) full() error {
	l.shed++
	e := host.Errorf(host.CodeUnavailable, "%d calls are running and %d are waiting", l.running, l.waiting)
	e.RetryAfter = l.pace.retryAfter(l.waiting + 1)
	return e.WithHint("try again in %d s", int(e.RetryAfter.Seconds()))
}

func stopping() error {
	e := host.Errorf(host.CodeUnavailable, "the portal is stopping").WithHint("try again in a moment")
	e.RetryAfter = time.Second
	return e
}
