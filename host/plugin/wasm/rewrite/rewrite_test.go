package rewrite_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

func TestGuestsStayValid(t *testing.T) {
	for _, language := range runtimetest.Languages() {
		t.Run(language, func(t *testing.T) { staysValid(t, runtimetest.Guest(t, language)) })
	}
}

func staysValid(t *testing.T, code []byte) {
	m, err := rewrite.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	if why := m.Refusals(); len(why) > 0 {
		t.Errorf("the compiler's code is refused: %v", why)
	}
	template, globals, err := m.Template()
	if err != nil {
		t.Fatal(err)
	}
	baked, err := m.Bake(rewrite.Image{Pages: 200, Globals: make([]uint64, len(globals))})
	if err != nil {
		t.Fatal(err)
	}
	portable, err := m.Metered()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	for name, code := range map[string][]byte{"Template": template, "Bake": baked, "Metered": portable} {
		if _, err := r.CompileModule(ctx, code); err != nil {
			t.Errorf("%s wrote what is not valid: %v", name, err)
		}
	}
}
