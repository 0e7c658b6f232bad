package process

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/callboard-dev/callboard/host"
)

// program is a plugin's program on disk.
type program struct {
	file string
	sum  [sha256.Size]byte
}

func newProgram(file string, code []byte) *program {
	return &program{file: file, sum: sha256.Sum256(code)}
}

// write puts the program in place in one step; nobody can write to it there.
func (p *program) write(code []byte) error {
	f, err := os.CreateTemp(filepath.Dir(p.file), ".partial-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	_, err = f.Write(code)
	if err == nil {
		err = f.Chmod(0o500)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), p.file)
}

// open returns the program, open, after its checksum was compared. The process
// is made of the open file, so nobody can put another one in its place between.
func (p *program) open() (*os.File, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return nil, p.changed(err)
	}
	secure := goplugin.SecureConfig{Checksum: p.sum[:], Hash: sha256.New()}
	ok, err := secure.Check(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err == nil && ok {
		return f, nil
	}
	_ = f.Close() // it was only read
	return nil, p.changed(err)
}

// intact says whether the program could be started now.
func (p *program) intact() error {
	f, err := p.open()
	if err != nil {
		return err
	}
	return f.Close()
}

func (p *program) changed(err error) error {
	e := host.Errorf(host.CodeUnavailable, "the plugin's program on disk is not the one that was installed, so it is not started").
		At(p.file).WithHint("find out who can write there; switching the plugin off and on writes it anew")
	e.Err = err
	return e
}

// checkProgram refuses what could not be started under the shim.
func checkProgram(code []byte) error {
	refuse := func(format string, args ...any) error {
		return host.Errorf(host.CodeInvalid, "the program for %s %s", Platform(), fmt.Sprintf(format, args...)).
			WithHint("build it with callboard plugin build, or CGO_ENABLED=0 go build")
	}
	f, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return refuse("is not an ELF file")
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if f.Class != elf.ELFCLASS64 || f.Machine != machine {
		return refuse("is for %s", f.Machine)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return refuse("cannot be executed: its type is %s", f.Type)
	}
	for _, s := range f.Progs {
		if s.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(s.Open(), 200))
			if err != nil {
				return refuse("is damaged")
			}
			return refuse("needs shared libraries (%s), and a plugin sees no file but its own", bytes.TrimRight(name, "\x00"))
		}
	}
	return nil
}
