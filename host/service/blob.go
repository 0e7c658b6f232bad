package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
)

// Blobs is blob/v1: larger objects of each instance, with a quota.
type Blobs struct{ store *blob.Store }

var _ plugin.Service = (*Blobs)(nil)

// NewBlobs returns the service over its port.
func NewBlobs(store *blob.Store) *Blobs { return &Blobs{store: store} }

// blobCall is one call, with whom it is for.
type blobCall struct {
	*blob.Store
	session *plugin.Session
	place   blob.Place
	quota   int64
	data    []byte
}

// Serve answers one call.
func (k *Blobs) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, blobv1.Name)
	if err != nil {
		return nil, err
	}
	c := blobCall{Store: k.store, session: s, place: blob.Place{Tenant: s.Instance.Tenant, Instance: s.Instance.ID}, quota: quotaOf(grants), data: call.Data}
	methods := map[string]func(context.Context, json.RawMessage) (any, error){
		blobv1.MethodPut: c.put, blobv1.MethodGet: c.get, blobv1.MethodStat: c.stat, blobv1.MethodList: c.list,
		blobv1.MethodDelete: c.delete, blobv1.MethodOpen: c.open, blobv1.MethodCreate: c.create, blobv1.MethodCommit: c.commit,
	}
	if method := methods[call.Method]; method != nil {
		return method(ctx, call.Body)
	}
	return nil, unknownMethod(blobv1.Name, call.Method)
}

func wireObject(o blob.Object) blobv1.Object {
	return blobv1.Object{Key: o.Key, Size: o.Size, ETag: o.ETag, ContentType: o.ContentType, Modified: o.Modified.Format(time.RFC3339Nano)}
}

func (c *blobCall) put(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.PutRequest](body)
	if err != nil {
		return nil, err
	}
	if len(c.data) > blobv1.MaxInline {
		return nil, host.Errorf(host.CodeTooLarge, "the object has %d bytes, at most %d fit into one call", len(c.data), blobv1.MaxInline).
			WithHint("write it in pieces: create, then stream/v1, then commit")
	}
	w, err := c.begin(ctx, in)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(c.data); err != nil {
		return nil, err
	}
	o, err := w.Commit(ctx)
	return wireObject(o), err
}

func (c *blobCall) begin(ctx context.Context, in blobv1.PutRequest) (*blob.Writer, error) {
	return c.Create(ctx, c.place, blob.Put{Key: in.Key, ContentType: in.ContentType, IfMatch: in.IfMatch, Quota: c.quota})
}

func (c *blobCall) get(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.GetRequest](body)
	if err != nil {
		return nil, err
	}
	o, r, err := c.Open(ctx, c.place, in.Key, in.Offset, in.Length)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it only forgets
	n := o.Size - in.Offset
	if in.Length > 0 {
		n = min(n, in.Length)
	}
	if n > blobv1.MaxInline {
		return nil, host.Errorf(host.CodeTooLarge, "%d bytes are asked for, at most %d fit into one call", n, blobv1.MaxInline).
			WithHint("read it in pieces: open, then stream/v1; or ask for a range")
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	return plugin.Attached{Body: wireObject(o), Data: data}, nil
}

func (c *blobCall) stat(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.StatRequest](body)
	if err != nil {
		return nil, err
	}
	o, err := c.Stat(ctx, c.place, in.Key)
	if err != nil || o == nil {
		return blobv1.StatResponse{}, err
	}
	wire := wireObject(*o)
	return blobv1.StatResponse{Object: &wire}, nil
}

func (c *blobCall) list(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.ListRequest](body)
	if err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = 100
	}
	if in.Limit < 0 || in.Limit > blobv1.MaxList {
		return nil, host.Errorf(host.CodeInvalid, "limit must be between 1 and %d", blobv1.MaxList)
	}
	list, next, err := c.List(ctx, c.place, in.Prefix, in.After, in.Limit)
	out := blobv1.ListResponse{Objects: make([]blobv1.Object, 0, len(list)), Next: next}
	for _, o := range list {
		out.Objects = append(out.Objects, wireObject(o))
	}
	return out, err
}

func (c *blobCall) delete(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.DeleteRequest](body)
	if err != nil {
		return nil, err
	}
	return nil, c.Delete(ctx, c.place, in.Key)
}

func (c *blobCall) open(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.GetRequest](body)
	if err != nil {
		return nil, err
	}
	// The stream outlives this call of the host: its own calls carry the time.
	o, r, err := c.Open(context.WithoutCancel(ctx), c.place, in.Key, in.Offset, in.Length)
	if err != nil {
		return nil, err
	}
	handle, err := c.session.Open(r)
	return blobv1.OpenResponse{Object: wireObject(o), Handle: handle}, err
}

func (c *blobCall) create(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.PutRequest](body)
	if err != nil {
		return nil, err
	}
	w, err := c.begin(context.WithoutCancel(ctx), in)
	if err != nil {
		return nil, err
	}
	handle, err := c.session.Create(w)
	return blobv1.CreateResponse{Handle: handle}, err
}

func (c *blobCall) commit(ctx context.Context, body json.RawMessage) (any, error) {
	in, err := read[blobv1.CommitRequest](body)
	if err != nil {
		return nil, err
	}
	end, err := c.session.End(in.Handle)
	if err != nil {
		return nil, err
	}
	var o blob.Object
	err = end.Finish(ctx, func(stream io.Writer) (err error) {
		w, ok := stream.(*blob.Writer)
		if !ok {
			return host.Errorf(host.CodeInvalid, "the stream %d is no object that is being written", in.Handle)
		}
		o, err = w.Commit(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return wireObject(o), c.session.Release(in.Handle)
}
