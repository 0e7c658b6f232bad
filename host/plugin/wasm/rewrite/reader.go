package rewrite

import (
	"encoding/binary"
	"errors"
)

var (
	errCut    = errors.New("it ends in the middle")
	errNumber = errors.New("it has a number that is too large")
)

// reader reads the binary format.
type reader struct {
	b  []byte
	at int
}

func (r *reader) left() int { return len(r.b) - r.at }

func (r *reader) byte() (byte, error) {
	if r.at >= len(r.b) {
		return 0, errCut
	}
	r.at++
	return r.b[r.at-1], nil
}

// u32 reads an unsigned LEB128 number of at most 32 bits and five bytes.
func (r *reader) u32() (uint32, error) {
	if r.at < len(r.b) && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1]), nil
	}
	v, n := binary.Uvarint(r.b[r.at:min(len(r.b), r.at+5)])
	if n == 0 && r.left() < 5 {
		return 0, errCut
	}
	if n <= 0 || v > 1<<32-1 {
		return 0, errNumber
	}
	r.at += n
	return uint32(v), nil
}

// signed reads a signed LEB128 number of at most the given bits.
func (r *reader) signed(bits uint) (int64, error) {
	var v int64
	for shift := uint(0); shift < bits; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if b&0x40 != 0 && shift+7 < 64 {
			v |= -1 << (shift + 7)
		}
		if bits < 64 && (v < -1<<(bits-1) || v >= 1<<(bits-1)) {
			return 0, errNumber
		}
		return v, nil
	}
	return 0, errNumber
}

// take reads n bytes.
func (r *reader) take(n int) ([]byte, error) {
	if n < 0 || r.left() < n {
		return nil, errCut
	}
	r.at += n
	return r.b[r.at-n : r.at : r.at], nil
}

// bytes reads a number and as many bytes.
func (r *reader) bytes() ([]byte, error) {
	n, err := r.u32()
	if err != nil {
		return nil, err
	}
	if int64(n) > int64(r.left()) {
		return nil, errCut
	}
	return r.take(int(n))
}

// vector reads the length of a vector whose entries have a byte or more.
func (r *reader) vector() (int, error) {
	n, err := r.u32()
	if err != nil {
		return 0, err
	}
	if int64(n) > int64(r.left()) {
		return 0, errCut
	}
	return int(n), nil
}

func appendU32(out []byte, v uint32) []byte { return binary.AppendUvarint(out, uint64(v)) }

func appendBytes(out, b []byte) []byte { return append(appendU32(out, uint32(len(b))), b...) }

func appendString(out []byte, s string) []byte { return append(appendU32(out, uint32(len(s))), s...) }

func appendSigned(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
