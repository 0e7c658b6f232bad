package rewrite

import "errors"

// Opcodes that are looked at or written. Opcodes: WebAssembly core
// specification 2.0, appendix "Index of instructions", with threads.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opBulk         = 0xfc
	opVector       = 0xfd
	opAtomic       = 0xfe

	vectorConst = 12

	bulkMemoryInit = 8
	bulkDataDrop   = 9
	bulkMemoryCopy = 10
	bulkMemoryFill = 11
	bulkTableInit  = 12
	bulkElemDrop   = 13
	bulkTableCopy  = 14
	bulkTableGrow  = 15
	bulkTableSize  = 16
	bulkTableFill  = 17

	// blockEmpty is the type of a block without parameters and results.
	blockEmpty = 0x40
)

// instruction is one instruction of a function.
type instruction struct {
	op     byte
	sub    uint32 // second part of opcodes that have two
	index  uint32 // label, function, type, local or global
	second uint32 // table of call_indirect
	block  int64  // type of a block: negative for a type of values, else an index
	labels []uint32
	begin  int // where it stands in the function's code
	end    int
}

// bulk reports whether it moves as many things as the number on top of the
// stack says.
func (in *instruction) bulk() bool {
	if in.op != opBulk {
		return false
	}
	switch in.sub {
	case bulkMemoryInit, bulkMemoryCopy, bulkMemoryFill, bulkTableInit, bulkTableCopy, bulkTableGrow, bulkTableFill:
		return true
	}
	return false
}

// diverges reports whether what follows it, up to the next end or else, does
// not run.
func (in *instruction) diverges() bool {
	switch in.op {
	case opUnreachable, opBr, opBrTable, opReturn:
		return true
	}
	return false
}

// Kinds of immediates that follow an opcode.
const (
	immUnknown  = iota
	immNone     // nothing
	immIndex    // one number
	immTwo      // two numbers
	immBlock    // the type of a block
	immBranches // a vector of labels and a last one
	immSelect   // a vector of types of values
	immMemory   // alignment and offset
	immZero     // a zero: the index of the only memory
	immI32      // a signed number
	immI64
	immBytes1 // bytes
	immBytes4
	immBytes8
	immBytes16
	immLane // alignment, offset and a byte
)

var errInstruction = errors.New("it has an instruction that this host does not know")

// immediate returns what follows an opcode. Tail calls are unknown here: no
// look is taken when a function ends, and their targets are not called.
func immediate(op byte) int {
	switch {
	case op <= opNop, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
		return immNone
	case op >= opBlock && op <= opIf:
		return immBlock
	case op == opBr, op == opBrIf, op == opCall, op >= opLocalGet && op <= opTableSet, op == opRefFunc:
		return immIndex
	case op == opBrTable:
		return immBranches
	case op == opCallIndirect:
		return immTwo
	case op == 0x1c:
		return immSelect
	case op >= 0x28 && op <= 0x3e:
		return immMemory
	case op == opMemorySize, op == opMemoryGrow:
		return immZero
	case op == opI32Const:
		return immI32
	case op == opI64Const:
		return immI64
	case op == opF32Const:
		return immBytes4
	case op == opF64Const:
		return immBytes8
	case op == opRefNull:
		return immBytes1
	}
	return immUnknown
}

// prefixed is immediate for opcodes of two parts.
func prefixed(op byte, sub uint32) int {
	switch op {
	case opBulk:
		switch {
		case sub <= 7:
			return immNone
		case sub == bulkMemoryInit, sub == bulkMemoryCopy, sub == bulkTableInit, sub == bulkTableCopy:
			return immTwo
		case sub <= bulkTableFill:
			return immIndex
		}
	case opVector:
		switch {
		case sub <= 11, sub == 92, sub == 93:
			return immMemory
		case sub == vectorConst, sub == 13:
			return immBytes16
		case sub >= 21 && sub <= 34:
			return immBytes1
		case sub >= 84 && sub <= 91:
			return immLane
		case sub <= 255:
			return immNone
		}
	case opAtomic:
		switch {
		case sub == 3:
			return immBytes1
		case sub <= 2, sub >= 0x10 && sub <= 78:
			return immMemory
		}
	}
	return immUnknown
}

// next reads an instruction. labels is used again for the next one.
func (r *reader) next(in *instruction) error {
	*in = instruction{begin: r.at, labels: in.labels[:0]}
	var err error
	if in.op, err = r.byte(); err != nil {
		return err
	}
	kind := immediate(in.op)
	if in.op >= opBulk && in.op <= opAtomic {
		if in.sub, err = r.u32(); err != nil {
			return err
		}
		kind = prefixed(in.op, in.sub)
	}
	err = r.operand(in, kind)
	in.end = r.at
	return err
}

// operand reads what follows an opcode.
func (r *reader) operand(in *instruction, kind int) (err error) {
	switch kind {
	case immUnknown:
		return errInstruction
	case immIndex:
		in.index, err = r.u32()
	case immTwo:
		if in.index, err = r.u32(); err == nil {
			in.second, err = r.u32()
		}
	case immBlock:
		in.block, err = r.signed(33)
	case immBranches:
		return r.branches(in)
	case immSelect:
		_, err = r.bytes()
	case immMemory:
		err = r.memoryArgument()
	case immLane:
		if err = r.memoryArgument(); err == nil {
			_, err = r.byte()
		}
	case immZero:
		var b byte
		if b, err = r.byte(); err == nil && b != 0 {
			err = errInstruction
		}
	case immI32:
		_, err = r.signed(32)
	case immI64:
		_, err = r.signed(64)
	case immBytes1:
		_, err = r.byte()
	case immBytes4:
		_, err = r.take(4)
	case immBytes8:
		_, err = r.take(8)
	case immBytes16:
		_, err = r.take(16)
	}
	return err
}

// branches reads the labels of br_table.
func (r *reader) branches(in *instruction) error {
	n, err := r.vector()
	if err != nil {
		return err
	}
	for range n + 1 {
		label, err := r.u32()
		if err != nil {
			return err
		}
		in.labels = append(in.labels, label)
	}
	return nil
}

// memoryArgument reads alignment and offset; bit 6 of the alignment would say
// that a memory's index stands between them.
func (r *reader) memoryArgument() error {
	align, err := r.u32()
	if err != nil {
		return err
	}
	if align >= 32 {
		return errInstruction
	}
	_, err = r.u32()
	return err
}
