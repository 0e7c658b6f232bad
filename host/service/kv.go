package service

import (
	"context"
	"encoding/json"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
)

// KV is kv/v1: a small store for each instance, with a quota.
type KV struct{ store *kv.Store }

var _ plugin.Service = (*KV)(nil)

// NewKV returns the service over its port.
func NewKV(store *kv.Store) *KV { return &KV{store: store} }

// Serve answers one call.
func (k *KV) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, kvv1.Name)
	if err != nil {
		return nil, err
	}
	switch call.Method {
	case kvv1.MethodGet:
		return k.get(ctx, s, call.Body)
	case kvv1.MethodSet:
		return nil, k.set(ctx, s, quotaOf(grants), call.Body)
	case kvv1.MethodDelete:
		in, err := read[kvv1.DeleteRequest](call.Body)
		if err != nil {
			return nil, err
		}
		return nil, k.store.Delete(ctx, s.Instance.Tenant, s.Instance.ID, in.Key)
	case kvv1.MethodList:
		return k.list(ctx, s, call.Body)
	}
	return nil, unknownMethod(kvv1.Name, call.Method)
}

// quotaOf is the largest quota of the grants.
func quotaOf(grants []plugin.Grant) int64 {
	var most int64
	for _, g := range grants {
		if n, err := manifest.Bytes(g.Quota); err == nil {
			most = max(most, n)
		}
	}
	return most
}

func (k *KV) get(ctx context.Context, s *plugin.Session, body json.RawMessage) (any, error) {
	in, err := read[kvv1.GetRequest](body)
	if err != nil {
		return nil, err
	}
	value, found, err := k.store.Get(ctx, s.Instance.Tenant, s.Instance.ID, in.Key)
	if err != nil {
		return nil, err
	}
	return kvv1.GetResponse{Found: found, Value: value}, nil
}

// maxTTL is the longest time to live: a year.
const maxTTL = 366 * 24 * 60 * 60

func (k *KV) set(ctx context.Context, s *plugin.Session, quota int64, body json.RawMessage) error {
	in, err := read[kvv1.SetRequest](body)
	if err != nil {
		return err
	}
	if in.TTLSeconds < 0 || in.TTLSeconds > maxTTL {
		return host.Errorf(host.CodeInvalid, "ttlSeconds must be between 0 and %d", maxTTL)
	}
	return k.store.Set(ctx, s.Instance.Tenant, s.Instance.ID, in.Key, in.Value, time.Duration(in.TTLSeconds)*time.Second, quota)
}

func (k *KV) list(ctx context.Context, s *plugin.Session, body json.RawMessage) (any, error) {
	in, err := read[kvv1.ListRequest](body)
	if err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = 100
	}
	if in.Limit < 0 || in.Limit > kv.MaxList {
		return nil, host.Errorf(host.CodeInvalid, "limit must be between 1 and %d", kv.MaxList)
	}
	keys, next, err := k.store.List(ctx, s.Instance.Tenant, s.Instance.ID, in.Prefix, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	if keys == nil {
		keys = []string{}
	}
	return kvv1.ListResponse{Keys: keys, Next: next}, nil
}
