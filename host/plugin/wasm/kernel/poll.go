package kernel

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Sizes and kinds of poll_oneoff's records (WASI snapshot-01, "subscription"
// and "event").
const (
	subscriptionSize = 48
	eventSize        = 32
	eventClock       = 0
	eventWrite       = 2
	flagAbsolute     = 1
)

// pollOneoff sleeps until the first of the clocks, which is how guests sleep.
// Descriptors are answered at once: no input will come.
func pollOneoff(s *State, m api.Memory, p []uint64) uint64 {
	n := uint64(uint32(p[2]))
	if n == 0 {
		return inval
	}
	if n*subscriptionSize > math.MaxUint32 {
		return fault
	}
	in, ok := m.Read(uint32(p[0]), uint32(n*subscriptionSize))
	if !ok {
		return fault
	}
	out, ok := m.Read(uint32(p[1]), uint32(n*eventSize))
	if !ok {
		return fault
	}
	var clocks readings
	wait, errno := s.soonest(in, &clocks)
	if errno != success {
		return errno
	}
	if wait > 0 {
		s.sleep(wait)
	}
	events := uint32(0)
	for at := 0; at < len(in); at += subscriptionSize {
		s.effort(64)
		sub := in[at : at+subscriptionSize]
		due, kind := s.due(sub, &clocks)
		errno := byte(success)
		switch {
		case kind == eventClock && due > wait:
			continue
		case kind != eventClock && binary.LittleEndian.Uint32(sub[16:]) > 2:
			errno = badf
		case kind == eventWrite:
			errno = notsup
		}
		// The event may lie on the subscriptions: take its word first.
		user := binary.LittleEndian.Uint64(sub)
		e := out[events*eventSize:][:eventSize]
		clear(e)
		binary.LittleEndian.PutUint64(e, user)
		e[8], e[10] = errno, kind
		events++
	}
	if !m.WriteUint32Le(uint32(p[3]), events) {
		return fault
	}
	return success
}

// soonest is when the first of the subscriptions is due.
func (s *State) soonest(in []byte, clocks *readings) (time.Duration, uint64) {
	wait := time.Duration(math.MaxInt64)
	for at := 0; at < len(in); at += subscriptionSize {
		s.effort(64)
		sub := in[at : at+subscriptionSize]
		due, kind := s.due(sub, clocks)
		if kind > eventWrite || kind == eventClock && binary.LittleEndian.Uint16(sub[40:]) > flagAbsolute {
			return 0, inval
		}
		wait = min(wait, due)
	}
	return wait, success
}

// readings are what the clocks said when a poll began.
type readings [2]struct {
	at    int64
	known bool
}

// read reads a clock once.
func (r *readings) read(s *State, clock uint32) (int64, bool) {
	if clock >= uint32(len(r)) {
		return 0, false
	}
	if c := &r[clock]; !c.known {
		c.at, c.known = s.now(clock)
	}
	return r[clock].at, true
}

// due is how long after the beginning of the poll a subscription is due, at
// most, and its kind.
func (s *State) due(sub []byte, clocks *readings) (time.Duration, byte) {
	kind := sub[8]
	if kind != eventClock {
		return 0, kind
	}
	timeout := binary.LittleEndian.Uint64(sub[24:])
	if binary.LittleEndian.Uint16(sub[40:])&flagAbsolute != 0 {
		now, ok := clocks.read(s, binary.LittleEndian.Uint32(sub[16:]))
		if !ok || timeout <= uint64(now) {
			return 0, kind
		}
		timeout -= uint64(now)
	}
	return time.Duration(min(timeout, math.MaxInt64)), kind
}

// sleep waits, but never beyond the end of the call.
func (s *State) sleep(d time.Duration) {
	if s.call.Sleep != nil {
		s.call.Sleep(d)
	} else {
		if !s.deadline.IsZero() {
			d = min(d, time.Until(s.deadline)+time.Microsecond)
		}
		if s.timer == nil {
			s.timer = time.NewTimer(d)
		} else {
			s.timer.Reset(d)
		}
		select {
		case <-s.timer.C:
		case <-s.ctx.Done():
			s.timer.Stop()
		}
	}
	if f := s.stop(); f != nil {
		panic(f)
	}
}
