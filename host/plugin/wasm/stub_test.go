package wasm

import (
	"bytes"
	"os"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// TestSameMachineCode: the template and the baked code of a module are compiled
// to the same machine code, which is why it is compiled once; and a module gives
// the same image each time.
func TestSameMachineCode(t *testing.T) {
	for _, language := range runtimetest.Languages() {
		t.Run(language, func(t *testing.T) {
			r := open(t, PathAuto)
			m, err := parse(runtimetest.Guest(t, language))
			if err != nil {
				t.Fatal(err)
			}
			image, err := r.image(t.Context(), m, &record{ABI: abiJSON}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer image.Close()
			again, err := open(t, PathAuto).image(t.Context(), m, &record{ABI: abiJSON}, "")
			if err != nil {
				t.Fatal(err)
			}
			if one, two := image.Digest(), again.Digest(); one != two {
				t.Errorf("the same module gave the images %s and %s", one, two)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
			template, _, err := m.Template()
			if err != nil {
				t.Fatal(err)
			}
			baked, err := m.Bake(image.Rewrite())
			if err != nil {
				t.Fatal(err)
			}
			if one, two := machineCode(t, template), machineCode(t, baked); !bytes.Equal(one, two) {
				t.Errorf("%d bytes are not the same %d bytes", len(one), len(two))
			}
		})
	}
}

func machineCode(t *testing.T, code []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := compileInto(t.Context(), dir, code); err != nil {
		t.Fatal(err)
	}
	file, err := onlyFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
