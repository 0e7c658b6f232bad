package modsource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
)

// WriteProxy writes the modules below dir, in the layout of a module proxy,
// and returns the proxy's URL for GOPROXY. Files that are already there with
// the right content are left alone; each other one is replaced in one step, so
// several processes may do this at once.
func (s *Source) WriteProxy(dir string) (string, error) {
	root, err := filepath.Abs(filepath.Join(dir, s.name()))
	if err != nil {
		return "", err
	}
	for _, m := range s.modules {
		escaped, err := module.EscapePath(m.Path)
		if err != nil {
			return "", err
		}
		info, err := json.Marshal(struct{ Version string }{m.Version.Version})
		if err != nil {
			return "", err
		}
		folder := filepath.Join(root, filepath.FromSlash(escaped), "@v")
		for name, content := range map[string][]byte{
			"list":                         []byte(m.Version.Version + "\n"),
			m.Version.Version + ".info":    info,
			m.Version.Version + ".mod":     m.goMod,
			m.Version.Version + ".zip":     m.archive,
			filepath.Join("..", "@latest"): info,
		} {
			if err := place(filepath.Join(folder, name), content); err != nil {
				return "", fmt.Errorf("writing the local module source: %w", err)
			}
		}
	}
	return fileURL(root), nil
}

// name is the folder of this set of modules: that of the last one's version.
func (s *Source) name() string {
	if len(s.modules) == 0 {
		return "empty"
	}
	return s.modules[len(s.modules)-1].Version.Version
}

// place makes sure that the file has the content.
func place(file string, content []byte) error {
	if there, err := os.ReadFile(file); err == nil && bytes.Equal(there, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return replaceFile(file, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// replaceFile writes a file beside its place and moves it there.
func replaceFile(file string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // best effort: the error says what matters
		}
	}()
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// fileURL returns the path as a URL that can stand in GOPROXY, in which comma
// and bar separate.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	u := url.URL{Scheme: "file", Path: path}
	return strings.NewReplacer(",", "%2C", "|", "%7C").Replace(u.String())
}

// CacheDir returns where callboard keeps module sources: "callboard/modules"
// in the user's cache folder.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	return filepath.Join(dir, "callboard", "modules"), nil
}

// member is a file of an archive.
type member struct {
	name    string
	content []byte
}

func (m member) Path() string                { return m.name }
func (m member) Lstat() (fs.FileInfo, error) { return stat{m}, nil }
func (m member) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.content)), nil
}

// stat describes a member.
type stat struct{ m member }

func (s stat) Name() string     { return filepath.Base(s.m.name) }
func (s stat) Size() int64      { return int64(len(s.m.content)) }
func (stat) Mode() fs.FileMode  { return 0o644 }
func (stat) ModTime() time.Time { return time.Time{} }
func (stat) IsDir() bool        { return false }
func (stat) Sys() any           { return nil }
