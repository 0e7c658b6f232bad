package wasm

import (
	"cmp"
	"encoding/binary"
	"slices"
)

const (
	sectionData      = 11
	sectionDataCount = 12

	// gap is how many zero bytes two pieces of data may have between them to
	// become one; a piece of its own costs more.
	gap = 256
	// maxPiece keeps pieces in sizes that fit memory well.
	maxPiece = 4 << 20
)

// mergeData joins the pieces of a module's initial memory that lie side by
// side. Go's linker writes tens of thousands of them, and every instance copies
// each on its own; joined, a new instance takes a fraction of the time. The
// memory that results is the same byte for byte, so a module whose pieces
// cannot be joined safely (overlapping, passive, computed) is
// returned as it is.
func mergeData(code []byte) []byte {
	r := &reader{code[8:]}
	for len(r.b) > 0 {
		begin := len(code) - len(r.b)
		id, err := r.byte()
		if err != nil {
			return code
		}
		body, err := r.bytes()
		if err != nil || id == sectionDataCount {
			// Code that counts its data may also drop or copy it by number.
			return code
		}
		if id != sectionData {
			continue
		}
		merged, ok := mergePieces(body)
		if !ok {
			return code
		}
		end := len(code) - len(r.b)
		out := make([]byte, 0, len(code)+len(merged)-len(body))
		out = append(out, code[:begin]...)
		out = append(out, sectionData)
		out = binary.AppendUvarint(out, uint64(len(merged)))
		out = append(out, merged...)
		return append(out, code[end:]...)
	}
	return code
}

// piece is one active data segment of memory 0.
type piece struct {
	at   uint32
	data []byte
}

func mergePieces(body []byte) ([]byte, bool) {
	r := &reader{body}
	n, err := r.u32()
	if err != nil || n > 1_000_000 {
		return nil, false
	}
	pieces := make([]piece, 0, min(n, 100_000))
	for range n {
		p, ok := r.piece()
		if !ok {
			return nil, false
		}
		pieces = append(pieces, p)
	}
	// Pieces that do not overlap may be written in any order.
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.at, b.at) })
	var out []piece
	for _, p := range pieces {
		if len(out) == 0 {
			out = append(out, piece{p.at, slices.Clone(p.data)})
			continue
		}
		last := &out[len(out)-1]
		end := uint64(last.at) + uint64(len(last.data))
		if uint64(p.at) < end {
			return nil, false
		}
		between := uint64(p.at) - end
		if between > gap || len(last.data)+len(p.data) > maxPiece {
			out = append(out, piece{p.at, slices.Clone(p.data)})
			continue
		}
		last.data = append(append(last.data, make([]byte, between)...), p.data...)
	}
	return encodePieces(out), len(r.b) == 0
}

// piece reads a segment of the form: kind 0, i32.const, end, bytes.
func (r *reader) piece() (piece, bool) {
	kind, err := r.u32()
	if err != nil || kind != 0 {
		return piece{}, false
	}
	if op, err := r.byte(); err != nil || op != 0x41 {
		return piece{}, false
	}
	at, ok := r.signed()
	if !ok {
		return piece{}, false
	}
	if end, err := r.byte(); err != nil || end != 0x0b {
		return piece{}, false
	}
	data, err := r.bytes()
	return piece{uint32(at), data}, err == nil
}

// signed reads a signed LEB128 of 32 bits.
func (r *reader) signed() (int32, bool) {
	var v int64
	for shift := uint(0); shift < 35; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, false
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			if b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return int32(v), v >= -1<<31 && v < 1<<31
		}
	}
	return 0, false
}

func encodePieces(pieces []piece) []byte {
	out := binary.AppendUvarint(nil, uint64(len(pieces)))
	for _, p := range pieces {
		out = append(out, 0, 0x41)
		out = appendSigned(out, int32(p.at))
		out = append(out, 0x0b)
		out = binary.AppendUvarint(out, uint64(len(p.data)))
		out = append(out, p.data...)
	}
	return out
}

func appendSigned(out []byte, v int32) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
