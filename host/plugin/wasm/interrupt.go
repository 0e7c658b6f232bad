package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The engine looks whether a call must end at the head of each loop and
// nowhere else. Code that recurses, or calls ever more functions, without a
// loop is never looked at: it holds its thread, and at the next garbage
// collection the whole host, for as long as it likes. So loops that do nothing
// are put where they are needed: at the start of every function that can keep
// a thread busy, and between bulk operations. Functions whose first branch is
// a loop anyway, as the Go compiler makes them, stay as they are.

const sectionCode = 10

const (
	// shortLeaf is the size of a function, in bytes, below which one that
	// calls nothing needs no look: it ends in microseconds.
	shortLeaf = 1 << 10
	// bulkBetween is how many bulk operations (each may move all of the
	// memory) go by without a look.
	bulkBetween = 8
	// maxBranches and maxBulk bound one function: the compiler's work grows
	// with their square. Compilers of languages stay far below.
	maxBranches = 20_000
	maxBulk     = 1_000
	// maxEffort bounds a module: the sum of the squares of its functions'
	// branches. It is about half a minute of compiling; a Go guest of 10 MB
	// needs a tenth of it.
	maxEffort = 1_000_000_000
)

// pause is a loop that does nothing: loop, no result, end.
var pause = [...]byte{0x03, 0x40, 0x0b}

// interruptible returns code that looks often enough whether its call must
// end. The code's meaning stays the same.
func interruptible(code []byte) ([]byte, error) {
	return rewritten(code, sectionCode, interruptibleFunctions)
}

