package source

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/callboard-dev/callboard/host"
)

// perObject is what keeping an object costs beside its bytes.
const perObject = 400

// maxEntries is how many entries of folders a pattern may look at.
const maxEntries = 500_000

// slots bounds how much of something happens at a time.
type slots chan struct{}

// take waits for a slot and returns what frees it.
func (s slots) take(ctx context.Context) (func(), error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, host.Errorf(host.CodeUnavailable, "the portal reads as many git repositories as it can at a time").
			WithHint("try again in a minute")
	}
}

// unpack makes a pack into objects and says how many bytes they have. What the
// pack grows to is known, and refused, before anything grows.
func (r *Reader) unpack(ctx context.Context, repo string, pack []byte) (*memory.Storage, int64, error) {
	free, err := r.unpacks.take(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer free()
	size, err := r.weigh(ctx, pack)
	if err != nil {
		return nil, 0, packError(ctx, repo, err)
	}
	storage := memory.NewStorage()
	parser, err := packfile.NewParserWithStorage(packfile.NewScanner(&attentive{ctx, bytes.NewReader(pack)}), storage)
	if err == nil {
		_, err = parser.Parse()
	}
	if err != nil {
		return nil, 0, packError(ctx, repo, err)
	}
	return storage, size, nil
}

func packError(ctx context.Context, repo string, err error) error {
	var he *host.Error
	if errors.As(err, &he) || ctx.Err() != nil {
		return err
	}
	return host.Errorf(host.CodeUpstream, "%s sent a pack that cannot be read: %w", repo, err).WithHint("check the repository with git fsck")
}

// weigh adds up what the objects of a pack will hold. A delta tells the size of
// what it makes at its start; few bytes of it may stand for gigabytes.
func (r *Reader) weigh(ctx context.Context, pack []byte) (int64, error) {
	scanner := packfile.NewScanner(&attentive{ctx, bytes.NewReader(pack)})
	_, count, err := scanner.Header()
	if err != nil {
		return 0, err
	}
	total, object := 4*r.settings.MaxRepository, r.maxObject()
	used := int64(count) * perObject
	add := func(n int64) error {
		if n < 0 || n > object || used+n > total {
			return tooLargeRepository()
		}
		used += n
		return nil
	}
	if err := add(0); err != nil {
		return 0, err
	}
	for range count {
		h, err := scanner.NextObjectHeader()
		if err != nil {
			return 0, err
		}
		if err := add(h.Length); err != nil {
			return 0, err
		}
		var start prefix
		if _, _, err := scanner.NextObject(&start); err != nil {
			return 0, err
		}
		if !h.Type.IsDelta() {
			continue
		}
		made, err := start.makes()
		if err != nil {
			return 0, err
		}
		if err := add(made); err != nil {
			return 0, err
		}
	}
	return used, nil
}

// maxObject is the most bytes that one object of a repository may have.
func (r *Reader) maxObject() int64 {
	return max(int64(r.settings.MaxDocument), r.settings.MaxRepository/4)
}

// prefix keeps the first bytes that are written to it: enough for the two
// sizes at the start of a delta.
type prefix struct {
	bytes [20]byte
	n     int
}

// Write implements io.Writer.
func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.bytes[p.n:], b)
	return len(b), nil
}

// makes returns the size of what a delta makes, the second number in it.
func (p *prefix) makes() (int64, error) {
	rest, size := p.bytes[:p.n], int64(0)
	for range 2 {
		size = 0
		for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
			if i == len(rest) || shift > 56 {
				return 0, packfile.ErrInvalidDelta
			}
			size |= int64(rest[i]&0x7f) << shift
			if rest[i]&0x80 == 0 {
				rest = rest[i+1:]
				break
			}
		}
	}
	return size, nil
}

// attentive is a reader that fails once nobody waits for it any more.
type attentive struct {
	ctx context.Context
	r   *bytes.Reader
}

// Read implements io.Reader.
func (a *attentive) Read(p []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	return a.r.Read(p)
}

// Seek implements io.Seeker.
func (a *attentive) Seek(offset int64, whence int) (int64, error) { return a.r.Seek(offset, whence) }

// eachFile calls do for the plain files of a tree that match. A tree may name
// another many times over, so that what is looked at is bounded too.
func eachFile(ctx context.Context, tree *object.Tree, match func(string) bool, do func(*object.File) error) error {
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for range maxEntries {
		name, entry, err := walker.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if entry.Mode == filemode.Dir || entry.Mode == filemode.Submodule || !match(name) {
			continue
		}
		blob, err := walker.Tree().TreeEntryFile(&entry)
		if err != nil {
			return err
		}
		blob.Name = name
		if err := do(blob); err != nil {
			return err
		}
	}
	return tooLargeRepository()
}

// keep remembers a fetched repository for the session: in place of others
// where all would be too much, and not where the sessions of all tenants hold
// too much already. It is fetched again then.
func (s *session) keep(key string, repo *repository) {
	most := 4 * s.reader.settings.MaxRepository
	if s.held+repo.size > most {
		s.forget()
	}
	if s.reader.held.Add(repo.size) > 2*most && repo.size > 0 {
		s.reader.held.Add(-repo.size)
		return
	}
	s.held += repo.size
	s.repos[key] = repo
}

// forget drops all repositories of the session.
func (s *session) forget() {
	s.reader.held.Add(-s.held)
	s.held = 0
	clear(s.repos)
}
