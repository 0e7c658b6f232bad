package kernel

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Error numbers of WASI preview 1 (snapshot-01, "errno").
const (
	success  = 0
	badf     = 8
	fault    = 21
	inval    = 28
	ioError  = 29
	nosys    = 52
	notsup   = 58
	spipe    = 70
	charFile = 2 // filetype character_device
)

// wasi are the functions of wasi_snapshot_preview1. Descriptors 0 to 2 exist
// and are character devices that cannot be changed; there are no others, so
// that no path leads anywhere.
func wasi() []function {
	list := []function{
		call("args_get", succeed, i32, i32), call("args_sizes_get", noneOf, i32, i32),
		call("environ_get", succeed, i32, i32), call("environ_sizes_get", noneOf, i32, i32),
		call("clock_res_get", clockRes, i32, i32), call("clock_time_get", clockTime, i32, i64, i32),
		call("fd_advise", badDescriptor, i32, i64, i64, i32), call("fd_allocate", badDescriptor, i32, i64, i64),
		call("fd_close", standard, i32), call("fd_datasync", standard, i32), call("fd_sync", standard, i32),
		call("fd_fdstat_get", fdStat, i32, i32), call("fd_fdstat_set_flags", standard, i32, i32),
		call("fd_fdstat_set_rights", standard, i32, i64, i64), call("fd_filestat_get", fileStat, i32, i32),
		call("fd_filestat_set_size", badDescriptor, i32, i64), call("fd_filestat_set_times", badDescriptor, i32, i64, i64, i32),
		call("fd_pread", badDescriptor, i32, i32, i32, i64, i32), call("fd_prestat_get", badDescriptor, i32, i32),
		call("fd_prestat_dir_name", badDescriptor, i32, i32, i32), call("fd_pwrite", badDescriptor, i32, i32, i32, i64, i32),
		call("fd_read", fdRead, i32, i32, i32, i32), call("fd_readdir", badDescriptor, i32, i32, i32, i64, i32),
		call("fd_renumber", badDescriptor, i32, i32), call("fd_seek", noSeek, i32, i64, i32, i32), call("fd_tell", noSeek, i32, i32),
		call("fd_write", fdWrite, i32, i32, i32, i32),
		call("path_create_directory", badDescriptor, i32, i32, i32), call("path_filestat_get", badDescriptor, i32, i32, i32, i32, i32),
		call("path_filestat_set_times", badDescriptor, i32, i32, i32, i32, i64, i64, i32),
		call("path_link", badDescriptor, i32, i32, i32, i32, i32, i32, i32),
		call("path_open", badDescriptor, i32, i32, i32, i32, i32, i64, i64, i32, i32),
		call("path_readlink", badDescriptor, i32, i32, i32, i32, i32, i32), call("path_remove_directory", badDescriptor, i32, i32, i32),
		call("path_rename", badDescriptor, i32, i32, i32, i32, i32, i32), call("path_symlink", badDescriptor, i32, i32, i32, i32, i32),
		call("path_unlink_file", badDescriptor, i32, i32, i32),
		call("poll_oneoff", pollOneoff, i32, i32, i32, i32), call("proc_raise", notServed, i32),
		call("random_get", randomGet, i32, i32), call("sched_yield", succeed),
		call("sock_accept", badDescriptor, i32, i32, i32), call("sock_recv", badDescriptor, i32, i32, i32, i32, i32, i32),
		call("sock_send", badDescriptor, i32, i32, i32, i32, i32), call("sock_shutdown", badDescriptor, i32, i32),
	}
	// An exit ends the call; the module stays open, and its sandbox is reset.
	return append(list, function{"proc_exit", []api.ValueType{i32}, nil, func(_ *State, _ api.Module, st []uint64) {
		panic(sys.NewExitError(uint32(st[0])))
	}})
}

// call makes a function that answers with an error number.
func call(name string, do func(s *State, m api.Memory, p []uint64) uint64, params ...api.ValueType) function {
	return function{name, params, []api.ValueType{i32}, func(s *State, guest api.Module, stack []uint64) {
		m := guest.Memory()
		if m == nil {
			panic(&Fault{Kind: Refused, What: name + " without a memory"})
		}
		errno := do(s, m, stack)
		stack[0] = errno
	}}
}

func succeed(*State, api.Memory, []uint64) uint64       { return success }
func badDescriptor(*State, api.Memory, []uint64) uint64 { return badf }
func notServed(*State, api.Memory, []uint64) uint64     { return nosys }

// standard succeeds, and does nothing, for the three descriptors that exist.
func standard(_ *State, _ api.Memory, p []uint64) uint64 {
	if uint32(p[0]) > 2 {
		return badf
	}
	return success
}

