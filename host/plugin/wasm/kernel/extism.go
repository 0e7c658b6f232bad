package kernel

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"

	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// Extism's limit of all variables of a plugin, and what it counts for one
// beside its name and value (go-sdk, host.go, varSet).
const (
	maxVars  = 1 << 20
	varExtra = 40
)

// levelInfo is Extism's number for the level info: guests need not format what
// is below.
const levelInfo = 2

// extism are the functions of extism:host/env. An offset is an address in the
// kernel's memory, never one in the guest's. Bad offsets read as zero and are
// not written, as with Extism's kernel.
func extism() []function {
	one, none := []api.ValueType{i64}, []api.ValueType(nil)
	two := []api.ValueType{i64, i64}
	list := []function{
		{"alloc", one, one, alloc},
		{"free", one, none, func(s *State, _ api.Module, st []uint64) { s.release(st[0]) }},
		{"length", one, one, func(s *State, _ api.Module, st []uint64) { st[0] = uint64(len(s.mem.held(st[0]))) }},
		{"length_unsafe", one, one, func(s *State, _ api.Module, st []uint64) { st[0] = uint64(len(s.mem.held(st[0]))) }},
		{"load_u8", one, []api.ValueType{i32}, func(s *State, _ api.Module, st []uint64) { st[0] = s.load8(st[0]) }},
		{"load_u64", one, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.load64(st[0]) }},
		{"store_u8", []api.ValueType{i64, i32}, none, store8},
		{"store_u64", two, none, store64},
		{"input_set", two, none, inputSet},
		{"input_length", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.inputLength }},
		{"input_offset", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.input }},
		{"input_load_u8", one, []api.ValueType{i32}, inputLoad8},
		{"input_load_u64", one, one, inputLoad64},
		{"output_set", two, none, outputSet},
		{"output_length", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.outputLength }},
		{"output_offset", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.output }},
		{"error_set", one, none, errorSet},
		{"error_get", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.fault }},
		{"reset", none, none, func(s *State, _ api.Module, _ []uint64) { s.forget() }},
		{"memory_bytes", none, one, func(s *State, _ api.Module, st []uint64) { st[0] = s.mem.length }},
		{"config_get", one, one, configGet},
		{"var_get", one, one, varGet},
		{"var_set", two, none, varSet},
		{"get_log_level", none, []api.ValueType{i32}, func(_ *State, _ api.Module, st []uint64) { st[0] = levelInfo }},
		{"http_request", two, one, refused("http_request of " + ModuleExtism)},
		{"http_status_code", none, []api.ValueType{i32}, refused("http_status_code of " + ModuleExtism)},
		{"http_headers", none, one, refused("http_headers of " + ModuleExtism)},
	}
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		list = append(list, function{"log_" + level, one, none, logAs(level)})
	}
	return list
}

func refused(what string) func(*State, api.Module, []uint64) {
	return func(*State, api.Module, []uint64) { panic(&Fault{Kind: Refused, What: what}) }
}

func alloc(s *State, guest api.Module, stack []uint64) {
	s.effort(int(min(stack[0], lookAfter)) + 16*min(s.mem.free, maxSearch))
	stack[0] = s.take(guest, int(min(stack[0], 1<<40)))
}

func (s *State) release(at uint64) {
	if s.mem.release(at) && at == s.input {
		s.inputLength = 0
	}
}

// forget is Extism's reset: all blocks go, memory stays as large as it was.
func (s *State) forget() {
	s.effort(int(s.mem.top))
	length := s.mem.length
	s.mem.clear()
	s.mem.length = length
	s.input, s.inputLength, s.output, s.outputLength, s.fault = 0, 0, 0, 0, 0
}

func (s *State) load8(at uint64) uint64 {
	if b, ok := s.mem.span(at, 1); ok {
		return uint64(b[0])
	}
	return 0
}

