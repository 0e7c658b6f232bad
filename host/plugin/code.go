package plugin

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// code is one release's code in this process: not loaded, being compiled,
// loaded, or failed. It is shared by all instances of the release.
type code struct {
	digest string
	bytes  int64
	// open reads the code and compiles or loads it; it may take seconds.
	open func(ctx context.Context) (Module, error)
	// cached reports whether open will only load.
	cached func() bool
	// gate lets few compilations run at a time; loading does not wait there.
	gate chan struct{}
	// changed is called without locks when the code has become ready or has
	// failed.
	changed func()
	pace    *pace

	mu      sync.Mutex
	module  Module
	failure error
	loading chan struct{} // closed when loading ends
	phase   string
	since   time.Time
	lent    int
	used    time.Time
	retired bool
}

// lend returns the module, loading it first if need be. It waits for at most
// wait; a compilation that takes longer goes on without the caller.
func (c *code) lend(ctx context.Context, wait time.Duration) (Module, error) {
	var timeout <-chan time.Time
	for {
		c.mu.Lock()
		switch {
		case c.module != nil:
			c.lent++
			m := c.module
			c.mu.Unlock()
			return m, nil
		case c.failure != nil:
			err := c.failure
			c.mu.Unlock()
			return nil, err
		}
		done := c.start()
		c.mu.Unlock()
		if timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-done:
		case <-timeout:
			return nil, c.busy()
		case <-ctx.Done():
			return nil, c.busy()
		}
	}
}

// busy is what a caller is told while the code is being compiled.
func (c *code) busy() error {
	p := c.progress()
	e := host.Errorf(host.CodeUnavailable, "the plugin's code is being compiled")
	e.RetryAfter = 2 * time.Second
	if p != nil {
		e.WithHint("about %d %% done; try again in %d s", int(p.Fraction*100), int(e.RetryAfter.Seconds()))
	}
	return e
}

// giveBack ends a lend.
func (c *code) giveBack() {
	c.mu.Lock()
	c.lent--
	c.used = time.Now()
	drop := c.unload(c.retired)
	c.mu.Unlock()
	closeModule(drop)
}

// warm starts loading in the background unless it is loaded or has failed.
func (c *code) warm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.module == nil && c.failure == nil {
		c.start()
	}
}

// retry forgets a failure.
func (c *code) retry() {
	c.mu.Lock()
	c.failure, c.retired = nil, false
	c.mu.Unlock()
}

// start begins loading; c.mu is held.
func (c *code) start() chan struct{} {
	if c.loading != nil {
		return c.loading
	}
	done := make(chan struct{})
	c.loading, c.since, c.phase = done, time.Now(), "loading"
	if !c.cached() {
		c.phase = "queued"
	}
	go c.load(done)
	return done
}

// load runs beside the requests: it must end even when its starter is gone.
func (c *code) load(done chan struct{}) {
	compiling := c.enter()
	begin := time.Now()
	m, err := c.open(context.Background())
	if compiling {
		<-c.gate
		if err == nil {
			c.pace.learn(c.bytes, time.Since(begin))
		}
	}
	c.mu.Lock()
	c.module, c.failure, c.loading, c.phase = m, err, nil, ""
	c.used = time.Now()
	drop := c.unload(c.retired)
	c.mu.Unlock()
	close(done)
	closeModule(drop)
	c.changed()
	if compiling {
		// A compiler leaves many times the size of what it made.
		debug.FreeOSMemory()
	}
}

// enter waits for the right to compile.
func (c *code) enter() bool {
	c.mu.Lock()
	queued := c.phase == "queued"
	c.mu.Unlock()
	if !queued {
		return false
	}
	c.gate <- struct{}{}
	c.mu.Lock()
	c.phase, c.since = "compiling", time.Now()
	c.mu.Unlock()
	return true
}

// state returns the progress while loading, and the failure, if any.
func (c *code) state() (p *Progress, failure error) {
	c.mu.Lock()
	failure = c.failure
	c.mu.Unlock()
	return c.progress(), failure
}

// progress is nil unless the code is being compiled.
func (c *code) progress() *Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading == nil || c.phase == "loading" {
		return nil
	}
	p := &Progress{Phase: c.phase, StartedAt: c.since, Bytes: c.bytes}
	if c.phase == "compiling" {
		p.Fraction = c.pace.fraction(c.bytes, time.Since(c.since))
	}
	return p
}

// loaded reports whether the code is in memory.
func (c *code) loaded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.module != nil
}

// rest takes the module out if it has not been used since before; the caller
// closes what it returns.
func (c *code) rest(before time.Time) Module {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unload(c.used.Before(before))
}

// retire unloads the code as soon as no call uses it.
func (c *code) retire() {
	c.mu.Lock()
	c.retired = true
	drop := c.unload(true)
	c.mu.Unlock()
	closeModule(drop)
}

// unload takes the module out if nobody uses it; c.mu is held.
func (c *code) unload(want bool) Module {
	if !want || c.lent > 0 || c.module == nil {
		return nil
	}
	m := c.module
	c.module = nil
	return m
}

// closeModule frees a module once nothing runs in it. A guest that ignores its
// deadline may still do so, therefore nobody waits.
func closeModule(m Module) {
	if m != nil {
		go closeAll([]Module{m})
	}
}

// closeAll frees modules and gives their memory back to the system.
func closeAll(list []Module) {
	for _, m := range list {
		// Closing frees memory alone; it has nothing to report.
		_ = m.Close(context.Background())
	}
	debug.FreeOSMemory()
}

// pace estimates how long a compilation takes from those before it.
type pace struct {
	mu      sync.Mutex
	perByte float64 // seconds
}

// firstGuess is the time for a byte before anything was measured: a 3 MB
// module in about 1.5 s.
const firstGuess = 0.5e-6

func (p *pace) learn(bytes int64, took time.Duration) {
	if bytes <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := took.Seconds() / float64(bytes)
	if p.perByte == 0 {
		p.perByte = now
	}
	p.perByte = (p.perByte + now) / 2
}

func (p *pace) fraction(bytes int64, elapsed time.Duration) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	per := p.perByte
	if per == 0 {
		per = firstGuess
	}
	return min(0.97, elapsed.Seconds()/(per*float64(max(bytes, 1))))
}
