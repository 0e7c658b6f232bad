package rewrite_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

func TestGoGuestStaysValid(t *testing.T) {
	code := runtimetest.Museum(t)
	m, err := rewrite.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(m.Refusals(), len(code))
	tmpl, globals, err := m.Template()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(globals, len(tmpl))
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	if _, err := r.CompileModule(ctx, tmpl); err != nil {
		t.Fatal(err)
	}
	baked, err := m.Bake(rewrite.Image{Pages: 200, Globals: make([]uint64, len(globals))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CompileModule(ctx, baked); err != nil {
		t.Fatal(err)
	}
}
