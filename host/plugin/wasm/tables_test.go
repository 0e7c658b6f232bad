package wasm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// withSection puts a section of any size before a module's code section; the
// order of the test modules fits tables, globals, elements alike.
func withSection(t *testing.T, code []byte, id byte, body []byte) []byte {
	t.Helper()
	r := &reader{code[8:]}
	for len(r.b) > 0 {
		at := len(code) - len(r.b)
		next, err := r.byte()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.bytes(); err != nil {
			t.Fatal(err)
		}
		if next >= id {
			out := append(bytes.Clone(code[:at]), id)
			out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
			return append(out, code[at:]...)
		}
	}
	t.Fatal("no section comes after")
	return nil
}

// vectorOf repeats an item behind its number.
func vectorOf(n int, item ...byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(n)), bytes.Repeat(item, n)...)
}

// growing calls table.grow by delta once and returns 0 if it succeeded.
func growing(delta int64) []byte {
	body := []byte{0xd0, 0x70, 0x41}
	for v := delta; ; v >>= 7 {
		if v < 0x40 {
			body = append(body, byte(v))
			break
		}
		body = append(body, byte(v&0x7f)|0x80)
	}
	return append(body, 0xfc, 15, 0, 0x41, 0, 0x48, 0x0b) // table.grow 0; i32.const 0; i32.lt_s
}

// TestTablesAreBounded: what a sandbox has beside linear memory is bounded too.
func TestTablesAreBounded(t *testing.T) {
	plain := assemble(returnsZero, nil)
	for name, c := range map[string]struct {
		code []byte
		says string
	}{
		"a C guest's table is fine":      {withSection(t, plain, sectionTable, []byte{1, 0x70, 1, 4, 4}), ""},
		"AssemblyScript's table is, too": {withSection(t, plain, sectionTable, []byte{1, 0x70, 0, 1}), ""},
		"one table is fine":              {withSection(t, plain, sectionTable, []byte{1, 0x70, 0, 4}), ""},
		"a large maximum is fine":        {withSection(t, plain, sectionTable, []byte{1, 0x70, 1, 4, 0xff, 0xff, 0xff, 0xff, 0x0f}), ""},
		"a huge table is refused":        {withSection(t, plain, sectionTable, []byte{1, 0x70, 0, 0x80, 0x80, 0x80, 0x10}), "entries"},
		"huge tables in all are, too":    {withSection(t, plain, sectionTable, vectorOf(3, 0x70, 0, 0xa0, 0x8d, 0x06)), "entries"},
		"many tables are refused":        {withSection(t, plain, sectionTable, vectorOf(65, 0x70, 0, 0)), "65 tables"},
		"an unknown kind is refused":     {withSection(t, plain, sectionTable, []byte{1, 0x70, 4, 1}), "kind 4"},
		"a cut table is refused":         {withSection(t, plain, sectionTable, []byte{1, 0x70, 1, 1}), "ends in the middle"},
		"many globals are refused":       {withSection(t, plain, sectionGlobal, vectorOf(maxGlobals+1, 0x7f, 0, 0x41, 0, 0x0b)), "globals"},
		"many elements are refused":      {withSection(t, plain, sectionElement, append([]byte{1, 1, 0, 0x81, 0x80, 0x80, 0x01}, make([]byte, maxElements)...)), "elements"},
		"many segments are refused":      {withSection(t, plain, sectionElement, vectorOf(maxSegments+1, 1, 0, 0)), "segments"},
		"an imported table is refused":   {assemble(returnsZero, imported("extism:host/env", "t", kindTable, 0x70, 1, 1, 2)), "imports a table"},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(c.code)
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || host.CodeOf(err) != host.CodeInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, c := range map[string]struct {
		table []byte
		delta int64
		grows bool
	}{
		"a table without maximum grows a little":        {[]byte{1, 0x70, 0, 0}, tableRoom, true},
		"it does not grow without end":                  {[]byte{1, 0x70, 0, 0}, 30_000_000, false},
		"nor does one whose maximum is large":           {[]byte{1, 0x70, 1, 0, 0x80, 0x80, 0x80, 0x10}, 30_000_000, false},
		"a small maximum stays":                         {[]byte{1, 0x70, 1, 0, 2}, 3, false},
		"a table as large as its maximum does not grow": {[]byte{1, 0x70, 1, 2, 2}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := compiled(t, withSection(t, assemble(growing(c.delta), nil), sectionTable, c.table))
			if _, err := m.Call(t.Context(), plugin.Work{Limits: runtimetest.Limits()}); (host.CodeOf(err) == host.CodePluginOutput) != c.grows {
				t.Errorf("got %v", err)
			}
		})
	}
}
