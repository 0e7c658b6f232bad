package rewrite_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// seeds are modules to begin with: all hostile ones, and some with the sections
// that those lack.
func seeds(f *testing.F) {
	for name, body := range hostile() {
		if name != "LongLoop" && name != "LoopOfCalls" {
			f.Add(hostileModule(name, body))
		}
	}
	f.Add(bulkModule(0, 1, 2, true))
	f.Add(with(">", op(0xfc, 9, 0), passive))
	f.Add(with("iIfF>IF", cat(op(0x42, 0), op(0x44), make([]byte, 8)), func(a *assembly) {
		a.globals = [][]byte{op(0x70, 0, 0xd2, 0, 0x0b), op(0x7e, 1, 0x42, 0, 0x0b)}
		a.elements = [][]byte{op(5, 0x70, 1, 0xd2, 0, 0x0b), op(3, 0, 1, 0)}
		a.export("a", 0, 0)
		a.start = uleb(a.function(">", 0))
	}))
}

// FuzzParse: whatever comes, it ends, and does not fall over.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, code []byte) {
		m, err := rewrite.Parse(code)
		if err != nil {
			return
		}
		m.Refusals()
		if _, globals, err := m.Template(); err == nil {
			_, _ = m.Bake(rewrite.Image{Pages: 1, Globals: make([]uint64, len(globals))})
		}
	})
}

// hasCustom reports whether a module has a custom section.
func hasCustom(code []byte) bool {
	for b := code[8:]; len(b) > 0; {
		size, n := binary.Uvarint(b[1:])
		if b[0] == 0 {
			return true
		}
		b = b[1+n+int(size):]
	}
	return false
}

// FuzzMetered: valid code stays valid, and code that is not does not become so.
// The second is as much a matter of safety: an index beyond the guest's own
// things would name one of ours.
func FuzzMetered(f *testing.F) {
	seeds(f)
	ctx := context.Background()
	// The interpreter validates as the compiler does, and is quick.
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(1<<16))
	valid := func(code []byte) (ok bool) {
		defer func() {
			if recover() != nil {
				ok = false // the engine falls over some code that is not valid
			}
		}()
		c, err := r.CompileModule(ctx, code)
		if err != nil {
			return false
		}
		return c.Close(ctx) == nil
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 1<<14 {
			return
		}
		m, err := rewrite.Parse(code)
		if err != nil {
			return
		}
		out, err := m.Metered()
		if err != nil {
			t.Fatalf("it was read, but not written: %v", err)
		}
		was, is := valid(code), valid(out)
		if was && !is {
			t.Errorf("valid code is not valid any more")
		}
		// Custom sections go, and with them what is wrong in those.
		if !was && is && !hasCustom(code) {
			t.Errorf("code that was not valid became so")
		}
		template, globals, err := m.Template()
		if err != nil {
			t.Fatal(err)
		}
		if was && len(m.Refusals()) == 0 && !valid(template) {
			t.Errorf("the template is not valid")
		}
		baked, err := m.Bake(rewrite.Image{Pages: 1 << 15, Globals: make([]uint64, len(globals))})
		if err == nil && was && len(m.Refusals()) == 0 && !valid(baked) {
			t.Errorf("the baked code is not valid")
		}
	})
}
