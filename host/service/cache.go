package service

import (
	"context"
	"encoding/json"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
)

// Caches is cache/v1: values of each instance for a time, within a quota.
type Caches struct{ store *cache.Store }

var _ plugin.Service = (*Caches)(nil)

// NewCaches returns the service over its port.
func NewCaches(store *cache.Store) *Caches { return &Caches{store: store} }

// Serve answers one call.
func (k *Caches) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	grants, err := granted(s, cachev1.Name)
	if err != nil {
		return nil, err
	}
	p, quota := cache.Place{Tenant: s.Instance.Tenant, Instance: s.Instance.ID}, quotaOf(grants)
	switch call.Method {
	case cachev1.MethodGet:
		return k.get(ctx, p, call.Body)
	case cachev1.MethodSet:
		return nil, k.set(ctx, p, quota, call)
	case cachev1.MethodDelete:
		in, err := read[cachev1.KeyRequest](call.Body)
		if err != nil {
			return nil, err
		}
		return nil, k.store.Delete(ctx, p, in.Key)
	case cachev1.MethodIncr:
		return k.incr(ctx, p, quota, call.Body)
	case cachev1.MethodGetOrLock:
		return k.getOrLock(ctx, p, call.Body)
	}
	return nil, unknownMethod(cachev1.Name, call.Method)
}

func (k *Caches) get(ctx context.Context, p cache.Place, body json.RawMessage) (any, error) {
	in, err := read[cachev1.KeyRequest](body)
	if err != nil {
		return nil, err
	}
	value, found, err := k.store.Get(ctx, p, in.Key)
	return plugin.Attached{Body: cachev1.GetResponse{Found: found}, Data: value}, err
}

// seconds turns seconds of a request into a duration that cannot overflow.
func seconds(n int) (time.Duration, error) {
	if n < 0 || n > maxTTL {
		return 0, host.Errorf(host.CodeInvalid, "a time must be from 0 to %d seconds", maxTTL)
	}
	return time.Duration(n) * time.Second, nil
}

func (k *Caches) set(ctx context.Context, p cache.Place, quota int64, call pluginv1.HostCall) error {
	in, err := read[cachev1.SetRequest](call.Body)
	if err != nil {
		return err
	}
	ttl, err := seconds(in.TTLSeconds)
	if err != nil {
		return err
	}
	return k.store.Set(ctx, p, in.Key, call.Data, ttl, quota, in.Lock)
}

func (k *Caches) incr(ctx context.Context, p cache.Place, quota int64, body json.RawMessage) (any, error) {
	in, err := read[cachev1.IncrRequest](body)
	if err != nil {
		return nil, err
	}
	ttl, err := seconds(in.TTLSeconds)
	if err != nil {
		return nil, err
	}
	n, err := k.store.Incr(ctx, p, in.Key, in.By, ttl, quota)
	return cachev1.IncrResponse{Value: n}, err
}

// maxWait is the longest wait of getOrLock; the call's own time is shorter
// mostly.
const maxWait = 60_000

func (k *Caches) getOrLock(ctx context.Context, p cache.Place, body json.RawMessage) (any, error) {
	in, err := read[cachev1.LockRequest](body)
	if err != nil {
		return nil, err
	}
	lock, err := seconds(in.LockSeconds)
	if err != nil {
		return nil, err
	}
	if in.WaitMillis < 0 || in.WaitMillis > maxWait {
		return nil, host.Errorf(host.CodeInvalid, "waitMillis must be from 0 to %d", maxWait)
	}
	a, err := k.store.GetOrLock(ctx, p, in.Key, lock, time.Duration(in.WaitMillis)*time.Millisecond)
	return plugin.Attached{Body: cachev1.LockResponse{Found: a.Found, Lock: a.Lock}, Data: a.Value}, err
}
