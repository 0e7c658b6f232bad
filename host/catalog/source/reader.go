package source

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// Settings say what may be read. Zero limits mean their defaults.
type Settings struct {
	// Roots are the folders below which file locations may be. None means that
	// files are refused.
	Roots []string
	// OutsideHint tells a person what to do about a file that is below no root.
	OutsideHint string
	// WorkDir is what relative file targets are relative to; the process's
	// working directory by default.
	WorkDir string
	// Allow are hosts that may have private addresses: backend.reading.allow.
	Allow []Allow
	// MaxDocument is the most bytes that one document may have, 10 MiB.
	MaxDocument int
	// MaxRepository is the most bytes that a git pack may have, 64 MiB. Its
	// objects may have four times as much together, and each a quarter of it, or
	// MaxDocument where that is more.
	MaxRepository int64
	// Timeout bounds one read, 30 s.
	Timeout time.Duration
	// UserAgent names the portal to servers.
	UserAgent string
}

// Allow is one entry of backend.reading.allow.
type Allow struct {
	// Host is "host" or "host:port"; without a port it means the port of the
	// scheme. "*." at its start stands for any subdomain.
	Host string
	// Paths are prefixes of paths; none means all.
	Paths []string
}

// maxFetches is more than one tenant's refreshes make at a time.
const (
	maxFetches = 8
	maxUnpacks = 2
)

// Reader opens sessions. It may be used by any number of goroutines.
type Reader struct {
	settings Settings
	roots    []root
	http     *http.Client
	git      *http.Client
	// fetches bounds the git servers that are asked at a time, unpacks the packs
	// that are taken apart: no server decides how long that takes.
	fetches, unpacks slots
	held             atomic.Int64 // bytes of the repositories in all sessions, about
}

// root is an allowed folder by its real path.
type root struct {
	path string
	dir  *os.Root
}

// New checks the settings and returns a Reader. A root that is missing is
// CodeInvalid.
func New(s Settings) (*Reader, error) {
	if s.MaxDocument <= 0 {
		s.MaxDocument = 10 << 20
	}
	if s.MaxRepository <= 0 {
		s.MaxRepository = 64 << 20
	}
	if s.Timeout <= 0 {
		s.Timeout = 30 * time.Second
	}
	if s.UserAgent == "" {
		s.UserAgent = "callboard/" + host.Version
	}
	if s.OutsideHint == "" {
		s.OutsideHint = "move it below a folder that the portal reads catalog files from; its operator knows which"
	}
	var err error
	if s.WorkDir, err = filepath.Abs(s.WorkDir); err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	r := &Reader{settings: s, fetches: make(slots, maxFetches), unpacks: make(slots, maxUnpacks)}
	for _, path := range s.Roots {
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.WorkDir, path)
		}
		dir, err := os.OpenRoot(path)
		if err != nil {
			r.Close()
			return nil, host.Errorf(host.CodeInvalid, "the catalog root %q cannot be opened: %w", path, err).
				WithHint("create the folder, or remove the file location in it from the configuration")
		}
		r.roots = append(r.roots, root{path: filepath.Clean(path), dir: dir})
	}
	rt := agent{newGuard(s.Allow), s.UserAgent}
	r.http = &http.Client{Transport: rt, CheckRedirect: sameScheme}
	r.git = &http.Client{Transport: limited{rt, s.MaxRepository}, CheckRedirect: sameScheme}
	return r, nil
}

// Close frees the roots. No session may be in use.
func (r *Reader) Close() {
	for _, d := range r.roots {
		_ = d.dir.Close()
	}
}

// Open returns a session.
func (r *Reader) Open() Session {
	return &session{reader: r, files: map[Address]Content{}, repos: map[string]*repository{}}
}

// session implements Session over the three types.
type session struct {
	reader *Reader
	files  map[Address]Content // what was read whole
	bytes  int
	repos  map[string]*repository
	held   int64 // bytes of repos, about
}

// maxKept bounds what a session remembers.
const maxKept = 64 << 20

// Read implements Session.
func (s *session) Read(ctx context.Context, at Address, etag string) (Content, error) {
	if c, ok := s.files[at]; ok {
		if etag != "" && c.ETag == etag {
			return Content{ETag: etag, NotModified: true}, nil
		}
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.reader.settings.Timeout)
	defer cancel()
	var c Content
	var err error
	switch at.Type {
	case "file":
		c, err = s.readFile(at, etag)
	case "url":
		c, err = s.readURL(ctx, at, etag)
	case "git":
		c, err = s.readGit(ctx, at, etag)
	default:
		return c, unknownType(at.Type)
	}
	if err == nil && !c.NotModified && s.bytes < maxKept {
		for _, f := range c.Files {
			s.bytes += len(f.Body)
		}
		s.files[at] = c
	}
	return c, err
}

func unknownType(typ string) *host.Error {
	return host.Errorf(host.CodeInvalid, "the location type %q is not known", typ).WithHint("use file, url or git")
}

// Resolve implements Session.
func (s *session) Resolve(base Address, typ, target string) (Address, error) {
	remote := strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://")
	if typ == "" {
		if typ = base.Type; remote && base.Type != "url" {
			typ = "url"
		}
	}
	if base.Type != "" && base.Type != "file" && (typ == "file" || strings.HasPrefix(strings.ToLower(target), "file:")) {
		return Address{}, host.Errorf(host.CodeForbidden, "%s must not point to the file %q of this machine", base, target).
			WithHint("point to a URL, or to a path relative to the document")
	}
	switch typ {
	case "file":
		return s.resolveFile(base, target)
	case "url":
		return resolveURL(base, target)
	case "git":
		return resolveGit(base, target)
	default:
		return Address{}, unknownType(typ)
	}
}

// Close implements Session.
func (s *session) Close() {
	s.forget()
	s.files, s.repos = nil, nil
}

var _ Session = (*session)(nil)
