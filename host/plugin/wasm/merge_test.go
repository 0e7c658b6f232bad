package wasm

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// dataOf returns the pieces of a module's initial memory.
func dataOf(t *testing.T, code []byte) []piece {
	t.Helper()
	r := &reader{code[8:]}
	for len(r.b) > 0 {
		id, err := r.byte()
		if err != nil {
			t.Fatal(err)
		}
		body, err := r.bytes()
		if err != nil {
			t.Fatal(err)
		}
		if id != sectionData {
			continue
		}
		q := &reader{body}
		n, err := q.u32()
		if err != nil {
			t.Fatal(err)
		}
		var out []piece
		for range n {
			p, ok := q.piece()
			if !ok {
				t.Fatal("a piece cannot be read")
			}
			out = append(out, p)
		}
		return out
	}
	return nil
}

// image is the memory that pieces make.
func image(pieces []piece) []byte {
	var out []byte
	for _, p := range pieces {
		if end := int(p.at) + len(p.data); end > len(out) {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[p.at:], p.data)
	}
	return out
}

// TestMergeData compares the whole initial memory of a real guest.
func TestMergeData(t *testing.T) {
	code := runtimetest.Museum(t)
	before, after := dataOf(t, code), dataOf(t, mergeData(code))
	if len(after) == 0 || len(after) > len(before)/100 {
		t.Errorf("of %d pieces %d are left", len(before), len(after))
	}
	if !bytes.Equal(image(before), image(after)) {
		t.Error("the memory is another one")
	}
	if again := mergeData(mergeData(code)); !bytes.Equal(again, mergeData(code)) {
		t.Error("merging again changes it")
	}
}

// data assembles a module with these raw segments.
func data(segments ...[]byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(segments)))
	for _, s := range segments {
		body = append(body, s...)
	}
	return append(assemble(returnsZero, nil), section(sectionData, body...)...)
}

func active(at int32, text string) []byte {
	return append(append(append(appendSigned([]byte{0, 0x41}, at), 0x0b), byte(len(text))), text...)
}

func TestMergeDataLeavesAlone(t *testing.T) {
	for name, code := range map[string][]byte{
		"Overlapping":    data(active(0, "abc"), active(2, "xyz")),
		"Passive":        data([]byte{1, 1, 'a'}, active(8, "b")),
		"ComputedOffset": data([]byte{0, 0x23, 0, 0x0b, 1, 'a'}, active(8, "b")),
		"OtherMemory":    data([]byte{2, 0, 0x41, 0, 0x0b, 1, 'a'}, active(8, "b")),
		"Cut":            data(active(0, "abc"))[:len(data(active(0, "abc")))-1],
		"Counted":        append(append(assemble(returnsZero, nil), section(sectionDataCount, 1)...), section(sectionData, append([]byte{1}, active(0, "a")...)...)...),
		"None":           assemble(returnsZero, nil),
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Equal(mergeData(code), code) {
				t.Error("it was changed")
			}
		})
	}
	t.Run("SideBySide", func(t *testing.T) {
		if p := dataOf(t, mergeData(data(active(4, "b"), active(0, "a")))); len(p) != 1 || string(p[0].data) != "a\x00\x00\x00b" {
			t.Errorf("got %v", p)
		}
	})
	t.Run("FarApart", func(t *testing.T) {
		if p := dataOf(t, mergeData(data(active(5000, "b"), active(0, "a")))); len(p) != 2 || p[0].at != 0 || p[1].at != 5000 {
			t.Errorf("got %v", p)
		}
	})
	t.Run("HighAddress", func(t *testing.T) {
		if p := dataOf(t, mergeData(data(active(-16, "b")))); len(p) != 1 || p[0].at != 1<<32-16 {
			t.Errorf("got %v", p)
		}
	})
}

func FuzzMergeData(f *testing.F) {
	f.Add(data(active(0, "a"), active(4, "b"), active(-1, "c")))
	f.Add(data(active(0, "abc"), active(2, "xyz")))
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) < 8 {
			return
		}
		merged := mergeData(code)
		if len(merged) < 8 || !bytes.Equal(merged[:8], code[:8]) {
			t.Fatal("the head is lost")
		}
	})
}

// BenchmarkMergeData is part of each load of a release.
func BenchmarkMergeData(b *testing.B) {
	code := runtimetest.Museum(b)
	for b.Loop() {
		mergeData(code)
	}
}
