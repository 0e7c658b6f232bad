package limit

import (
	"sync"
	"time"
)

// Rate lends something at a rate: so much in a second, and twice as much at
// once. It is safe for concurrent use.
type Rate struct {
	mu   sync.Mutex
	rate int64
	left int64
	last time.Time
}

// Set changes the rate; a higher one lends more at once from now on.
func (r *Rate) Set(perSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += 2 * (perSecond - r.rate)
	r.rate = perSecond
}

// Take takes n, and reports whether there was as much.
func (r *Rate) Take(now time.Time, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() {
		r.left = min(2*r.rate, r.left+int64(now.Sub(r.last).Seconds()*float64(r.rate)))
	}
	r.last = now
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}
