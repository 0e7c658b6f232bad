package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The engine validates all of a module before it looks into its cache, which
// takes most of the time in which a large guest is loaded. What was compiled was
// valid, and the vault vouches for the machine code; so what is kept beside it
// is the module without the bodies of its functions: everything that the engine
// builds from the module but machine code (types, imports, tables, exports) is
// the same. The machine code is put under the name that the engine's cache has
// for that module. It is the template's, from which the image was made: template
// and baked code differ in what a memory and globals begin with, which machine
// code does not depend on (a test compares both).
//
// Should the engine ever not find it there (another processor, for example), it
// would compile the empty bodies. Whoever loads code makes sure that it did not.

// sectionCode is the section of function bodies.
const sectionCode = 10

var errSections = errors.New("the baked code has no sections as they should be")

// stubOf returns baked code whose functions do nothing but trap.
func stubOf(baked []byte) ([]byte, error) {
	if len(baked) < 8 {
		return nil, errSections
	}
	out := append(make([]byte, 0, len(baked)/4), baked[:8]...)
	for rest := baked[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil, errSections
		}
		body := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id == sectionCode {
			count, n := binary.Uvarint(body)
			if n <= 0 || count > size {
				return nil, errSections
			}
			empty := binary.AppendUvarint(make([]byte, 0, 4*count+8), count)
			for range count {
				empty = append(empty, 3, 0, 0x00, 0x0b) // three bytes: no locals, unreachable, end
			}
			body = empty
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

// adopt gives the machine code in one folder of the engine's cache the name
// that the only one in the other folder has. It goes where that one was.
func adopt(from, to string) error {
	real, err := onlyFile(from)
	if err != nil {
		return err
	}
	empty, err := onlyFile(to)
	if err != nil {
		return err
	}
	return os.Rename(real, empty)
}

// onlyFile finds the one file below a folder.
func onlyFile(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("the engine's cache holds %d files, not one", len(files))
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}