// rewritten returns code with other contents of its sections of one kind.
func rewritten(code []byte, section byte, with func(body []byte) ([]byte, error)) ([]byte, error) {
	out := slices.Clone(code[:8])
	r := &reader{code[8:]}
	for len(r.b) > 0 {
		id, err := r.byte()
		if err != nil {
			return nil, err
		}
		body, err := r.bytes()
		if err != nil {
			return nil, err
		}
		if id == section {
			if body, err = with(body); err != nil {
				return nil, err
			}
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

func interruptibleFunctions(section []byte) ([]byte, error) {
	r := &reader{section}
	n, err := r.u32()
	if err != nil {
		return nil, err
	}
	out := binary.AppendUvarint(nil, uint64(n))
	effort := 0
	for i := range n {
		body, err := r.bytes()
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		body, branches, err := interruptibleFunction(body)
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		if effort += branches * branches; effort > maxEffort {
			return nil, errors.New("its functions have so many branches that compiling them would take minutes")
		}
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// interruptibleFunction puts pauses into one function: its locals, then its
// instructions. It returns how many branches the function has.
func interruptibleFunction(body []byte) (out []byte, branches int, err error) {
	r := &reader{body}
	groups, err := r.u32()
	if err != nil {
		return nil, 0, err
	}
	for range groups {
		if _, err := r.u32(); err != nil {
			return nil, 0, err
		}
		if err := r.skip(1); err != nil {
			return nil, 0, err
		}
	}
	locals := len(body) - len(r.b)
	scan, err := scanInstructions(r.b)
	if err != nil {
		return nil, 0, err
	}
	if scan.branches > maxBranches || len(scan.bulk) > maxBulk {
		return nil, 0, fmt.Errorf("it has %d branches and %d bulk operations, at most %d and %d are compiled",
			scan.branches, len(scan.bulk), maxBranches, maxBulk)
	}
	if !scan.needed(len(r.b)) && len(scan.bulk) <= bulkBetween {
		return body, scan.branches, nil
	}
	out = slices.Clone(body[:locals])
	if scan.needed(len(r.b)) {
		out = append(out, pause[:]...)
	}
	done := 0
	for i := bulkBetween; i < len(scan.bulk); i += bulkBetween {
		out = append(out, r.b[done:scan.bulk[i]]...)
		out = append(out, pause[:]...)
		done = scan.bulk[i]
	}
	return append(out, r.b[done:]...), scan.branches, nil
}

// scan is what matters of a function's instructions.
type scan struct {
	calls bool
	loops bool  // a loop is met before anything else can happen
	bulk  []int // where bulk operations begin
	// branches counts what makes the compiler's graph larger.
	branches int
}

// needed reports whether the function must begin with a pause.
func (s scan) needed(size int) bool {
	return !s.loops && (s.calls || len(s.bulk) > 0 || size > shortLeaf)
}

// Kinds of immediates that follow an instruction's opcode.
const (
	immNone      = iota
	immU32       // one LEB128
	immTwo       // two LEB128
	immMemory    // alignment (with a memory's index, perhaps) and offset
	immByte      // one byte
	immBytes4    // four bytes
	immBytes8    // eight bytes
	immBytes16   // sixteen bytes
	immBranches  // a vector of labels and a last one
	immSelect    // a vector of value types
	immMemoryOne // memory and one byte
)

var errInstruction = errors.New("it has an instruction that this host does not know")

// scanInstructions reads a function's instructions once.
func scanInstructions(b []byte) (scan, error) {
	var s scan
	r := &reader{b}
	straight := true
	for len(r.b) > 0 {
		at := len(b) - len(r.b)
		op, err := r.byte()
		if err != nil {
			return s, err
		}
		imm, bulk, err := r.immediate(op)
		if err != nil {
			return s, err
		}
		if err := r.skipImmediate(imm); err != nil {
			return s, err
		}
		switch {
		case bulk:
			s.bulk = append(s.bulk, at)
		case op >= 0x10 && op <= 0x13:
			s.calls = true
		case op == 0x03 && straight:
			s.loops = true
		}
		if op >= 0x02 && op <= 0x0e {
			s.branches++
		}
		// After anything that can leave the straight way, a loop may be
		// jumped over. A block's begin cannot.
		if op != 0x02 && op != 0x01 && (op <= 0x13 || bulk) {
			straight = false
		}
	}
	return s, nil
}

// immediate returns what follows an opcode, and whether the instruction is a
// bulk operation. Opcodes: WebAssembly core specification 2.0, appendix
// "Index of instructions", with tail calls and threads.
func (r *reader) immediate(op byte) (imm int, bulk bool, err error) {
	switch {
	case op <= 0x01, op == 0x05, op == 0x0b, op == 0x0f, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
		return immNone, false, nil
	case op >= 0x02 && op <= 0x04, op == 0x0c, op == 0x0d, op == 0x10, op == 0x12, op >= 0x20 && op <= 0x26,
		op == 0x3f, op == 0x40, op == 0x41, op == 0x42, op == 0xd0, op == 0xd2:
		return immU32, false, nil
	case op == 0x0e:
		return immBranches, false, nil
	case op == 0x11, op == 0x13:
		return immTwo, false, nil
	case op == 0x1c:
		return immSelect, false, nil
	case op >= 0x28 && op <= 0x3e:
		return immMemory, false, nil
	case op == 0x43:
		return immBytes4, false, nil
	case op == 0x44:
		return immBytes8, false, nil
	case op >= 0xfc && op <= 0xfe:
		sub, err := r.u32()
		if err != nil {
			return 0, false, err
		}
		return prefixed(op, sub)
	}
	return 0, false, errInstruction
}

// prefixed is immediate for opcodes of two parts.
func prefixed(op byte, sub uint32) (imm int, bulk bool, err error) {
	switch {
	case op == 0xfc && sub <= 7:
		return immNone, false, nil
	case op == 0xfc && (sub == 8 || sub == 10 || sub == 12 || sub == 14):
		return immTwo, true, nil
	case op == 0xfc && (sub == 11 || sub == 15 || sub == 17):
		return immU32, true, nil
	case op == 0xfc && (sub == 9 || sub == 13 || sub == 16):
		return immU32, false, nil
	case op == 0xfd && (sub <= 11 || sub == 92 || sub == 93):
		return immMemory, false, nil
	case op == 0xfd && (sub == 12 || sub == 13):
		return immBytes16, false, nil
	case op == 0xfd && sub >= 21 && sub <= 34:
		return immByte, false, nil
	case op == 0xfd && sub >= 84 && sub <= 91:
		return immMemoryOne, false, nil
	case op == 0xfd && sub <= 275:
		return immNone, false, nil
	case op == 0xfe && sub == 3:
		return immByte, false, nil
	case op == 0xfe && sub <= 78:
		return immMemory, false, nil
	}
	return 0, false, errInstruction
}

// skipImmediate goes past an immediate.
func (r *reader) skipImmediate(imm int) error {
	switch imm {
	case immU32:
		return r.leb(1)
	case immTwo:
		return r.leb(2)
	case immMemory, immMemoryOne:
		if err := r.memoryArgument(); err != nil || imm == immMemory {
			return err
		}
		return r.skip(1)
	case immByte:
		return r.skip(1)
	case immBytes4:
		return r.skip(4)
	case immBytes8:
		return r.skip(8)
	case immBytes16:
		return r.skip(16)
	case immBranches:
		n, err := r.u32()
		if err != nil {
			return err
		}
		if int64(n) > int64(len(r.b)) {
			return errCut
		}
		return r.leb(int(n) + 1)
	case immSelect:
		n, err := r.u32()
		if err != nil {
			return err
		}
		return r.skip(int(min(n, 1<<20)))
	}
	return nil
}

// leb goes past n LEB128 numbers, signed or not, of up to ten bytes.
func (r *reader) leb(n int) error {
	for range n {
		length := 0
		for {
			b, err := r.byte()
			if err != nil {
				return err
			}
			if length++; length > 10 {
				return errCut
			}
			if b < 0x80 {
				break
			}
		}
	}
	return nil
}

// memoryArgument goes past alignment and offset; bit 6 of the alignment says
// that a memory's index stands between them.
func (r *reader) memoryArgument() error {
	align, err := r.u32()
	if err != nil {
		return err
	}
	if align&(1<<6) != 0 {
		return r.leb(2)
	}
	return r.leb(1)
}
