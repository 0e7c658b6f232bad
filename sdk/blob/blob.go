// Package blob keeps larger objects that belong to one plugin in one tenant:
// the host service blob/v1. What they may be together is the quota of the
// permission in plugin.yaml; a write beyond it is CodeLimit.
package blob

import (
	"context"
	"io"
	"iter"

	v1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/stream"
)

// Object is what is known of an object.
type Object = v1.Object

// Absent is the condition of an object that must not exist yet.
const Absent = "none"

// MaxInline is the most that Put and Get move; Create and Open have no limit
// but the quota.
const MaxInline = v1.MaxInline

// Option changes how an object is stored.
type Option func(*v1.PutRequest)

// Type sets the content type; without it, it is application/octet-stream.
func Type(contentType string) Option {
	return func(r *v1.PutRequest) { r.ContentType = contentType }
}

// IfMatch stores the object only in place of the one with that ETag, or where
// there is none (Absent); otherwise it is CodeConflict.
func IfMatch(etag string) Option {
	return func(r *v1.PutRequest) { r.IfMatch = etag }
}

func request(key string, options []Option) v1.PutRequest {
	r := v1.PutRequest{Key: key}
	for _, o := range options {
		o(&r)
	}
	return r
}

// Put stores an object, or replaces it.
func Put(ctx context.Context, key string, data []byte, options ...Option) (o Object, err error) {
	_, err = sdk.Exchange(ctx, v1.Name, v1.MethodPut, request(key, options), data, &o)
	return o, err
}

// Get returns an object. CodeNotFound: there is none.
func Get(ctx context.Context, key string) (o Object, data []byte, err error) {
	return Range(ctx, key, 0, 0)
}

// Range returns a part of an object: from offset on, at most length bytes, or
// all that follows where length is 0.
func Range(ctx context.Context, key string, offset, length int64) (o Object, data []byte, err error) {
	data, err = sdk.Exchange(ctx, v1.Name, v1.MethodGet, v1.GetRequest{Key: key, Offset: offset, Length: length}, nil, &o)
	return o, data, err
}

// Stat returns what is known of an object; nil where there is none.
func Stat(ctx context.Context, key string) (*Object, error) {
	var out v1.StatResponse
	err := sdk.Do(ctx, v1.Name, v1.MethodStat, v1.StatRequest{Key: key}, &out)
	return out.Object, err
}

// Delete removes an object; one that does not exist is no error.
func Delete(ctx context.Context, key string) error {
	return sdk.Do(ctx, v1.Name, v1.MethodDelete, v1.DeleteRequest{Key: key}, nil)
}

// List walks the objects with a prefix, in the order of their keys. An error
// ends the walk.
func List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		after := ""
		for {
			var out v1.ListResponse
			if err := sdk.Do(ctx, v1.Name, v1.MethodList, v1.ListRequest{Prefix: prefix, After: after}, &out); err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range out.Objects {
				if !yield(o, nil) {
					return
				}
			}
			if after = out.Next; after == "" {
				return
			}
		}
	}
}

// Open opens a part of an object for reading, as Range does. Close it.
func Open(ctx context.Context, key string, offset, length int64) (Object, io.ReadCloser, error) {
	var out v1.OpenResponse
	err := sdk.Do(ctx, v1.Name, v1.MethodOpen, v1.GetRequest{Key: key, Offset: offset, Length: length}, &out)
	if err != nil {
		return Object{}, nil, err
	}
	return out.Object, stream.NewReader(ctx, out.Handle), nil
}

// Writer writes an object. Nothing is visible before Commit.
type Writer struct {
	*stream.Writer
	ctx context.Context
}

// Create begins an object, or what replaces it. What is not committed when the
// call ends is dropped.
func Create(ctx context.Context, key string, options ...Option) (*Writer, error) {
	var out v1.CreateResponse
	if err := sdk.Do(ctx, v1.Name, v1.MethodCreate, request(key, options), &out); err != nil {
		return nil, err
	}
	return &Writer{Writer: stream.NewWriter(ctx, out.Handle), ctx: ctx}, nil
}

// Commit makes what was written the object.
func (w *Writer) Commit() (o Object, err error) {
	err = sdk.Do(w.ctx, v1.Name, v1.MethodCommit, v1.CommitRequest{Handle: w.Handle()}, &o)
	return o, err
}
