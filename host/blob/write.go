package blob

import (
	"bytes"
	"context"
	"io"
	"mime"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
	"github.com/callboard-dev/callboard/host/store"
)

// Put says what is to be stored, and on what condition.
type Put struct {
	Key string
	// ContentType is application/octet-stream if empty.
	ContentType string
	// IfMatch, if set, is the ETag that the object must have when the new one
	// takes its place, or Absent.
	IfMatch string
	// Quota is what the instance may keep, in bytes.
	Quota int64
}

// Writer takes the bytes of an object. Nothing is visible before Commit. It
// belongs to one goroutine.
type Writer struct {
	store   *Store
	ctx     context.Context // an io.Writer has no other way to be cancelled
	place   Place
	put     Put
	buffer  []byte
	size    int64
	digests []driver.Digest
	done    bool
}

var _ io.WriteCloser = (*Writer)(nil)

// Create begins an object. ctx ends all writes.
func (s *Store) Create(ctx context.Context, p Place, put Put) (*Writer, error) {
	if err := check(p, put.Key); err != nil {
		return nil, err
	}
	if put.ContentType == "" {
		put.ContentType = defaultType
	}
	if _, _, err := mime.ParseMediaType(put.ContentType); err != nil || len(put.ContentType) > 200 {
		return nil, host.Errorf(host.CodeInvalid, "the content type cannot be read").WithHint("write a media type such as text/csv")
	}
	return &Writer{store: s, ctx: ctx, place: p, put: put}, nil
}

// Write adds bytes.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.done {
		return 0, host.Errorf(host.CodeInvalid, "the object is finished already")
	}
	if limit := min(w.put.Quota, MaxObjectBytes); w.size+int64(len(p)) > limit {
		return 0, host.Errorf(host.CodeLimit, "the object has more than %d bytes, which is all that may be stored", limit).
			WithHint("ask for a larger quota in the manifest")
	}
	for len(p) > 0 {
		room := min(chunkBytes-len(w.buffer), len(p))
		w.buffer = append(w.buffer, p[:room]...)
		p, n, w.size = p[room:], n+room, w.size+int64(room)
		if len(w.buffer) == chunkBytes {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush puts the chunk that is full, or the last.
func (w *Writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	d := driver.Of(w.buffer)
	if err := w.store.driver.Put(w.ctx, w.place, d, w.buffer); err != nil {
		return err
	}
	w.digests = append(w.digests, d)
	w.buffer = w.buffer[:0]
	return nil
}

// Commit makes the bytes the object. CodeConflict: the condition does not hold;
// CodeLimit: the quota does not suffice. Either way nothing changes, and the
// Writer is finished.
func (w *Writer) Commit(ctx context.Context) (Object, error) {
	if w.done {
		return Object{}, host.Errorf(host.CodeInvalid, "the object is finished already")
	}
	if err := w.flush(); err != nil {
		return Object{}, err
	}
	w.done = true
	o := Object{
		Key: w.put.Key, Size: w.size, ContentType: w.put.ContentType, Modified: w.store.now().UTC().Truncate(time.Microsecond),
		ETag: etag(w.put.ContentType, w.size, w.digests),
	}
	err := w.store.write(ctx, w.place, func(ctx context.Context, q store.Querier) error { return w.replace(ctx, q, o) })
	w.store.sweep(ctx, w.place)
	if err != nil {
		return Object{}, err
	}
	return o, nil
}

// replace puts the new rows in the place of the old ones.
func (w *Writer) replace(ctx context.Context, q store.Querier, o Object) error {
	old, err := stat(ctx, q, w.place, o.Key)
	if err != nil {
		return err
	}
	if err := w.put.admit(old); err != nil {
		return err
	}
	if _, err := q.NewDelete().Model((*row)(nil)).Where("instance = ?", w.place.Instance).Where("key = ?", o.Key).Exec(ctx); err != nil {
		return err
	}
	have, err := used(ctx, q, w.place)
	if err != nil {
		return err
	}
	if more := o.Size + int64(len(o.Key)) + objectBytes; have+more > w.put.Quota {
		return host.Errorf(host.CodeLimit, "the objects are too large: %d of %d bytes are used and %d more are needed", have, w.put.Quota, more).
			WithHint("delete objects, or ask for a larger quota in the manifest")
	}
	rows := make([]row, 0, len(w.digests)+1)
	rows = append(rows, row{
		Instance: w.place.Instance, Key: o.Key, Part: head, Digest: []byte{}, Size: o.Size, ETag: o.ETag, Type: o.ContentType, Modified: o.Modified,
	})
	for i, d := range w.digests {
		rows = append(rows, row{
			Instance: w.place.Instance, Key: o.Key, Part: int64(i), Digest: bytes.Clone(d[:]), Size: min(chunkBytes, o.Size-int64(i)*chunkBytes), Modified: o.Modified,
		})
	}
	for len(rows) > 0 {
		n := min(500, len(rows))
		part := rows[:n]
		if _, err := q.NewInsert().Model(&part).Exec(ctx); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// admit checks the condition.
func (p Put) admit(old *Object) error {
	switch {
	case p.IfMatch == "":
		return nil
	case p.IfMatch == Absent && old != nil:
		return host.Errorf(host.CodeConflict, "there is an object %q already", p.Key)
	case p.IfMatch == Absent:
		return nil
	case old == nil || old.ETag != p.IfMatch:
		return host.Errorf(host.CodeConflict, "the object %q was changed by somebody else", p.Key).WithHint("read it again, and try once more with its ETag")
	}
	return nil
}

// Close drops what was not committed.
func (w *Writer) Close() error {
	w.done, w.buffer = true, nil
	return nil
}
