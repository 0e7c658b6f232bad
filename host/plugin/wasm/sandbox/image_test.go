//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/kernel"
)

// imaged makes an image of a guest that was warmed up.
func imaged(t testing.TB, code []byte) *Image {
	t.Helper()
	_, tmpl, globals := template(t, code)
	img, err := NewImage(context.Background(), Source{
		Runtime: installed(t), Template: tmpl, Globals: globals, Start: limits(),
		Warm: warming([]Job{act("echo", "warm"), act("count", nil)}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = img.Close() })
	return img
}

// TestImagesAreTheSameEverywhere: clock and randomness have no influence.
func TestImagesAreTheSameEverywhere(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			a, b := imaged(t, runtimetest.Guest(t, lang)), imaged(t, runtimetest.Guest(t, lang))
			if a.Digest() != b.Digest() || a.Bytes() == 0 {
				t.Errorf("two images of one guest are %s and %s", a.Digest(), b.Digest())
			}
		})
	}
}

func TestImagesOnDisk(t *testing.T) {
	img := imaged(t, runtimetest.Guest(t, runtimetest.AssemblyScript))
	var file bytes.Buffer
	if err := img.Save(&file); err != nil {
		t.Fatal(err)
	}
	if n := int64(file.Len()); n >= img.Bytes() {
		t.Errorf("an image of %d bytes takes %d on disk", img.Bytes(), n)
	}
	t.Run("OK", func(t *testing.T) {
		again, err := Load(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if again.Digest() != img.Digest() {
			t.Errorf("it was %s and is %s", img.Digest(), again.Digest())
		}
		if _, err := again.file.WriteAt([]byte{1}, 0); err == nil {
			t.Error("the file of an image can be written")
		}
	})
	t.Run("ErrCut", func(t *testing.T) {
		for _, n := range []int{0, 10, 20, 40, 5000, file.Len() - 1} {
			if _, err := Load(bytes.NewReader(file.Bytes()[:n])); err == nil {
				t.Errorf("its first %d bytes are an image", n)
			}
		}
	})
	t.Run("ErrOther", func(t *testing.T) {
		if _, err := Load(bytes.NewReader(bytes.Repeat([]byte("x"), 1000))); err == nil {
			t.Error("junk is an image")
		}
	})
	t.Run("ErrDiskFull", func(t *testing.T) {
		if err := img.Save(full{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("saving answered %v", err)
		}
	})
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func FuzzLoad(f *testing.F) {
	img := &Image{pages: 1, globals: []uint64{1, 2}}
	memory := make([]byte, wasmPage)
	memory[5*page], memory[9*page+1] = 1, 2
	if err := img.store(memory); err != nil {
		f.Fatal(err)
	}
	var file bytes.Buffer
	if err := img.Save(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte(storeMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 20 && raw[19] != 0 { // do not ask for gigabytes each time
			raw[18], raw[19] = 0, 0
		}
		img, err := Load(bytes.NewReader(raw))
		if err != nil {
			return
		}
		defer img.Close()
		var again bytes.Buffer
		if err := img.Save(&again); err != nil {
			t.Fatal(err)
		}
		same, err := Load(&again)
		if err != nil {
			t.Fatal(err)
		}
		defer same.Close()
		if same.Digest() != img.Digest() {
			t.Error("saving changes the image")
		}
	})
}

// TestInitialisationIsLimited: a guest that is hostile before its first call.
func TestInitialisationIsLimited(t *testing.T) {
	r := installed(t)
	_, tmpl, globals := template(t, runtimetest.Guest(t, runtimetest.C))
	for name, k := range map[string]struct {
		warm Job
		kind kernel.Kind
	}{
		"Fuel":   {func() Job { j := act("spin", nil); j.Fuel = 0; return j }(), kernel.Fuel},
		"Memory": {func() Job { j := act("bulk", nil); j.Memory = 1 << 20; return j }(), kernel.Memory},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewImage(t.Context(), Source{
				Runtime: r, Template: tmpl, Globals: globals, Start: limits(), Fuel: 10_000_000, Warm: warming([]Job{k.warm}),
			})
			var fault *kernel.Fault
			if !errors.As(err, &fault) || fault.Kind != k.kind {
				t.Errorf("it gave %v", err)
			}
		})
	}
	t.Run("MemoryOfItsBeginning", func(t *testing.T) {
		_, err := NewImage(t.Context(), Source{Runtime: r, Template: tmpl, Globals: globals, Start: kernel.Call{Memory: wasmPage}})
		var fault *kernel.Fault
		if !errors.As(err, &fault) || fault.Kind != kernel.Memory || fault.Used <= fault.Limit {
			t.Errorf("it gave %v", err)
		}
	})
	t.Run("ErrCode", func(t *testing.T) {
		if _, err := NewImage(t.Context(), Source{Runtime: r, Template: []byte("junk"), Start: limits()}); err == nil {
			t.Error("junk has an image")
		}
	})
}
