package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/callboard-dev/callboard/host"
)

// resolveFile makes a target absolute. Whether it is allowed is decided when
// it is read; only a relative path that a person gave is refused here, in the
// words that they used: they need not learn where the portal runs.
func (s *session) resolveFile(base Address, target string) (Address, error) {
	given, isURL := strings.CutPrefix(target, "file://")
	if !isURL {
		given = strings.TrimPrefix(target, "file:") // as in Backstage's location refs
	}
	if strings.ContainsRune(given, 0) || given == "" {
		return Address{}, host.Errorf(host.CodeInvalid, "%q is not a path", given).WithHint("give the path of a YAML file")
	}
	if filepath.IsAbs(given) {
		return Address{Type: "file", Target: filepath.Clean(given)}, nil
	}
	if base.Type == "file" {
		return Address{Type: "file", Target: filepath.Join(filepath.Dir(base.Target), given)}, nil
	}
	path := filepath.Join(s.reader.settings.WorkDir, given)
	if _, _, err := s.reader.within(path); err != nil {
		return Address{}, s.reader.outside(given)
	}
	return Address{Type: "file", Target: path}, nil
}

// within finds the root that a path is below, and the path relative to it.
func (r *Reader) within(path string) (root, string, error) {
	for _, d := range r.roots {
		rel, err := filepath.Rel(d.path, path)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return d, filepath.ToSlash(rel), nil
		}
	}
	return root{}, "", r.outside(path)
}

func (r *Reader) outside(path string) *host.Error {
	return host.Errorf(host.CodeForbidden, "the file %s is outside of the folders that the catalog may read", path).
		WithHint("%s", r.settings.OutsideHint)
}

func (s *session) readFile(at Address, etag string) (Content, error) {
	d, rel, err := s.reader.within(at.Target)
	if err != nil {
		return Content{}, err
	}
	if !hasWildcard(rel) {
		body, err := s.openFile(d, rel)
		if err != nil {
			return Content{}, err
		}
		return state([]File{{Address: at, Body: body}}, etag), nil
	}
	match, err := compileGlob(rel)
	if err != nil {
		return Content{}, err
	}
	var files []File
	err = fs.WalkDir(d.dir.FS(), fixedPart(rel), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // an unreadable folder holds nothing
		}
		if e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules") {
			return fs.SkipDir
		}
		if e.IsDir() || !match(path) {
			return nil
		}
		if len(files) >= maxMatches {
			return tooMany(at.Target)
		}
		body, err := s.openFile(d, path)
		files = append(files, File{Address: Address{Type: "file", Target: filepath.Join(d.path, filepath.FromSlash(path))}, Body: body})
		return err
	})
	if err == nil && len(files) == 0 {
		err = host.Errorf(host.CodeNotFound, "no file matches %s", at.Target).WithHint("check the pattern: * stays within a folder, ** crosses folders")
	}
	return state(files, etag), err
}

// state names files by their content.
func state(files []File, etag string) Content {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d ", f.Address.Target, len(f.Body))
		h.Write(f.Body)
	}
	sum := hex.EncodeToString(h.Sum(nil)[:16])
	if etag == sum {
		return Content{ETag: sum, NotModified: true}
	}
	return Content{Files: files, ETag: sum}
}

// openFile reads a file below a root; os.Root refuses links that lead out.
func (s *session) openFile(d root, rel string) ([]byte, error) {
	path := filepath.Join(d.path, filepath.FromSlash(rel))
	f, err := d.dir.Open(rel)
	if err != nil {
		return nil, s.reader.fileError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, s.reader.fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, host.Errorf(host.CodeInvalid, "%s is not a file", path).
			WithHint("point to a YAML file, or to a pattern such as %s/**/catalog-info.yaml", path)
	}
	body, err := readAll(f, s.reader.settings.MaxDocument, path)
	if err != nil && host.CodeOf(err) == host.CodeInternal {
		return nil, s.reader.fileError(path, err)
	}
	return body, err
}

func (r *Reader) fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return host.Errorf(host.CodeNotFound, "there is no file %s", path).WithHint("check the path; it is on the machine that runs the portal")
	case errors.Is(err, fs.ErrPermission):
		return host.Errorf(host.CodeForbidden, "the portal may not read %s", path).WithHint("let the user that runs the portal read it")
	case strings.Contains(err.Error(), "escapes"):
		return r.outside(path)
	default:
		return host.Errorf(host.CodeUpstream, "reading %s: %w", path, err).WithHint("check the file")
	}
}

// readAll reads at most limit bytes.
func readAll(r io.Reader, limit int, name string) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(body) > limit {
		return nil, host.Errorf(host.CodeTooLarge, "%s has more than %d bytes", name, limit).
			WithHint("split it into smaller documents")
	}
	return body, err
}
