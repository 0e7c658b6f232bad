package turn

import (
	"cmp"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// manyFlows is from how many tenants on those that do nothing are forgotten.
const manyFlows = 4096

// flow is one tenant in a line.
type flow struct {
	tenant  host.TenantID
	weight  int
	limit   int
	running int
	waiting int
	// deficit is how many turns are left of the tenant's share of this round.
	deficit int
	// first to last wait, in the order in which they came.
	first, last *waiter
	// next and prev are neighbours in the ring.
	next, prev *flow
	ringed     bool
}

// waiter is one call that waits.
type waiter struct {
	flow       *flow
	next, prev *waiter
	standing   bool
	// ready receives nil with the turn, or why there is none.
	ready  chan error
	turns  uint64
	passed uint64
}

// flow returns the tenant's flow; l.mu is held, as in everything below.
func (l *Line) flow(a Ask) *flow {
	f := l.flows[a.Tenant]
	if f == nil {
		f = &flow{tenant: a.Tenant}
		l.flows[a.Tenant] = f
	}
	f.weight = max(1, a.Weight)
	f.limit = min(max(1, cmp.Or(a.Limit, l.s.PerTenant)), l.s.Slots)
	return f
}

// grant lets one call of f run.
func (l *Line) grant(f *flow) {
	l.turns++
	l.running++
	f.running++
}

// stand puts a call at the end of its tenant's queue.
func (l *Line) stand(w *waiter) {
	f := w.flow
	w.standing, w.prev = true, f.last
	if f.last != nil {
		f.last.next = w
	} else {
		f.first = w
	}
	f.last = w
	if f.waiting == 0 {
		l.queued++
	}
	f.waiting++
	l.waiting++
	if l.waiting == 1 {
		l.pace.begin(time.Now())
	}
	if f.running < f.limit && !f.ringed {
		f.deficit = 0
		l.ring.add(f)
	}
}

// leave takes a call out of the queue.
func (l *Line) leave(w *waiter) {
	f := w.flow
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		f.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		f.last = w.prev
	}
	w.standing, w.next, w.prev = false, nil, nil
	f.waiting--
	l.waiting--
	if f.waiting > 0 {
		return
	}
	l.queued--
	if f.ringed {
		l.ring.remove(f)
	}
}

// dismiss sends a waiting call away.
func (l *Line) dismiss(w *waiter, err error) {
	l.leave(w)
	l.tidy(w.flow)
	w.ready <- err
}

// serve gives free slots to those whose turn it is: each tenant in the ring
// has as many turns in a row as its weight, then the next one has.
func (l *Line) serve() {
	for l.running < l.s.Slots && l.ring.at != nil {
		f := l.ring.at
		if f.deficit <= 0 {
			f.deficit = f.weight
		}
		f.deficit--
		w := f.first
		l.leave(w) // takes f out of the ring where it was the last
		w.passed = l.turns - w.turns
		l.grant(f)
		w.ready <- nil
		switch {
		case !f.ringed:
		case f.running >= f.limit:
			l.ring.remove(f)
		case f.deficit <= 0:
			l.ring.at = f.next
		}
	}
}

// makeRoom reports whether a call of f may wait. In a full queue it takes the
// place of the newest call of the tenant that has most, so that a flood sheds
// its own calls and nobody else's.
func (l *Line) makeRoom(f *flow) bool {
	if l.waiting < l.s.Queue {
		return true
	}
	if f.waiting*l.queued >= l.waiting {
		return false // it has its share; a flood is refused without a search
	}
	longest := f
	for _, other := range l.flows {
		if other.waiting > longest.waiting {
			longest = other
		}
	}
	if longest.waiting <= f.waiting+1 {
		return false
	}
	l.dismiss(longest.last, l.full())
	return true
}

// tidy forgets an idle tenant where there are many.
func (l *Line) tidy(f *flow) {
	if f.running == 0 && f.waiting == 0 && len(l.flows) > manyFlows {
		delete(l.flows, f.tenant)
	}
}

// ring is a circle of flows; at is whose turn it is.
type ring struct{ at *flow }

// add puts f in at the end of the round: just before the one at turn.
func (r *ring) add(f *flow) {
	f.ringed = true
	if r.at == nil {
		f.next, f.prev, r.at = f, f, f
		return
	}
	f.next, f.prev = r.at, r.at.prev
	f.prev.next, r.at.prev = f, f
}

// resume puts a flow back that was held up by its limit: at the turn that it
// has not used up, else at the end of the round.
func (r *ring) resume(f *flow) {
	r.add(f)
	if f.deficit > 0 {
		r.at = f
	}
}

// remove takes f out.
func (r *ring) remove(f *flow) {
	f.ringed = false
	if f.next == f {
		r.at = nil
	} else {
		f.prev.next, f.next.prev = f.next, f.prev
		if r.at == f {
			r.at = f.next
		}
	}
	f.next, f.prev = nil, nil
}

// Bounds of what a refused call is told.
const (
	minRetry = time.Second
	maxRetry = time.Minute
)

// pace is how long passes between two turns while calls wait: a moving mean
// over about eight turns.
type pace struct {
	last time.Time
	mean time.Duration
}

func (p *pace) begin(now time.Time) { p.last = now }

func (p *pace) step(now time.Time) {
	took := now.Sub(p.last)
	p.last = now
	if p.mean == 0 {
		p.mean = took
	}
	p.mean += (took - p.mean) / 8
}

// retryAfter is when n calls will have had their turn, in whole seconds.
func (p *pace) retryAfter(n int) time.Duration {
	d := (time.Duration(n)*p.mean + time.Second - 1).Truncate(time.Second)
	return min(max(d, minRetry), maxRetry)
}
