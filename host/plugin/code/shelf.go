package code

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Settings of a Shelf.
type Settings[M Module] struct {
	// Compilers is how many compilations run at a time (1).
	Compilers int
	// Budget is how much memory loaded code may take, in bytes; 0 means no
	// bound. Code that calls use is never unloaded, so it may be exceeded.
	Budget int64
	// Size says how much memory a loaded module takes.
	Size func(M) int64
}

// Shelf holds the code of all releases in this process.
type Shelf[M Module] struct {
	gate   chan struct{}
	pace   pace
	budget int64
	size   func(M) int64

	mu  sync.Mutex
	all map[*Code[M]]struct{}
}

// NewShelf returns an empty shelf.
func NewShelf[M Module](s Settings[M]) *Shelf[M] {
	size := s.Size
	if size == nil {
		size = func(M) int64 { return 0 }
	}
	return &Shelf[M]{gate: make(chan struct{}, max(1, s.Compilers)), budget: s.Budget, size: size, all: map[*Code[M]]struct{}{}}
}

// Add puts up the code of a release, not loaded yet.
func (s *Shelf[M]) Add(from Source[M]) *Code[M] {
	c := &Code[M]{from: from, shelf: s}
	s.mu.Lock()
	s.all[c] = struct{}{}
	s.mu.Unlock()
	return c
}

func (s *Shelf[M]) remove(c *Code[M]) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
}

// Rest unloads code that was last used before then, and returns how many
// releases it was.
func (s *Shelf[M]) Rest(then time.Time) int {
	var resting []M
	for _, c := range s.list() {
		c.mu.Lock()
		if m, ok := c.unload(c.used.Before(then)); ok {
			resting = append(resting, m)
		}
		c.mu.Unlock()
	}
	if len(resting) > 0 {
		go closeAll(resting)
	}
	return len(resting)
}

// Held returns how many releases are loaded and how much memory they take.
func (s *Shelf[M]) Held() (releases int, bytes int64) {
	for _, c := range s.list() {
		c.mu.Lock()
		if c.loaded {
			releases++
			bytes += c.size
		}
		c.mu.Unlock()
	}
	return releases, bytes
}

// fit unloads idle code, the one that was not used for longest first, until
// the budget is kept. What was loaded just now stays.
func (s *Shelf[M]) fit(fresh *Code[M]) {
	if s.budget <= 0 {
		return
	}
	_, held := s.Held()
	if held <= s.budget {
		return
	}
	type idle struct {
		code *Code[M]
		used time.Time
	}
	var list []idle
	for _, c := range s.list() {
		c.mu.Lock()
		if c != fresh && c.loaded && c.lent == 0 {
			list = append(list, idle{c, c.used})
		}
		c.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b idle) int { return a.used.Compare(b.used) })
	var drop []M
	for _, i := range list {
		if held <= s.budget {
			break
		}
		i.code.mu.Lock()
		size := i.code.size
		if m, ok := i.code.unload(true); ok {
			drop, held = append(drop, m), held-size
		}
		i.code.mu.Unlock()
	}
	if len(drop) > 0 {
		go closeAll(drop)
	}
}

func (s *Shelf[M]) list() []*Code[M] {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Code[M], 0, len(s.all))
	for c := range s.all {
		out = append(out, c)
	}
	return out
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
	p.perByte = (cmp.Or(p.perByte, now) + now) / 2
}

func (p *pace) fraction(bytes int64, elapsed time.Duration) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(0.97, elapsed.Seconds()/(cmp.Or(p.perByte, firstGuess)*float64(max(bytes, 1))))
}
