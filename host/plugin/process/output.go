package process

import (
	"bytes"
	"sync"
)

// scroll keeps the end of what a program wrote.
type scroll struct {
	mu   sync.Mutex
	kept []byte
}

// maxScroll is how much is kept: the last words of a Go program come before a
// list of its goroutines, so the end alone would not do; the first line that
// looks like last words is kept, too.
const maxScroll = 64 << 10

// Write keeps the beginning of a line of last words and all after it as far as
// there is room.
func (s *scroll) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := maxScroll - len(s.kept); room < len(p) && !dying(s.kept) {
		s.kept = append(s.kept[:0], s.kept[min(len(s.kept), len(s.kept)/2):]...)
	}
	if room := maxScroll - len(s.kept); room > 0 {
		s.kept = append(s.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// dying reports whether last words are among what was kept.
func dying(kept []byte) bool {
	return bytes.Contains(kept, []byte(panicked)) || bytes.Contains(kept, []byte(fatalError))
}

func (s *scroll) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.kept)
}

// outlet hands what a process writes to the log of the call that came last: the
// process is one tenant's, and nothing tells which of its calls wrote. Each
// call adds its limit to what may still be written.
type outlet struct {
	mu   sync.Mutex
	log  func(stream string, text []byte)
	left int
}

// maxLeft is how many calls' limits may add up.
const maxLeft = 4

func (o *outlet) open(log func(stream string, text []byte), limit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log, o.left = log, min(o.left+limit, maxLeft*limit)
}

// stream returns a writer of one of the process's streams.
func (o *outlet) stream(name string, also ...*scroll) *spout {
	return &spout{outlet: o, name: name, also: also}
}

func (o *outlet) write(stream string, text []byte) {
	o.mu.Lock()
	log := o.log
	text = text[:min(len(text), o.left)]
	o.left -= len(text)
	o.mu.Unlock()
	if log != nil && len(text) > 0 {
		log(stream, bytes.Clone(text))
	}
}

// spout writes whole lines, or what has come together.
type spout struct {
	outlet *outlet
	name   string
	also   []*scroll
	mu     sync.Mutex
	held   []byte
}

// maxHeld is how long a line may get before it is handed on in parts.
const maxHeld = 4 << 10

// Write never fails: a full log must not stop a program.
func (s *spout) Write(p []byte) (int, error) {
	for _, a := range s.also {
		_, _ = a.Write(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, p...)
	end := bytes.LastIndexByte(s.held, '\n') + 1
	if end == 0 && len(s.held) >= maxHeld {
		end = len(s.held)
	}
	if end > 0 {
		s.outlet.write(s.name, s.held[:end])
		s.held = append(s.held[:0], s.held[end:]...)
	}
	return len(p), nil
}
