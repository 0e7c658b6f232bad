package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

const (
	// MaxCodeBytes is the largest code of a release: its one file, or the
	// programs of all platforms together.
	MaxCodeBytes = 64 << 20
	// MaxReadmeBytes is the largest README.md that is kept.
	MaxReadmeBytes = 256 << 10

	readmeName = "README.md"
)

// Bundle is one release, read and checked.
type Bundle struct {
	Manifest *manifestv1.Manifest
	// Source is the manifest as its author wrote it.
	Source []byte
	// Code is the guest, or what Join makes of the programs.
	Code   []byte
	Readme string
	// Digest is the digest of the OCI manifest, "sha256:<hex>". It is the same
	// for a folder and for the package made of it.
	Digest string
	// CodeDigest is the digest of Code alone.
	CodeDigest string
}

// Open reads a release from a folder or a packaged file.
func Open(path string) (*Bundle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, notThere(path, err)
	}
	if info.IsDir() {
		return OpenFolder(path)
	}
	return OpenFile(path)
}

// OpenFolder reads a release from a folder with a plugin.yaml. Nothing outside
// the folder is read, whatever the manifest or a symbolic link says.
func OpenFolder(dir string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, notThere(dir, err)
	}
	defer root.Close()
	file := filepath.Join(dir, manifestv1.FileName)
	src, err := readIn(root, manifestv1.FileName, MaxBytes)
	if err != nil {
		return nil, explain(file, err, "a plugin's folder has a plugin.yaml at its root; callboard plugin new makes one")
	}
	m, err := Parse(src, file)
	if err != nil {
		return nil, err
	}
	code, err := readCode(root, dir, m)
	if err != nil {
		return nil, err
	}
	readme, err := readIn(root, readmeName, MaxReadmeBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explain(filepath.Join(dir, readmeName), err, "")
	}
	return newBundle(m, src, code, readme)
}

// Peek reads the manifest of a folder alone: the code may not be built yet.
func Peek(dir string) (*manifestv1.Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, notThere(dir, err)
	}
	defer root.Close()
	file := filepath.Join(dir, manifestv1.FileName)
	src, err := readIn(root, manifestv1.FileName, MaxBytes)
	if err != nil {
		return nil, explain(file, err, "a plugin's folder has a plugin.yaml at its root; callboard plugin new makes one")
	}
	return Parse(src, file)
}

// readCode reads the files of the code and joins them where there are several.
func readCode(root *os.Root, dir string, m *manifestv1.Manifest) ([]byte, error) {
	programs, size := map[string][]byte{}, int64(0)
	for _, f := range CodeFiles(m) {
		code, err := readIn(root, f.Name, MaxCodeBytes)
		if size += int64(len(code)); err == nil && size > MaxCodeBytes {
			err = errSize{MaxCodeBytes}
		}
		if err != nil {
			return nil, explain(filepath.Join(dir, filepath.FromSlash(f.Name)), err, "build the plugin first: callboard plugin build "+dir)
		}
		if f.Platform == "" {
			return code, nil
		}
		programs[f.Platform] = code
	}
	return Join(programs)
}

// newBundle joins what was read and computes the digests.
func newBundle(m *manifestv1.Manifest, src, code, readme []byte) (*Bundle, error) {
	b := &Bundle{Manifest: m, Source: src, Code: code, Readme: string(readme), CodeDigest: DigestOf(code)}
	image, err := b.image()
	if err != nil {
		return nil, err
	}
	b.Digest = DigestOf(image)
	return b, nil
}

// DigestOf returns "sha256:<hex>" of b.
func DigestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// errSize says that a file is too large.
type errSize struct{ limit int64 }

func (e errSize) Error() string { return "it is larger than " + FormatBytes(e.limit) }

// readIn reads a regular file of a folder.
func readIn(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return readLimited(f, limit)
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errSize{limit}
	}
	return b, nil
}

func notThere(path string, err error) error {
	return explain(path, err, "give a folder with a plugin.yaml, or a file made by callboard plugin package")
}

func explain(path string, err error, hint string) error {
	e := host.Errorf(host.CodeInvalid, "%s cannot be read: %v", filepath.Base(path), reason(err)).At(path)
	if errors.Is(err, fs.ErrNotExist) {
		e = host.Errorf(host.CodeInvalid, "%s does not exist", filepath.Base(path)).At(path)
	}
	var size errSize
	if errors.As(err, &size) {
		e.Code = host.CodeTooLarge
	}
	e.Hint, e.Err = hint, err
	return e
}

// reason drops the path that os puts before its errors: Where has it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%w", p.Err)
	}
	return err
}
