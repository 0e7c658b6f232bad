package kernel

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Call is what one call brings to the kernel. It must not change between Begin
// and Reset.
type Call struct {
	Input []byte
	// Config are the values of Extism's config_get.
	Config map[string]string
	// Memory limits the sum of the guest's linear memory and the kernel's, in
	// bytes; 0 is no limit.
	Memory int64
	// Output limits the answer, in bytes; 0 is no limit.
	Output int64
	// LogBytes limits what is kept of each stream that the guest writes.
	LogBytes int
	// Deadline ends the call; zero is none. That of the context counts too.
	Deadline time.Time
	// Host answers a call of callboard_host. The request is nil where the
	// guest named no block, and is valid until Host returns. Nil refuses.
	Host func(ctx context.Context, request []byte) (answer []byte)
	// NoRoom is answered where the answer does not fit into the memory.
	NoRoom []byte

	// What the guest learns from outside. Nil is the real thing: the clocks of
	// the system, its sleep, and crypto/rand.
	Walltime func() (sec int64, nsec int32)
	Nanotime func() int64
	Sleep    func(time.Duration)
	Random   io.Reader

	// Log receives by Reset what the guest wrote: "stdout", "stderr" and "log"
	// (Extism's log functions). Nil drops it. The text is valid for the call.
	Log func(stream string, text []byte)
}

// State is the kernel of one sandbox. One call at a time uses it, between Begin
// and Reset. It is the context.Context of that call: what the guest calls finds
// it there.
type State struct {
	// Owner is whatever the sandbox wants its own host functions to find. It
	// survives Reset.
	Owner any

	ctx      context.Context
	call     *Call
	idle     *Call // between calls: refuses everything
	began    time.Time
	deadline time.Time
	timer    *time.Timer
	work     int // since the deadline was looked at

	mem                         memory
	input, inputLength          uint64
	output, outputLength, fault uint64
	wanted                      int64 // what the memory limit refused
	vars                        map[string][]byte
	varBytes                    int
	streams                     [3]stream
}

var _ context.Context = (*State)(nil)

// New returns a clean State.
func New() *State {
	idle := &Call{}
	s := &State{ctx: context.Background(), call: idle, idle: idle}
	s.mem.clear()
	return s
}

type stateKey struct{}

// Of returns the State that a context is or is derived from, or nil.
func Of(ctx context.Context) *State {
	if s, ok := ctx.(*State); ok {
		return s
	}
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// Deadline implements context.Context.
func (s *State) Deadline() (time.Time, bool) { return s.deadline, !s.deadline.IsZero() }

// Done implements context.Context.
func (s *State) Done() <-chan struct{} { return s.ctx.Done() }

// Err implements context.Context.
func (s *State) Err() error { return s.ctx.Err() }

// Value implements context.Context.
func (s *State) Value(key any) any {
	if _, ok := key.(stateKey); ok {
		return s
	}
	return s.ctx.Value(key)
}

// Begin starts a call: it puts the input into the kernel's memory. The State
// must be clean. The guest's own memory does not count yet.
func (s *State) Begin(ctx context.Context, c *Call) error {
	s.ctx, s.call, s.began = ctx, c, time.Now()
	s.deadline = c.Deadline
	if d, ok := ctx.Deadline(); ok && (s.deadline.IsZero() || d.Before(s.deadline)) {
		s.deadline = d
	}
	if len(c.Input) == 0 {
		return nil
	}
	if s.input = s.take(nil, len(c.Input)); s.input == 0 {
		return &Fault{Kind: Memory, Limit: c.Memory, Used: s.wanted}
	}
	s.inputLength = uint64(copy(s.mem.held(s.input), c.Input))
	return nil
}

// take allocates a block beside the memory of the guest, if there is one yet.
// It returns 0, and remembers what was asked for, if the call's limit refuses.
func (s *State) take(guest api.Module, n int) uint64 {
	beside := int64(0)
	if guest != nil {
		if m := guest.Memory(); m != nil {
			beside = int64(m.Size())
		}
	}
	at, wanted := s.mem.alloc(uint64(n), beside, s.call.Memory)
	if at == 0 && wanted > 0 {
		s.Refuse(wanted)
	}
	return at
}

// Refuse notes that the guest was refused memory, of which it wanted so many
// bytes in all. Whoever allocates its linear memory tells.
func (s *State) Refuse(total int64) { s.wanted = max(s.wanted, total) }

// Refused returns the largest sum of memory that was refused in this call, or 0.
func (s *State) Refused() int64 { return s.wanted }

// Bytes returns the size of the kernel's memory, which counts into the call's
// limit.
func (s *State) Bytes() int64 { return int64(s.mem.committed()) }

// Output returns the guest's answer; it is valid until Reset.
func (s *State) Output() []byte {
	b, _ := s.mem.span(s.output, s.outputLength)
	return b
}

// Failure returns the message with which the guest said that it failed
// (Extism's error_set), nil if it did not; it is valid until Reset.
func (s *State) Failure() []byte { return s.mem.held(s.fault) }

// Written returns what was kept of a stream so far, "stdout", "stderr" or
// "log"; it is valid until Reset.
func (s *State) Written(name string) []byte {
	for i := range s.streams {
		if streamNames[i] == name {
			return s.streams[i].kept
		}
	}
	return nil
}

// Stop returns nil, or the *Fault with which the call must end now: its time is
// over or it was given up.
func (s *State) Stop() error {
	if f := s.stop(); f != nil {
		return f
	}
	return nil
}

func (s *State) stop() *Fault {
	if !s.deadline.IsZero() {
		if now := time.Now(); !now.Before(s.deadline) {
			return &Fault{Kind: Deadline, Limit: int64(s.deadline.Sub(s.began)), Used: int64(now.Sub(s.began))}
		}
	}
	if err := s.ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			took := int64(time.Since(s.began))
			return &Fault{Kind: Deadline, Limit: took, Used: took}
		}
		return &Fault{Kind: Cancelled}
	}
	return nil
}

// lookAfter is how much work host functions do between two looks at the clock,
// in bytes moved or a like amount of work.
const lookAfter = 1 << 18

// effort counts work that the guest's fuel does not, and ends the call when its
// time is over.
func (s *State) effort(n int) {
	if s.work += n; s.work < lookAfter {
		return
	}
	s.work = 0
	if f := s.stop(); f != nil {
		panic(f)
	}
}

// Reset hands what the guest wrote to the call's Log and wipes everything that
// the call left, so that the State is as New returned it, but for the room that
// it keeps.
func (s *State) Reset() {
	for i := range s.streams {
		s.streams[i].flush(streamNames[i], s.call.Log)
	}
	s.mem.clear()
	s.input, s.inputLength, s.output, s.outputLength, s.fault, s.wanted, s.work = 0, 0, 0, 0, 0, 0, 0
	for _, v := range s.vars {
		clear(v)
	}
	clear(s.vars)
	s.varBytes = 0
	s.ctx, s.call = context.Background(), s.idle
	s.deadline, s.began = time.Time{}, time.Time{}
}
