// Package breaker is what happens when a plugin fails: a circuit breaker rests
// an instance that fails too often and lets one call try whether it has
// recovered; a policy says what callers get meanwhile; and last good answers
// are kept for those who may be given one. It knows calls by their outcome
// alone.
package breaker

import (
	"cmp"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Settings of a Breaker. Zero fields take the defaults in brackets.
type Settings struct {
	// Window is over which time failures are counted (30 s).
	Window time.Duration
	// Least is how many calls the window must have seen (10), and Rate which
	// part of them must have failed (0.5), before the breaker opens.
	Least int
	Rate  float64
	// Rest is how long calls are refused then (5 s). It doubles each time that
	// the call after it fails too, up to MaxRest (1 min).
	Rest, MaxRest time.Duration
	// Opens is how often it may open (5) within a time (10 min) before the
	// instance should be quarantined.
	Opens  int
	Within time.Duration
}

func (s Settings) filled() Settings {
	s.Window, s.Rest, s.MaxRest = cmp.Or(s.Window, 30*time.Second), cmp.Or(s.Rest, 5*time.Second), cmp.Or(s.MaxRest, time.Minute)
	s.Least, s.Rate = cmp.Or(s.Least, 10), cmp.Or(s.Rate, 0.5)
	s.Opens, s.Within = cmp.Or(s.Opens, 5), cmp.Or(s.Within, 10*time.Minute)
	return s
}

// Phase is how a breaker stands.
type Phase string

// The phases.
const (
	Closed   Phase = "closed"    // calls run
	Open     Phase = "open"      // calls are refused
	HalfOpen Phase = "half-open" // one call tries
)

// Result is what came of a call.
type Result int

// The results.
const (
	// Unknown says nothing about the plugin: the caller went away, there was
	// no room.
	Unknown Result = iota
	Good
	Bad
)

// Event is what a call's result did to the breaker.
type Event int

// The events.
const (
	Nothing Event = iota
	Opened
	Recovered
	// Exhausted is Opened for the last time: the instance should be quarantined.
	Exhausted
)

// slices is into how many parts the window is divided: as parts, the oldest
// failures are forgotten.
const slices = 10

type slice struct {
	number    int64
	good, bad int
}

// Breaker is the circuit breaker of one instance. It is safe for concurrent
// use.
type Breaker struct {
	s Settings

	mu     sync.Mutex
	phase  Phase
	window [slices]slice
	rest   time.Duration
	until  time.Time
	since  time.Time
	trying bool
	opens  []time.Time
}

// New returns a closed breaker.
func New(s Settings) *Breaker {
	s = s.filled()
	return &Breaker{s: s, phase: Closed, rest: s.Rest}
}

// Pass is the right to call. Leave gives it back.
type Pass struct{ probe bool }

// Enter asks to call at a time. Its error is CodeUnavailable with RetryAfter.
func (b *Breaker) Enter(now time.Time) (Pass, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.phase == Closed:
		return Pass{}, nil
	case b.phase == Open && now.Before(b.until), b.trying:
		e := host.Errorf(host.CodeUnavailable, "it failed too often and rests")
		e.RetryAfter = max(time.Second, b.until.Sub(now).Truncate(time.Second)+time.Second)
		return Pass{}, e.WithHint("it is tried again in %d s; an admin finds the failures on the plugin's page", int(e.RetryAfter.Seconds()))
	}
	b.phase, b.trying = HalfOpen, true
	return Pass{probe: true}, nil
}

// Leave tells what came of the call.
func (b *Breaker) Leave(p Pass, now time.Time, r Result) Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.probe {
		return b.tried(now, r)
	}
	if b.phase != Closed || r == Unknown {
		return Nothing
	}
	b.count(now, r)
	good, bad := b.sum(now)
	if r == Good || good+bad < b.s.Least || float64(bad) < b.s.Rate*float64(good+bad) {
		return Nothing
	}
	return b.open(now)
}

// tried ends the call that tries; b.mu is held, as in everything below.
func (b *Breaker) tried(now time.Time, r Result) Event {
	b.trying = false
	switch r {
	case Good:
		b.close(now)
		return Recovered
	case Bad:
		b.rest = min(2*b.rest, b.s.MaxRest)
		return b.open(now)
	}
	b.phase, b.until = Open, now // the next call tries
	return Nothing
}

func (b *Breaker) open(now time.Time) Event {
	b.phase, b.since, b.until = Open, now, now.Add(b.rest)
	b.window = [slices]slice{}
	recent := b.opens[:0]
	for _, at := range b.opens {
		if now.Sub(at) < b.s.Within {
			recent = append(recent, at)
		}
	}
	b.opens = append(recent, now)
	if len(b.opens) >= b.s.Opens {
		b.opens = nil
		return Exhausted
	}
	return Opened
}

func (b *Breaker) close(now time.Time) {
	b.phase, b.since, b.rest, b.trying = Closed, now, b.s.Rest, false
	b.window = [slices]slice{}
}

func (b *Breaker) count(now time.Time, r Result) {
	number := now.UnixNano() / (int64(b.s.Window) / slices)
	s := &b.window[number%slices]
	if s.number != number {
		*s = slice{number: number}
	}
	if r == Good {
		s.good++
	} else {
		s.bad++
	}
}

func (b *Breaker) sum(now time.Time) (good, bad int) {
	number := now.UnixNano() / (int64(b.s.Window) / slices)
	for i := range b.window {
		if s := &b.window[i]; s.number > number-slices {
			good, bad = good+s.good, bad+s.bad
		}
	}
	return good, bad
}

// Reset closes the breaker and forgets all failures.
func (b *Breaker) Reset(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close(now)
	b.opens = nil
}

// Report is how a breaker stands, for people.
type Report struct {
	Phase Phase `json:"phase"`
	// Since is when the phase began; zero where it never opened.
	Since time.Time `json:"since,omitzero"`
	// Until is when the next call tries; zero unless open.
	Until time.Time `json:"until,omitzero"`
	// Calls and Failures are those of the window.
	Calls    int `json:"calls"`
	Failures int `json:"failures"`
	// Opens is how often it opened within Settings.Within.
	Opens int `json:"opens"`
}

// Report returns how the breaker stands.
func (b *Breaker) Report(now time.Time) Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	good, bad := b.sum(now)
	r := Report{Phase: b.phase, Since: b.since, Calls: good + bad, Failures: bad}
	if b.phase == Open {
		r.Until = b.until
	}
	for _, at := range b.opens {
		if now.Sub(at) < b.s.Within {
			r.Opens++
		}
	}
	return r
}
