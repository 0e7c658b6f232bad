//go:build linux

package sandbox

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// section writes one section of a module, at most 127 bytes long.
func section(id byte, body ...byte) []byte { return append([]byte{id, byte(len(body))}, body...) }

func text(s string) []byte { return append([]byte{byte(len(s))}, s...) }

// odd assembles a module with a memory of 1 to 2 pages, a global of each type,
// and two exports: odd, with this body, and takes, which has a parameter.
func odd(body ...byte) []byte {
	exports := append([]byte{2}, append(append(text("odd"), 0, 0), append(text("takes"), 0, 1)...)...)
	code := append([]byte{2, byte(len(body) + 1), 0}, body...)
	var out []byte
	for _, part := range [][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 2, 0x60, 0, 1, 0x7f, 0x60, 1, 0x7f, 0),
		section(3, 2, 0, 1),
		section(5, 1, 1, 1, 2),
		section(6, 4, 0x7f, 1, 0x41, 5, 0x0b, 0x7e, 1, 0x42, 6, 0x0b, 0x7d, 1, 0x43, 0, 0, 0x80, 0x7f, 0x0b, 0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x0b),
		section(7, exports...),
		section(10, append(code, 2, 0, 0x0b)...),
	} {
		out = append(out, part...)
	}
	return out
}

// setsGlobals sets all four globals, to a NaN with a payload where they are floats.
var setsGlobals = []byte{
	0x41, 0x7f, 0x24, 0, 0x42, 0x7f, 0x24, 1,
	0x43, 1, 2, 0xc0, 0x7f, 0x24, 2, 0x44, 1, 2, 3, 4, 5, 6, 0xf8, 0x7f, 0x24, 3,
	0x41, 0, 0x0b,
}

func TestGlobalsOfAllTypes(t *testing.T) {
	c := opened(t, odd(setsGlobals...), nil, nil)
	b, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	if n := len(b.globals); n != 5 { // with the fuel
		t.Fatalf("%d globals are set back", n)
	}
	for range 3 {
		job := Job{Call: limits(), Export: "odd"}
		if _, _, err := b.Invoke(t.Context(), &job); err != nil {
			t.Fatal(err)
		}
		if d := b.difference(b.memory.ready); d != "" {
			t.Error(d)
		}
	}
	b.globals[3].at.Set(7)
	if b.difference(0) == "" {
		t.Error("a global that differs is not noticed")
	}
	b.globals[3].at.Set(b.globals[3].value)
}

// TestMemoryShrinksFromItsMaximum: a module's own maximum is the hard case, as
// shrinking needs room to grow by a page.
func TestMemoryShrinksFromItsMaximum(t *testing.T) {
	// Grow by one page, write to its end, and answer what a second growth says.
	grows := []byte{0x41, 1, 0x40, 0, 0x1a, 0x41, 0xfc, 0xff, 7, 0x41, 9, 0x36, 2, 0, 0x41, 1, 0x40, 0, 0x0b}
	c := opened(t, odd(grows...), nil, nil)
	b, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	for range 3 {
		job := Job{Call: limits(), Export: "odd"}
		_, used, err := b.Invoke(t.Context(), &job)
		var fault *kernel.Fault
		var failed *Failed
		// The second growth answers -1: there are two pages and no more.
		if !errors.As(err, &failed) && !errors.As(err, &fault) || failed != nil && failed.Code != -1 {
			t.Fatalf("it answered %v", err)
		}
		if used.Memory < 2*wasmPage || used.Memory > 4*wasmPage {
			t.Errorf("it used %d bytes", used.Memory)
		}
		if d := b.difference(b.memory.ready); d != "" {
			t.Error(d)
		}
	}
}

func TestInvokeRefuses(t *testing.T) {
	c := opened(t, odd(0x41, 0, 0x0b), nil, nil)
	for export, says := range map[string]string{"takes": "not a function", "nothing": "does not export", "": "does not export"} {
		t.Run("Err"+export, func(t *testing.T) {
			if _, _, err := c.Do(t.Context(), &Job{Call: limits(), Export: export}); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("it answered %v", err)
			}
		})
	}
	if out, _, err := c.Do(t.Context(), &Job{Call: limits(), Export: "odd"}); err != nil || len(out) != 0 {
		t.Errorf("a silent guest answered %q, %v", out, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	r := installed(t)
	m, tmpl, globals := template(t, odd(0x41, 0, 0x0b))
	imageOf := func() *Image {
		img, err := NewImage(t.Context(), Source{Runtime: r, Template: tmpl, Globals: globals, Start: limits()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = img.Close() })
		return img
	}
	baked, err := m.Bake(imageOf().Rewrite())
	if err != nil {
		t.Fatal(err)
	}
	path := paths(t)[0]
	for name, s := range map[string]Settings{
		"ErrPath":    {Runtime: r, Baked: baked, Globals: globals, Path: None},
		"ErrCode":    {Runtime: r, Baked: []byte("junk"), Globals: globals, Path: path},
		"ErrGlobals": {Runtime: r, Baked: baked, Globals: globals[:1], Path: path},
	} {
		t.Run(name, func(t *testing.T) {
			s.Image = imageOf()
			if _, err := Open(t.Context(), s); err == nil {
				t.Error("it was opened")
			}
		})
	}
	t.Run("ErrOtherGlobals", func(t *testing.T) {
		other := append([]rewrite.Global(nil), globals...)
		other[0].Name = "nobody"
		c, err := Open(context.Background(), Settings{Runtime: r, Baked: baked, Globals: other, Path: path, Image: imageOf()})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Do(t.Context(), &Job{Export: "odd"}); err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("it answered %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("ErrOtherMemory", func(t *testing.T) {
		larger := imageOf().Rewrite()
		larger.Pages = 2
		code, err := m.Bake(larger)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(context.Background(), Settings{Runtime: r, Baked: code, Globals: globals, Path: path, Image: imageOf()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Take(t.Context()); err == nil {
			t.Error("a sandbox has more memory than its image")
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestInstallTwice(t *testing.T) {
	r := installed(t)
	if err := Install(t.Context(), r); err == nil {
		t.Error("a second meter was installed")
	}
}
