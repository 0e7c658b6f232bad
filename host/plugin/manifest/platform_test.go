package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// heavy is good as a plugin that runs as a process.
var heavy = strings.Replace(good, "runtime: wasm", "runtime: process\nplatforms: [linux/arm64, linux/amd64]", 1)

func heavyFolder(t *testing.T) string {
	return release(t, map[string]string{"plugin.yaml": heavy, "plugin-linux-amd64": "\x7fELF for amd", "plugin-linux-arm64": "\x7fELF for arm"})
}

func TestAProcessPlugin(t *testing.T) {
	dir := heavyFolder(t)
	folder, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := packed(t, dir)
	pack, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("is the same packed", func(t *testing.T) {
		if folder.Digest != pack.Digest || folder.CodeDigest != pack.CodeDigest || !bytes.Equal(folder.Code, pack.Code) {
			t.Error("folder and package differ")
		}
	})
	t.Run("has a program for each platform", func(t *testing.T) {
		for platform, want := range map[string]string{"linux/amd64": "\x7fELF for amd", "linux/arm64": "\x7fELF for arm"} {
			if got, err := Program(pack.Code, platform); err != nil || string(got) != want {
				t.Errorf("%s: got %q, %v", platform, got, err)
			}
		}
		if _, err := Program(pack.Code, "plan9/mips"); host.CodeOf(err) != host.CodeInvalid || !strings.Contains(err.Error(), "linux/amd64, linux/arm64") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("has one layer for each platform", func(t *testing.T) {
		img, err := pack.image()
		if err != nil {
			t.Fatal(err)
		}
		var m image
		if err := json.Unmarshal(img, &m); err != nil {
			t.Fatal(err)
		}
		platforms := map[platform]bool{}
		for _, l := range m.Layers {
			if l.MediaType == ProgramMedia {
				platforms[*l.Platform] = true
			}
		}
		if !maps.Equal(platforms, map[platform]bool{{"linux", "amd64"}: true, {"linux", "arm64"}: true}) {
			t.Errorf("got %v", platforms)
		}
	})
	t.Run("needs all its programs", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "plugin-linux-arm64")); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), "plugin-linux-arm64") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCodeThatIsNotWhatTheManifestPromises(t *testing.T) {
	wasm, process := mustParse(t, good), mustParse(t, heavy)
	both := map[string][]byte{"linux/amd64": {1}, "linux/arm64": {2}}
	for name, tt := range map[string]struct {
		runtime  string
		code     []byte
		programs map[string][]byte
		says     string
	}{
		"programs for a guest":       {"wasm", []byte{0}, both, "WebAssembly"},
		"a guest without code":       {"wasm", nil, both, "WebAssembly"},
		"one program too few":        {"process", nil, map[string][]byte{"linux/amd64": {1}}, "linux/arm64"},
		"one program too many":       {"process", nil, map[string][]byte{"linux/amd64": {1}, "linux/arm64": {2}, "linux/riscv64": {3}}, "does not name"},
		"a guest beside the process": {"process", []byte{0}, both, "does not name"},
	} {
		t.Run(name, func(t *testing.T) {
			m := wasm
			if tt.runtime == "process" {
				m = process
			}
			if _, err := codeOf(m, tt.code, tt.programs); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPlatformsBelongToProcesses(t *testing.T) {
	for name, src := range map[string]string{
		"missing":  strings.Replace(good, "runtime: wasm", "runtime: process", 1),
		"too many": strings.Replace(good, "runtime: wasm", "runtime: wasm\nplatforms: [linux/amd64]", 1),
		"unknown":  strings.Replace(good, "runtime: wasm", "runtime: process\nplatforms: [beos/amd64]", 1),
		"twice":    strings.Replace(good, "runtime: wasm", "runtime: process\nplatforms: [linux/amd64, linux/amd64]", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(src), "plugin.yaml"); err == nil || !strings.Contains(err.Error(), "platforms") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	whole, err := Join(map[string][]byte{"linux/amd64": []byte("amd"), "linux/arm64": []byte("arm")})
	if err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string][]byte{
		"nothing":     nil,
		"WebAssembly": []byte("\x00asm\x01\x00\x00\x00"),
		"no list":     []byte(joinMark + "[]"),
		"an empty":    []byte(joinMark + "[]\n"),
		"no JSON":     []byte(joinMark + "{\n"),
		"cut":         whole[:len(whole)-1],
		"too long":    append(bytes.Clone(whole), 'x'),
		"twice":       []byte(joinMark + `[{"platform":"a/b","size":1},{"platform":"a/b","size":1}]` + "\nxy"),
		"negative":    []byte(joinMark + `[{"platform":"a/b","size":-1}]` + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Split(code); err == nil {
				t.Errorf("got %v", got)
			}
			if _, err := Program(code, "linux/amd64"); host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(joinMark + `[{"platform":"a/b","size":1}]` + "\nx"))
	f.Add([]byte(joinMark + `[]` + "\n"))
	f.Fuzz(func(t *testing.T, code []byte) {
		programs, err := Split(code)
		if err != nil {
			return
		}
		again, err := Join(programs)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Split(again)
		if err != nil || !maps.EqualFunc(programs, back, bytes.Equal) {
			t.Errorf("%q became %q, %v", programs, back, err)
		}
	})
}

func mustParse(t *testing.T, src string) *manifestv1.Manifest {
	t.Helper()
	m, err := Parse([]byte(src), "plugin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return m
}
