package sandbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// Take lends a sandbox, the one that was used last if there is one, as its
// memory is still in the processor's caches. It waits until ctx is done if all
// are lent and there may be no more. The caller calls Release.
func (c *Code) Take(ctx context.Context) (*Sandbox, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(c.idle); n > 0 {
		b := c.idle[n-1]
		c.idle[n-1] = nil
		c.idle = c.idle[:n-1]
		c.unused = min(c.unused, n-1)
		c.mu.Unlock()
		return b, nil
	}
	if c.open < c.settings.MaxBoxes {
		c.open++
		c.mu.Unlock()
		b, err := c.fresh(ctx)
		if err != nil {
			c.gone()
		}
		return b, err
	}
	turn := make(chan *Sandbox, 1)
	c.waiting = append(c.waiting, turn)
	c.mu.Unlock()
	select {
	case b := <-turn:
		return c.lent(ctx, b)
	case <-ctx.Done():
	}
	c.mu.Lock()
	at := slices.Index(c.waiting, turn)
	if at >= 0 {
		c.waiting = slices.Delete(c.waiting, at, at+1)
	}
	c.mu.Unlock()
	if at < 0 { // it came in the meantime
		if b := <-turn; b != nil {
			b.Release()
		} else {
			c.gone()
		}
	}
	return nil, ctx.Err()
}

// lent is what a caller makes of its turn: a sandbox, or nil for the right to
// make one.
func (c *Code) lent(ctx context.Context, b *Sandbox) (*Sandbox, error) {
	if b != nil {
		return b, nil
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		c.gone()
		return nil, ErrClosed
	}
	b, err := c.fresh(ctx)
	if err != nil {
		c.gone()
	}
	return b, err
}

// Release gives the sandbox back. One that could not be restored is closed.
func (b *Sandbox) Release() {
	c := b.code
	if b.dirty {
		_ = b.close() // there is nobody who could do something about it
		c.mu.Lock()
		c.lost++
		c.mu.Unlock()
		c.gone()
		return
	}
	b.rested = 0
	c.put(b, false)
}

// put makes a sandbox free: for whoever waits, or as the next one to be lent,
// or as the last.
func (c *Code) put(b *Sandbox, last bool) {
	c.mu.Lock()
	if len(c.waiting) > 0 {
		turn := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.mu.Unlock()
		turn <- b
		return
	}
	if c.closed {
		c.mu.Unlock()
		_ = b.close() // there is nobody who could do something about it
		c.gone()
		return
	}
	if last {
		c.idle = slices.Insert(c.idle, 0, b)
	} else {
		c.idle = append(c.idle, b)
	}
	if c.sweeper == nil {
		c.sweeper = time.AfterFunc(c.settings.IdleAfter, c.sweep)
	}
	c.mu.Unlock()
}

// gone notes that there is one sandbox less. Somebody who waits may make one.
func (c *Code) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 {
		turn := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		turn <- nil
		return
	}
	if c.open--; c.open == 0 && c.closed {
		close(c.empty)
	}
}

// sweep runs once in each period of IdleAfter while there are idle sandboxes.
// Those that nobody used since it ran last give their memory back, and are
// closed after some periods.
func (c *Code) sweep() {
	c.mu.Lock()
	// The first ones were used the longest ago.
	resting := slices.Clone(c.idle[:min(c.unused, len(c.idle))])
	c.idle = slices.Delete(c.idle, 0, len(resting))
	c.mu.Unlock()
	for _, b := range slices.Backward(resting) {
		c.rest(b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unused = len(c.idle)
	if len(c.idle) == 0 || c.closed {
		c.sweeper = nil
		return
	}
	c.sweeper.Reset(c.settings.IdleAfter)
}

// rest lets a sandbox that was idle for a period be idle for another one.
func (c *Code) rest(b *Sandbox) {
	b.rested++
	over := time.Duration(b.rested)*c.settings.IdleAfter >= c.settings.CloseAfter
	if over || b.rested == 1 && b.slim() != nil {
		_ = b.close() // there is nobody who could do something about it
		c.gone()
		return
	}
	c.put(b, true)
}

// slim gives back what a sandbox can do without while it is idle: its private
// pages, the stacks of its call engines, what the kernel's largest call needed.
func (b *Sandbox) slim() error {
	clear(b.doors)
	b.doors, b.running = b.doors[:0], nil
	b.state = kernel.New()
	b.state.Owner, b.memory.state = b, b.state
	return b.memory.purge()
}

// Size says how many sandboxes there are, how many of them are lent, and how
// many had to be thrown away so far because they could not be restored.
func (c *Code) Size() (open, lent int, lost int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.open - len(c.idle), c.lost
}

// Close waits for the calls that run, or for ctx, and frees everything. New
// calls get ErrClosed at once, those that wait for a sandbox are served.
func (c *Code) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		if c.open == 0 {
			close(c.empty)
		}
	}
	idle := c.idle
	c.idle, c.unused = nil, 0
	c.mu.Unlock()
	for _, b := range idle {
		_ = b.close() // there is nobody who could do something about it
		c.gone()
	}
	select {
	case <-c.empty:
	case <-ctx.Done():
		return ctx.Err()
	}
	return c.free(context.WithoutCancel(ctx))
}

// free is called once nobody uses the code.
func (c *Code) free(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.freed {
		return nil
	}
	c.freed = true
	return errors.Join(c.compiled.Close(ctx), c.resetter.close(), c.settings.Image.Close())
}