func noSeek(_ *State, _ api.Memory, p []uint64) uint64 {
	if uint32(p[0]) > 2 {
		return badf
	}
	return spipe
}

// noneOf answers that there are 0 strings of 0 bytes.
func noneOf(_ *State, m api.Memory, p []uint64) uint64 {
	if !m.WriteUint32Le(uint32(p[0]), 0) || !m.WriteUint32Le(uint32(p[1]), 0) {
		return fault
	}
	return success
}

// Clocks of WASI.
const (
	realtime  = 0
	monotonic = 1
)

// started is where the monotonic clock counts from. monotonicBase keeps it
// ahead of all that images of sandboxes were made with.
var started = time.Now()

const monotonicBase = int64(24 * time.Hour)

// now reads a clock in nanoseconds.
func (s *State) now(clock uint32) (int64, bool) {
	switch clock {
	case realtime:
		if s.call.Walltime == nil {
			return time.Now().UnixNano(), true
		}
		sec, nsec := s.call.Walltime()
		return sec*int64(time.Second) + int64(nsec), true
	case monotonic:
		if s.call.Nanotime == nil {
			return monotonicBase + int64(time.Since(started)), true
		}
		return s.call.Nanotime(), true
	}
	return 0, false
}

func clockTime(s *State, m api.Memory, p []uint64) uint64 {
	at, ok := s.now(uint32(p[0]))
	if !ok {
		return inval
	}
	if !m.WriteUint64Le(uint32(p[2]), uint64(at)) {
		return fault
	}
	return success
}

// Resolutions as wazero's WASI tells them.
func clockRes(_ *State, m api.Memory, p []uint64) uint64 {
	resolution := uint64(time.Microsecond)
	switch uint32(p[0]) {
	case realtime:
	case monotonic:
		resolution = 1
	default:
		return inval
	}
	if !m.WriteUint64Le(uint32(p[1]), resolution) {
		return fault
	}
	return success
}

// rightsIO are the rights to read, to write and to poll.
const rightsIO = 1<<1 | 1<<6 | 1<<27

func fdStat(_ *State, m api.Memory, p []uint64) uint64 {
	b, ok := m.Read(uint32(p[1]), 24)
	switch {
	case !ok:
		return fault
	case uint32(p[0]) > 2:
		return badf
	}
	clear(b)
	b[0] = charFile
	binary.LittleEndian.PutUint64(b[8:], rightsIO)
	return success
}

func fileStat(_ *State, m api.Memory, p []uint64) uint64 {
	b, ok := m.Read(uint32(p[1]), 64)
	switch {
	case !ok:
		return fault
	case uint32(p[0]) > 2:
		return badf
	}
	clear(b)
	b[16] = charFile
	return success
}

// fdRead answers that the standard input is at its end.
func fdRead(_ *State, m api.Memory, p []uint64) uint64 {
	if uint32(p[0]) != 0 {
		return badf
	}
	if !m.WriteUint32Le(uint32(p[3]), 0) {
		return fault
	}
	return success
}

func fdWrite(s *State, m api.Memory, p []uint64) uint64 {
	fd, vectors, count := uint32(p[0]), uint32(p[1]), uint64(uint32(p[2]))
	if fd != 1 && fd != 2 {
		return badf
	}
	table, ok := m.Read(vectors, uint32(min(count*8, 1<<32-1)))
	if !ok || count*8 > uint64(len(table)) {
		return fault
	}
	t := &s.streams[fd-1]
	total := uint64(0)
	for ; len(table) > 0; table = table[8:] {
		s.effort(32)
		b, ok := m.Read(binary.LittleEndian.Uint32(table), binary.LittleEndian.Uint32(table[4:]))
		if !ok {
			return fault
		}
		total += uint64(len(b))
		before := len(t.kept)
		t.write(b, s.call.LogBytes)
		if fd == 2 {
			s.effort(len(t.kept) - before)
			t.lastWords(len(t.kept) - before)
		}
	}
	if t.dying != "" && t.cut {
		panic(&Fault{Kind: t.dying})
	}
	if !m.WriteUint32Le(uint32(p[3]), uint32(total)) {
		return fault
	}
	return success
}

// randomAtOnce is how much randomness is drawn between two looks at the clock.
const randomAtOnce = 64 << 10

func randomGet(s *State, m api.Memory, p []uint64) uint64 {
	b, ok := m.Read(uint32(p[0]), uint32(p[1]))
	if !ok {
		return fault
	}
	source := s.call.Random
	if source == nil {
		source = rand.Reader
	}
	for len(b) > 0 {
		n := min(len(b), randomAtOnce)
		s.effort(4 * n)
		if _, err := io.ReadFull(source, b[:n]); err != nil {
			return ioError
		}
		b = b[n:]
	}
	return success
}
