package blob

import (
	"context"
	"fmt"
	"io"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
	"github.com/callboard-dev/callboard/host/store"
)

// Reader reads a range of an object, as it was when it was opened. It belongs
// to one goroutine.
type Reader struct {
	store   *Store
	ctx     context.Context // an io.Reader has no other way to be cancelled
	place   Place
	digests []driver.Digest
	skip    int64 // of the next chunk
	left    int64
	chunk   []byte
}

var _ io.ReadCloser = (*Reader)(nil)

// Open opens a range of an object: from offset on, at most length bytes, or all
// that follows where length is 0. ctx ends all reads. CodeNotFound: there is no
// such object; CodeInvalid: it ends before offset.
func (s *Store) Open(ctx context.Context, p Place, key string, offset, length int64) (Object, *Reader, error) {
	if err := check(p, key); err != nil {
		return Object{}, nil, err
	}
	if offset < 0 || length < 0 {
		return Object{}, nil, host.Errorf(host.CodeInvalid, "offset and length must not be negative")
	}
	r := &Reader{store: s, ctx: ctx, place: p}
	var o *Object
	err := s.read(ctx, p, func(ctx context.Context, q store.Querier) (err error) {
		if o, err = stat(ctx, q, p, key); err != nil || o == nil {
			return err
		}
		if offset > o.Size {
			return host.Errorf(host.CodeInvalid, "the object has %d bytes; offset %d is behind its end", o.Size, offset)
		}
		if r.left = o.Size - offset; length > 0 {
			r.left = min(r.left, length)
		}
		return r.parts(ctx, q, key, offset)
	})
	if err != nil {
		return Object{}, nil, err
	}
	if o == nil {
		return Object{}, nil, host.Errorf(host.CodeNotFound, "there is no object %q", key)
	}
	return *o, r, nil
}

// parts finds the chunks of the range.
func (r *Reader) parts(ctx context.Context, q store.Querier, key string, offset int64) error {
	if r.left == 0 {
		return nil
	}
	first, last := offset/chunkBytes, (offset+r.left-1)/chunkBytes
	r.skip = offset % chunkBytes
	var digests [][]byte
	err := q.NewSelect().Model((*row)(nil)).Column("digest").Where("instance = ?", r.place.Instance).Where("key = ?", key).
		Where("part >= ?", first).Where("part <= ?", last).Order("part").Scan(ctx, &digests)
	if err != nil {
		return err
	}
	if int64(len(digests)) != last-first+1 {
		return fmt.Errorf("the object %q lacks chunks", key)
	}
	for _, d := range digests {
		r.digests = append(r.digests, driver.Digest(d))
	}
	return nil
}

// Read reads the next bytes; a chunk whose content is not what its name says is
// an error, not data.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(r.chunk) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.chunk[:min(int64(len(r.chunk)), r.left)])
	r.chunk, r.left = r.chunk[n:], r.left-int64(n)
	return n, nil
}

func (r *Reader) next() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if len(r.digests) == 0 {
		return io.ErrUnexpectedEOF
	}
	d := r.digests[0]
	chunk, err := r.store.driver.Get(r.ctx, r.place, d)
	if err != nil {
		return fmt.Errorf("reading chunk %s: %w", d, err)
	}
	if driver.Of(chunk) != d || int64(len(chunk)) <= r.skip {
		return fmt.Errorf("the chunk %s was damaged on disk", d)
	}
	r.digests, r.chunk, r.skip = r.digests[1:], chunk[r.skip:], 0
	return nil
}

// Close ends the reading.
func (r *Reader) Close() error {
	r.left, r.chunk, r.digests = 0, nil, nil
	return nil
}
