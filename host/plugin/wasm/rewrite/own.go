package rewrite

// The functions that are added to a module, behind its own. They are few, so
// that the many places that call them stay small.
const (
	ownRefuel = iota // asks for fuel
	ownCopy          // memory.copy in pieces
	ownFill          // memory.fill in pieces
)

// Types of ours, behind those of the module.
const (
	typeYield = iota // (i64) -> i64
	typePlain        // () -> ()
	typeBulk         // (i32 i32 i32) -> ()
	typeCount
)

// bulkPiece is how many bytes a bulk operation moves between two looks. The
// first write to a mebibyte of fresh memory takes a tenth of a millisecond.
const bulkPiece = 1 << 20

// own returns the index of a function of ours in the module that is written.
func (m *Module) own(f uint32) uint32 { return uint32(len(m.functions)) + 1 + f }

// ownTypes returns the type of each of our functions. Those for bulk operations
// would not be valid without a memory, and are left out then.
func (m *Module) ownTypes() []uint32 {
	types := []uint32{typePlain, typeBulk, typeBulk}
	if len(m.memories) == 0 {
		types = types[:ownCopy]
	}
	for i := range types {
		types[i] += uint32(len(m.types))
	}
	return types
}

// ownFunctions writes our functions.
func (w *meter) ownFunctions(section []byte) []byte {
	for f := range w.m.ownTypes() {
		w.out = w.out[:0]
		switch f {
		case ownRefuel:
			w.refueler()
		case ownCopy:
			w.copier()
		case ownFill:
			w.filler()
		}
		section = appendBytes(section, w.out)
	}
	return section
}

func (w *meter) refueler() {
	w.op(0).global(opGlobalGet, w.fuel)
	w.index(opCall, uint32(w.m.imported)).global(opGlobalSet, w.fuel).op(opEnd)
}

// Locals of the functions for bulk operations.
const (
	localTo = iota
	localFrom
	localSize
)

// copier writes memory.copy in pieces, from the end that is not overwritten. As
// the operation itself does, it writes nothing if a part is out of bounds.
func (w *meter) copier() {
	w.op(0)
	w.outside(localTo).outside(localFrom).op(opI32Or, opIf, blockEmpty)
	w.bulk(bulkMemoryCopy, w.wholeSize).op(opReturn, opEnd)
	w.op(opBlock, blockEmpty, opLoop, blockEmpty)
	w.local(opLocalGet, localSize).i32(bulkPiece).op(opI32LeU, opBrIf, 1)
	w.local(opLocalGet, localTo).local(opLocalGet, localFrom).op(opI32LeU, opIf, blockEmpty)
	w.bulk(bulkMemoryCopy, w.pieceSize)
	w.move(localTo, localTo, opI32Add).move(localFrom, localFrom, opI32Add).move(localSize, localSize, opI32Sub)
	w.op(opElse)
	w.move(localSize, localSize, opI32Sub)
	w.local(opLocalGet, localTo).local(opLocalGet, localSize).op(opI32Add)
	w.local(opLocalGet, localFrom).local(opLocalGet, localSize).op(opI32Add)
	w.pieceSize()
	w.op(opBulk, bulkMemoryCopy, 0, 0, opEnd)
	w.look()
	w.op(opBr, 0, opEnd, opEnd)
	w.bulk(bulkMemoryCopy, w.wholeSize).op(opEnd)
}

// filler writes memory.fill in pieces.
func (w *meter) filler() {
	w.op(0)
	w.outside(localTo).op(opIf, blockEmpty)
	w.bulk(bulkMemoryFill, w.wholeSize).op(opReturn, opEnd)
	w.op(opBlock, blockEmpty, opLoop, blockEmpty)
	w.local(opLocalGet, localSize).i32(bulkPiece).op(opI32LeU, opBrIf, 1)
	w.bulk(bulkMemoryFill, w.pieceSize)
	w.move(localTo, localTo, opI32Add).move(localSize, localSize, opI32Sub)
	w.look()
	w.op(opBr, 0, opEnd, opEnd)
	w.bulk(bulkMemoryFill, w.wholeSize).op(opEnd)
}

// outside leaves whether the piece at a local reaches beyond the memory.
func (w *meter) outside(at uint32) *meter {
	w.local(opLocalGet, at).op(opI64ExtendI32U)
	w.local(opLocalGet, localSize).op(opI64ExtendI32U, opI64Add)
	return w.op(opMemorySize, 0, opI64ExtendI32U).i64(16).op(opI64Shl, opI64GtU)
}

func (w *meter) wholeSize() { w.local(opLocalGet, localSize) }

func (w *meter) pieceSize() { w.i32(bulkPiece) }

// bulk writes an operation on what the first two locals say.
func (w *meter) bulk(sub byte, size func()) *meter {
	w.local(opLocalGet, localTo).local(opLocalGet, localFrom)
	size()
	w.op(opBulk, sub, 0)
	if sub == bulkMemoryCopy {
		w.op(0)
	}
	return w
}

// move adds a piece to a local, or takes it away.
func (w *meter) move(to, from uint32, op byte) *meter {
	return w.local(opLocalGet, from).i32(bulkPiece).op(op).local(opLocalSet, to)
}

// op writes bytes.
func (w *meter) op(b ...byte) *meter {
	w.out = append(w.out, b...)
	return w
}

// index writes an instruction that names something.
func (w *meter) index(op byte, i uint32) *meter {
	w.out = appendU32(append(w.out, op), i)
	return w
}

func (w *meter) local(op byte, i uint32) *meter  { return w.index(op, i) }
func (w *meter) global(op byte, i uint32) *meter { return w.index(op, i) }

func (w *meter) i32(v int32) *meter {
	w.out = appendSigned(append(w.out, opI32Const), int64(v))
	return w
}

func (w *meter) i64(v int64) *meter {
	w.out = appendSigned(append(w.out, opI64Const), v)
	return w
}
