package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Sections of a module.
const (
	sectionImport = 2
	sectionExport = 7
	sectionStart  = 8
)

// maxNames is how many imports or exports a module may have.
const maxNames = 100_000

const buildHint = "build it with callboard plugin build, or GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"

// allowedModules are the modules of which a guest may import.
var allowedModules = []string{"extism:host/env", pluginv1.HostNamespace, "wasi_snapshot_preview1"}

// refusedFunctions of extism:host/env reach around the host services.
var refusedFunctions = []string{"http_request", "http_status_code", "http_headers"}

// outline is what the sections of a module say about its outside.
type outline struct {
	imports []name // of functions
	exports []string
	memory  bool // imports a memory
	table   bool // imports a table
	start   bool
	tables  int64
	entries int64 // of all tables, at first
}

type name struct{ module, field string }

// check refuses code that cannot be a plugin, without compiling it.
func check(code []byte) error {
	if len(code) < 8 || string(code[:4]) != "\x00asm" {
		return host.Errorf(host.CodeInvalid, "the code is not a WebAssembly module").WithHint("%s", buildHint)
	}
	if binary.LittleEndian.Uint32(code[4:8]) != 1 {
		return host.Errorf(host.CodeInvalid, "the code is a WebAssembly component or of an unknown version; a core module is needed").WithHint("%s", buildHint)
	}
	o, err := outlineOf(code[8:])
	if err != nil {
		return host.Errorf(host.CodeInvalid, "the code is not a valid WebAssembly module: %v", err).WithHint("%s", buildHint)
	}
	return o.check()
}

func (o *outline) check() error {
	if !slices.Contains(o.exports, pluginv1.ExportCall) {
		return host.Errorf(host.CodeInvalid, "the module does not export %s", pluginv1.ExportCall).
			WithHint("call sdk.Serve in main and build with -buildmode=c-shared")
	}
	if o.memory {
		return host.Errorf(host.CodeInvalid, "the module imports a memory; it must have its own")
	}
	if o.table {
		return host.Errorf(host.CodeInvalid, "the module imports a table; it must have its own")
	}
	if o.start {
		return host.Errorf(host.CodeInvalid, "the module has a start function; it must be a reactor, which has _initialize").WithHint("%s", buildHint)
	}
	for _, i := range o.imports {
		switch {
		case !slices.Contains(allowedModules, i.module):
			return host.Errorf(host.CodeInvalid, "the module imports %s of %q, which this host does not have", clip(i.field), clip(i.module)).
				WithHint("a plugin may import WASI preview 1, extism:host/env and %s of %s", pluginv1.HostFunction, pluginv1.HostNamespace)
		case i.module == pluginv1.HostNamespace && i.field != pluginv1.HostFunction:
			return host.Errorf(host.CodeInvalid, "the module imports the host function %q, which this host does not have", clip(i.field)).
				WithHint("there is one: %s", pluginv1.HostFunction)
		case i.module == "extism:host/env" && slices.Contains(refusedFunctions, i.field):
			return host.Errorf(host.CodeInvalid, "the module uses Extism's own %s", i.field).
				WithHint("use the host service http/v1: sdk/http")
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		s = s[:60]
	}
	return strings.ToValidUTF8(s, "")
}

var errCut = errors.New("it ends in the middle")

// reader reads the binary format.
type reader struct{ b []byte }

func (r *reader) u32() (uint32, error) {
	v, n := binary.Uvarint(r.b[:min(len(r.b), 5)])
	if n <= 0 || v > 1<<32-1 {
		return 0, errCut
	}
	r.b = r.b[n:]
	return uint32(v), nil
}

func (r *reader) bytes() ([]byte, error) {
	n, err := r.u32()
	if err != nil || int64(n) > int64(len(r.b)) {
		return nil, errCut
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out, nil
}

func (r *reader) skip(n int) error {
	if len(r.b) < n {
		return errCut
	}
	r.b = r.b[n:]
	return nil
}

func (r *reader) byte() (byte, error) {
	if len(r.b) == 0 {
		return 0, errCut
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v, nil
}

func outlineOf(b []byte) (*outline, error) {
	o := &outline{}
	r := &reader{b}
	for len(r.b) > 0 {
		id, err := r.byte()
		if err != nil {
			return nil, err
		}
		body, err := r.bytes()
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
		switch id {
		case sectionImport:
			err = o.readImports(&reader{body})
		case sectionExport:
			err = o.readExports(&reader{body})
		case sectionStart:
			o.start = true
		case sectionTable, sectionGlobal, sectionElement, sectionData:
			err = o.weigh(id, body)
		}
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	return o, nil
}

// Kinds of imports and exports.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
	kindTag      = 4
)

func (o *outline) readImports(r *reader) error {
	n, err := r.u32()
	if err != nil || n > maxNames {
		return errCut
	}
	for range n {
		module, err := r.bytes()
		if err != nil {
			return err
		}
		field, err := r.bytes()
		if err != nil {
			return err
		}
		kind, err := r.byte()
		if err != nil {
			return err
		}
		if err := o.importKind(r, kind, name{string(module), string(field)}); err != nil {
			return err
		}
	}
	return nil
}

func (o *outline) importKind(r *reader, kind byte, n name) error {
	o.imports = append(o.imports, n)
	switch kind {
	case kindFunction:
		_, err := r.u32()
		return err
	case kindTable:
		o.table = true
		if err := r.skip(1); err != nil {
			return err
		}
		return r.limits()
	case kindMemory:
		o.memory = true
		return r.limits()
	case kindGlobal:
		return r.skip(2)
	case kindTag:
		if err := r.skip(1); err != nil {
			return err
		}
		_, err := r.u32()
		return err
	}
	return fmt.Errorf("unknown kind of import %d", kind)
}

func (r *reader) limits() error {
	flags, err := r.byte()
	if err != nil {
		return err
	}
	if _, err := r.u32(); err != nil {
		return err
	}
	if flags&1 != 0 {
		_, err = r.u32()
	}
	return err
}

func (o *outline) readExports(r *reader) error {
	n, err := r.u32()
	if err != nil || n > maxNames {
		return errCut
	}
	for range n {
		field, err := r.bytes()
		if err != nil {
			return err
		}
		kind, err := r.byte()
		if err != nil {
			return err
		}
		if _, err := r.u32(); err != nil {
			return err
		}
		if kind == kindFunction {
			o.exports = append(o.exports, string(field))
		}
	}
	return nil
}
