package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Platforms are those for which a plugin can bring a program.
func Platforms() []string { return []string{"linux/amd64", "linux/arm64"} }

// CodeFile is one file of a release's code.
type CodeFile struct {
	// Platform is "os/arch"; empty for WebAssembly, which runs everywhere.
	Platform string
	// Name is the file, relative to the manifest, with slashes.
	Name string
}

// CodeFiles returns the files that hold a plugin's code: one for a guest, one
// for each platform for a process, in the order of their names.
func CodeFiles(m *manifestv1.Manifest) []CodeFile {
	if m.Runtime != manifestv1.RuntimeProcess {
		return []CodeFile{{Name: or(m.Main, "plugin.wasm")}}
	}
	out := make([]CodeFile, 0, len(m.Platforms))
	for _, p := range slices.Sorted(slices.Values(m.Platforms)) {
		out = append(out, CodeFile{Platform: p, Name: or(m.Main, "plugin") + "-" + strings.ReplaceAll(p, "/", "-")})
	}
	return out
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// joinMark begins the code of a plugin that brings a program for each platform.
const joinMark = "callboard process 1\n"

// piece is one program in the code of a process plugin.
type piece struct {
	Platform string `json:"platform"`
	Size     int64  `json:"size"`
}

// Join makes one code of the programs by platform, so that the code of every
// release is one thing with one digest: a line that says what it is, a line of
// JSON that lists platform and size, and the programs in that order.
func Join(programs map[string][]byte) ([]byte, error) {
	var index []piece
	size := 0
	for _, p := range slices.Sorted(maps.Keys(programs)) {
		index = append(index, piece{p, int64(len(programs[p]))})
		size += len(programs[p])
	}
	head, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(joinMark)+len(head)+1+size)
	out = append(append(append(out, joinMark...), head...), '\n')
	for _, p := range index {
		out = append(out, programs[p.Platform]...)
	}
	return out, nil
}

// maxJoinHead is the longest list of platforms that is read.
const maxJoinHead = 4 << 10

// errJoined says that code is not what Join made.
var errJoined = errors.New("it is not the code of a process plugin")

// Split returns the programs by platform that Join put together. They are
// parts of code, not copies.
func Split(code []byte) (map[string][]byte, error) {
	rest, ok := bytes.CutPrefix(code, []byte(joinMark))
	if !ok {
		return nil, errJoined
	}
	end := bytes.IndexByte(rest[:min(len(rest), maxJoinHead)], '\n')
	var index []piece
	if end < 0 || json.Unmarshal(rest[:end], &index) != nil {
		return nil, errJoined
	}
	rest = rest[end+1:]
	out := make(map[string][]byte, len(index))
	for _, p := range index {
		if p.Size < 0 || p.Size > int64(len(rest)) || out[p.Platform] != nil {
			return nil, fmt.Errorf("%w: its list of platforms is wrong", errJoined)
		}
		out[p.Platform], rest = rest[:p.Size:p.Size], rest[p.Size:]
	}
	if len(rest) > 0 || len(out) == 0 {
		return nil, fmt.Errorf("%w: its list of platforms is wrong", errJoined)
	}
	return out, nil
}

// Program returns the program for a platform of the code of a process plugin.
func Program(code []byte, platform string) ([]byte, error) {
	programs, err := Split(code)
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the code cannot be read: %w", err).WithHint("make the package with callboard plugin package")
	}
	if p := programs[platform]; len(p) > 0 {
		return p, nil
	}
	return nil, host.Errorf(host.CodeInvalid, "the plugin has no program for %s, it has those for %s", platform, strings.Join(slices.Sorted(maps.Keys(programs)), ", ")).
		WithHint("add %s to platforms in plugin.yaml and package it again", platform)
}

// platforms checks that a process plugin says for what it is built.
func (c *checker) platforms(m *manifestv1.Manifest) {
	at := []string{"platforms"}
	switch {
	case m.Runtime == manifestv1.RuntimeProcess && len(m.Platforms) == 0:
		c.fault(at, "is missing: a plugin that runs as a process is built for each platform", "write platforms: ["+strings.Join(Platforms(), ", ")+"]")
	case m.Runtime != manifestv1.RuntimeProcess && len(m.Platforms) > 0:
		c.fault(at, "is for plugins with runtime: process", "remove it: WebAssembly runs on every platform")
	}
}
