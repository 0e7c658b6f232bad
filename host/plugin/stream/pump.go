package stream

import (
	"io"
	"sync"
	"time"
)

const (
	// pumpBytes is how much is read ahead of the guest at most: beyond it the
	// sender waits.
	pumpBytes = 1 << 20
	// pieceBytes is what a read waits for, for at most linger: connections give
	// a few kilobytes at a time, and a guest may make some hundred calls only.
	pieceBytes = 512 << 10
	linger     = 5 * time.Millisecond
)

// pump reads ahead of a guest, so that it gets large pieces where the sender is
// fast, and no piece late where the sender is slow.
type pump struct {
	source io.Reader

	mu      sync.Mutex
	moved   sync.Cond // something of what follows has changed
	buffer  []byte
	err     error
	reading bool // source.Read is running
	closed  bool
	done    chan struct{} // nil before the first Read; closed when run has ended
}

var (
	_ io.ReadCloser = (*pump)(nil)
	_ Aborter       = (*pump)(nil)
)

func newPump(source io.Reader) *pump {
	p := &pump{source: source}
	p.moved.L = &p.mu
	return p
}

// run reads until the source ends or the pump is closed.
func (p *pump) run() {
	defer close(p.done)
	chunk := make([]byte, 64<<10)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.err == nil && !p.closed {
		if len(p.buffer) >= pumpBytes {
			p.moved.Wait()
			continue
		}
		p.reading = true
		p.mu.Unlock()
		n, err := p.source.Read(chunk)
		p.mu.Lock()
		p.reading = false
		p.buffer, p.err = append(p.buffer, chunk[:n]...), err
		p.moved.Broadcast()
	}
}

// Read gives what has come so far; it waits for the first byte, and a moment
// for more.
func (p *pump) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		go p.run()
	}
	for len(p.buffer) == 0 && p.err == nil && !p.closed {
		p.moved.Wait()
	}
	late := false
	alarm := time.AfterFunc(linger, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		late = true
		p.moved.Broadcast()
	})
	defer alarm.Stop()
	for len(p.buffer) < min(len(b), pieceBytes) && p.err == nil && !p.closed && !late {
		p.moved.Wait()
	}
	if len(p.buffer) == 0 {
		if p.closed {
			return 0, io.ErrClosedPipe
		}
		return 0, p.err
	}
	n := copy(b, p.buffer)
	p.buffer = p.buffer[:copy(p.buffer, p.buffer[n:])]
	p.moved.Broadcast()
	return n, nil
}

// Abort makes a Read that waits return.
func (p *pump) Abort() {
	p.mu.Lock()
	p.closed = true
	reading := p.reading
	p.moved.Broadcast()
	p.mu.Unlock()
	if a, ok := p.source.(Aborter); ok && reading {
		a.Abort()
	}
}

// Close ends the reading; when it returns the source is not read any more.
func (p *pump) Close() error {
	p.Abort()
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done != nil {
		<-done
	}
	return nil
}
