package wasm

import (
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// guestOf builds a guest whose door has a body, after other things were added.
func guestOf(body []byte, more func(*runtimetest.Assembly)) []byte {
	b := &runtimetest.Assembly{}
	b.Memory(1, 0)
	if more != nil {
		more(b)
	}
	b.Export(pluginv1.ExportCall, b.Function(nil, []byte{runtimetest.I32}, nil, body))
	return b.Bytes()
}

func TestCheck(t *testing.T) {
	imports := func(module, name string, description ...byte) []byte {
		b := &runtimetest.Assembly{}
		b.Type(nil, nil)
		b.ImportOf(module, name, description...)
		b.Export(pluginv1.ExportCall, b.Function(nil, word, nil, zero))
		return b.Bytes()
	}
	r := open(t, PathFresh)
	for name, c := range map[string]struct {
		code []byte
		says string
	}{
		"OK":                {guestOf(zero, nil), ""},
		"OKWithImports":     {guestOf(zero, func(b *runtimetest.Assembly) { b.Import("extism:host/user", "callboard_host", long, long) }), ""},
		"Museum":            {runtimetest.Museum(t), ""},
		"Empty":             {nil, "does not begin as a WebAssembly module"},
		"ELF":               {[]byte("\x7fELF\x02\x01\x01\x00"), "does not begin"},
		"Component":         {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"Bare":              {[]byte("\x00asm\x01\x00\x00\x00"), "does not export callboard_call"},
		"Cut":               {guestOf(zero, nil)[:20], "not a WebAssembly module"},
		"OtherModule":       {guestOf(zero, func(b *runtimetest.Assembly) { b.Import("env", "system", word, word) }), `"env"`},
		"OurOwnMeter":       {guestOf(zero, func(b *runtimetest.Assembly) { b.Import("callboard:host/meter", "yield", long, long) }), `"callboard:host/meter"`},
		"OtherHostFunction": {guestOf(zero, func(b *runtimetest.Assembly) { b.Import("extism:host/user", "exec", long, long) }), "host function"},
		"OtherFunction":     {guestOf(zero, func(b *runtimetest.Assembly) { b.Import("wasi_snapshot_preview1", "fork", nil, word) }), "not a function of this host"},
		"ExtismHTTP": {guestOf(zero, func(b *runtimetest.Assembly) {
			b.Import("extism:host/env", "http_request", []byte{runtimetest.I64, runtimetest.I64}, long)
		}), "http/v1"},
		"ImportedMemory": {imports("extism:host/env", "memory", 2, 0, 1), "imports a memory"},
		"ImportedTable":  {imports("other", "t", 1, 0x70, 1, 1, 2), "imports a table"},
		"ImportedGlobal": {imports("other", "g", 3, 0x7f, 0), `"other"`},
		"GlobalOfWASI":   {imports("wasi_snapshot_preview1", "fd_write", 3, 0x7f, 0), "not a function of this host"},
		"ImportedTag":    {imports("other", "e", 4, 0, 0), "kind"},
		"ImportOfNoKind": {imports("other", "x", 9, 0), "kind"},
		"StartFunction":  {guestOf(zero, func(b *runtimetest.Assembly) { b.Start(b.Function(nil, nil, nil)) }), "start function"},
		"DoorIsNoFunction": {func() []byte {
			b := &runtimetest.Assembly{}
			b.Memory(1, 0)
			b.ExportOf(pluginv1.ExportCall, 2, 0)
			return b.Bytes()
		}(), "does not export"},
		"OurNames": {guestOf(zero, func(b *runtimetest.Assembly) {
			b.Global(runtimetest.I64, true, runtimetest.Int64(1))
			b.ExportOf("__callboard_fuel", 3, 0)
		}), "are the host's"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Check(c.code)
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || host.CodeOf(err) != host.CodeInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(guestOf(runtimetest.Int32(0), nil))
	f.Add(guestOf(runtimetest.Int32(0), func(b *runtimetest.Assembly) { b.ImportOf("other", "t", 1, 0x70, 1, 1, 2) }))
	f.Fuzz(func(t *testing.T, code []byte) {
		if _, err := parse(code); err != nil && host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("not explained: %v", err)
		}
	})
}

// TestSignatures: what is imported under a right name and a wrong type is found
// when it is compiled, on every path.
func TestSignatures(t *testing.T) {
	for name, f := range map[string]struct {
		module, name    string
		params, results []byte
	}{
		"HostFunction": {"extism:host/user", "callboard_host", []byte{runtimetest.I32}, []byte{runtimetest.I32}},
		"Alloc":        {"extism:host/env", "alloc", []byte{runtimetest.I32}, []byte{runtimetest.I32}},
		"FdWrite":      {"wasi_snapshot_preview1", "fd_write", nil, nil},
	} {
		code := guestOf(runtimetest.Int32(0), func(b *runtimetest.Assembly) { b.Import(f.module, f.name, f.params, f.results) })
		for _, path := range paths() {
			t.Run(name+"/"+path, func(t *testing.T) {
				m, err := open(t, path).Compile(t.Context(), digestOf(code), code)
				if err == nil {
					// The portable path links at each call.
					_, err = m.Call(t.Context(), work("x"))
					_ = m.Close(t.Context())
				}
				if code := host.CodeOf(err); code != host.CodeInvalid && (path != PathFresh || code == "" || code == host.CodePluginOutput) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}