func (s *State) load64(at uint64) uint64 {
	if b, ok := s.mem.span(at, 8); ok {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func store8(s *State, _ api.Module, stack []uint64) {
	if b, ok := s.mem.span(stack[0], 1); ok {
		b[0] = byte(stack[1])
	}
}

func store64(s *State, _ api.Module, stack []uint64) {
	if b, ok := s.mem.span(stack[0], 8); ok {
		binary.LittleEndian.PutUint64(b, stack[1])
	}
}

func inputLoad8(s *State, _ api.Module, stack []uint64) {
	if at := stack[0]; at < s.inputLength {
		stack[0] = s.load8(s.input + at)
		return
	}
	stack[0] = 0
}

func inputLoad64(s *State, _ api.Module, stack []uint64) {
	if at := stack[0]; at < s.inputLength && s.inputLength-at >= 8 {
		stack[0] = s.load64(s.input + at)
		return
	}
	stack[0] = 0
}

func inputSet(s *State, _ api.Module, stack []uint64) {
	if _, ok := s.mem.span(stack[0], stack[1]); ok {
		s.input, s.inputLength = stack[0], stack[1]
	}
}

func outputSet(s *State, _ api.Module, stack []uint64) {
	if limit := s.call.Output; limit > 0 && stack[1] > uint64(limit) {
		panic(&Fault{Kind: Output, Limit: limit, Used: int64(min(stack[1], 1<<40))})
	}
	if _, ok := s.mem.span(stack[0], stack[1]); ok {
		s.output, s.outputLength = stack[0], stack[1]
	}
}

func errorSet(s *State, _ api.Module, stack []uint64) {
	if at := stack[0]; at == 0 || at >= first && at-first < s.mem.length {
		s.fault = at
	}
}

// give puts bytes into a block of their own; 0 if there is no room.
func (s *State) give(guest api.Module, b []byte) uint64 {
	s.effort(len(b))
	at := s.take(guest, len(b))
	if at != 0 {
		copy(s.mem.held(at), b)
	}
	return at
}

func configGet(s *State, guest api.Module, stack []uint64) {
	name := s.mem.held(stack[0])
	s.effort(len(name))
	value, ok := s.call.Config[string(name)]
	if !ok {
		stack[0] = 0
		return
	}
	stack[0] = s.give(guest, []byte(value))
}

func varGet(s *State, guest api.Module, stack []uint64) {
	name := s.mem.held(stack[0])
	s.effort(len(name))
	value, ok := s.vars[string(name)]
	s.release(stack[0])
	if !ok {
		stack[0] = 0
		return
	}
	stack[0] = s.give(guest, value)
}

func varSet(s *State, _ api.Module, stack []uint64) {
	at, from := stack[0], stack[1]
	name, value := s.mem.held(at), s.mem.held(from)
	s.effort(len(name) + len(value))
	old, had := s.vars[string(name)]
	size := s.varBytes
	if had {
		size -= len(name) + len(old) + varExtra
	}
	if from != 0 {
		size += len(name) + len(value) + varExtra
		if size >= maxVars {
			panic(&Fault{Kind: Memory, Limit: maxVars, Used: int64(size)})
		}
	}
	clear(old)
	switch {
	case from == 0:
		delete(s.vars, string(name))
	default:
		if s.vars == nil {
			s.vars = map[string][]byte{}
		}
		s.vars[string(name)] = append([]byte(nil), value...)
	}
	s.varBytes = size
	s.release(at)
	s.release(from)
}

// logAs writes a message with its level to the stream "log".
func logAs(level string) func(*State, api.Module, []uint64) {
	prefix, newline := []byte(level+": "), []byte("\n")
	return func(s *State, _ api.Module, stack []uint64) {
		text := s.mem.held(stack[0])
		s.effort(len(text) + 64)
		t := &s.streams[logged]
		t.write(prefix, s.call.LogBytes)
		t.write(text, s.call.LogBytes)
		t.write(newline, s.call.LogBytes)
		s.release(stack[0])
	}
}

// user is the one function of extism:host/user.
func user() []function {
	return []function{{pluginv1.HostFunction, []api.ValueType{i64}, []api.ValueType{i64}, callboardHost}}
}

// callboardHost hands a block to the call's Host and the guest the block of the
// answer; 0 where the memory has not even room for a refusal.
func callboardHost(s *State, guest api.Module, stack []uint64) {
	if f := s.stop(); f != nil {
		panic(f)
	}
	if s.call.Host == nil {
		panic(&Fault{Kind: Refused, What: pluginv1.HostFunction})
	}
	answer := s.call.Host(s.ctx, s.mem.held(stack[0]))
	if f := s.stop(); f != nil {
		panic(f)
	}
	at := s.give(guest, answer)
	if at == 0 && len(answer) > 0 {
		at = s.give(guest, s.call.NoRoom)
	}
	stack[0] = at
}
