package store

import (
	"context"
	"sync"

	"github.com/callboard-dev/callboard/host/store/driver"
)

// writers lets one writer of this process into each namespace at a time, so
// that the others wait here and not with a connection in their hands. The
// database does the same between processes.
type writers struct {
	mu    sync.Mutex
	turns map[driver.Scope]*turn
}

// turn is one namespace's queue; who counts it keeps it in the map.
type turn struct {
	slot  chan struct{}
	count int
}

// acquire waits for the turn of scope; release ends it.
func (w *writers) acquire(ctx context.Context, scope driver.Scope) (release func(), err error) {
	t := w.enter(scope)
	select {
	case t.slot <- struct{}{}:
		return func() { <-t.slot; w.leave(scope, t) }, nil
	case <-ctx.Done():
		w.leave(scope, t)
		return nil, ctx.Err()
	}
}

func (w *writers) enter(scope driver.Scope) *turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turns == nil {
		w.turns = make(map[driver.Scope]*turn)
	}
	t := w.turns[scope]
	if t == nil {
		t = &turn{slot: make(chan struct{}, 1)}
		w.turns[scope] = t
	}
	t.count++
	return t
}

func (w *writers) leave(scope driver.Scope, t *turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.count--; t.count == 0 {
		delete(w.turns, scope)
	}
}
