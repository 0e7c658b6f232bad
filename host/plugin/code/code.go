// Package code keeps compiled code in memory for as long as it is worth it: it
// is loaded at its first call, compiled at most a few at a time and never on a
// request's path, lent to calls, and unloaded when nobody calls it or when
// others need the memory. What code is, and how it is called, is its type
// parameter's affair.
package code

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Module is compiled code, so far as this room needs it.
type Module interface {
	Close(ctx context.Context) error
}

// Progress says how far the compilation of a release is.
type Progress struct {
	// Phase is "queued", "compiling" or "loading".
	Phase     string    `json:"phase"`
	StartedAt time.Time `json:"startedAt"`
	// Fraction is between 0 and 1. It is an estimate from the size of the
	// code and the speed of this host so far, and stays below 1 until done.
	Fraction float64 `json:"fraction"`
	// Bytes is the size of the code.
	Bytes int64 `json:"bytes"`
}

// Source says where a release's code comes from.
type Source[M Module] struct {
	// Bytes is the size of the code.
	Bytes int64
	// Open reads the code and compiles or loads it; it may take seconds.
	Open func(ctx context.Context) (M, error)
	// Cached reports whether Open will only load.
	Cached func() bool
	// Changed is called without locks when the code has become ready or has
	// failed.
	Changed func()
}

// Code is one release's code in this process: not loaded, being compiled,
// loaded, or failed. It is shared by all instances of the release.
type Code[M Module] struct {
	from  Source[M]
	shelf *Shelf[M]

	mu      sync.Mutex
	module  M
	loaded  bool
	size    int64
	failure error
	loading chan struct{} // closed when loading ends
	phase   string
	since   time.Time
	lent    int
	used    time.Time
	retired bool
}

// Lend returns the module, loading it first if need be, and how long the
// caller waited for that. It waits for at most wait; a compilation that takes
// longer goes on without the caller. GiveBack ends a lend that succeeded.
func (c *Code[M]) Lend(ctx context.Context, wait time.Duration) (m M, waited time.Duration, err error) {
	var timeout <-chan time.Time
	var begin time.Time
	for {
		c.mu.Lock()
		switch {
		case c.loaded:
			c.lent++
			m = c.module
			c.mu.Unlock()
			if timeout != nil {
				waited = time.Since(begin)
			}
			return m, waited, nil
		case c.failure != nil:
			err := c.failure
			c.mu.Unlock()
			return m, 0, err
		}
		done := c.start()
		c.mu.Unlock()
		if timeout == nil {
			begin = time.Now()
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-done:
		case <-timeout:
			return m, time.Since(begin), c.busy()
		case <-ctx.Done():
			return m, time.Since(begin), c.busy()
		}
	}
}

// busy is what a caller is told while the code is being compiled.
func (c *Code[M]) busy() error {
	p := c.Progress()
	e := host.Errorf(host.CodeUnavailable, "the plugin's code is being compiled")
	e.RetryAfter = 2 * time.Second
	if p != nil {
		e.WithHint("about %d %% done; try again in %d s", int(p.Fraction*100), int(e.RetryAfter.Seconds()))
	}
	return e
}

// GiveBack ends a lend.
func (c *Code[M]) GiveBack() {
	now := time.Now()
	c.mu.Lock()
	c.lent--
	c.used = now
	drop, ok := c.unload(c.retired)
	c.mu.Unlock()
	closeLater(drop, ok)
}

// Warm starts loading in the background unless it is loaded or has failed.
func (c *Code[M]) Warm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded && c.failure == nil {
		c.start()
	}
}

// Retry forgets a failure.
func (c *Code[M]) Retry() {
	c.mu.Lock()
	c.failure, c.retired = nil, false
	c.mu.Unlock()
}

// start begins loading; c.mu is held.
func (c *Code[M]) start() chan struct{} {
	if c.loading != nil {
		return c.loading
	}
	done := make(chan struct{})
	c.loading, c.since, c.phase = done, time.Now(), "loading"
	if !c.from.Cached() {
		c.phase = "queued"
	}
	go c.load(done)
	return done
}

// load runs beside the requests: it must end even when its starter is gone.
func (c *Code[M]) load(done chan struct{}) {
	compiling := c.enter()
	begin := time.Now()
	m, err := c.from.Open(context.Background())
	if compiling {
		<-c.shelf.gate
		if err == nil {
			c.shelf.pace.learn(c.from.Bytes, time.Since(begin))
		}
	}
	c.mu.Lock()
	c.failure, c.loading, c.phase = err, nil, ""
	if err == nil {
		c.module, c.loaded, c.size = m, true, c.shelf.size(m)
	}
	c.used = time.Now()
	drop, ok := c.unload(c.retired)
	c.mu.Unlock()
	close(done)
	closeLater(drop, ok)
	c.from.Changed()
	c.shelf.fit(c)
	if compiling {
		// A compiler leaves many times the size of what it made.
		debug.FreeOSMemory()
	}
}

// enter waits for the right to compile.
func (c *Code[M]) enter() bool {
	c.mu.Lock()
	queued := c.phase == "queued"
	c.mu.Unlock()
	if !queued {
		return false
	}
	c.shelf.gate <- struct{}{}
	c.mu.Lock()
	c.phase, c.since = "compiling", time.Now()
	c.mu.Unlock()
	return true
}

// Cached reports whether loading the code takes no compilation.
func (c *Code[M]) Cached() bool { return c.from.Cached() }

// Failure returns why the code could not be loaded, or nil.
func (c *Code[M]) Failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// Progress is nil unless the code is being compiled.
func (c *Code[M]) Progress() *Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading == nil || c.phase == "loading" {
		return nil
	}
	p := &Progress{Phase: c.phase, StartedAt: c.since, Bytes: c.from.Bytes}
	if c.phase == "compiling" {
		p.Fraction = c.shelf.pace.fraction(c.from.Bytes, time.Since(c.since))
	}
	return p
}

// Loaded returns the module where it is in memory. It is for looking at: it
// may be closed at any time.
func (c *Code[M]) Loaded() (M, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.module, c.loaded
}

// Retire unloads the code as soon as no call uses it.
func (c *Code[M]) Retire() {
	c.mu.Lock()
	c.retired = true
	drop, ok := c.unload(true)
	c.mu.Unlock()
	c.shelf.remove(c)
	closeLater(drop, ok)
}

// unload takes the module out if nobody uses it; c.mu is held.
func (c *Code[M]) unload(want bool) (m M, ok bool) {
	if !want || c.lent > 0 || !c.loaded {
		return m, false
	}
	m, c.module = c.module, m
	c.loaded, c.size = false, 0
	return m, true
}

// closeLater frees a module once nothing runs in it. A guest that ignores its
// deadline may still do so, therefore nobody waits.
func closeLater[M Module](m M, ok bool) {
	if ok {
		go closeAll([]M{m})
	}
}

// closeAll frees modules and gives their memory back to the system.
func closeAll[M Module](list []M) {
	for _, m := range list {
		// Closing frees memory alone; it has nothing to report.
		_ = m.Close(context.Background())
	}
	debug.FreeOSMemory()
}
