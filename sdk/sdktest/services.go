package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
)

// door is where a host call arrives.
type door struct{ service, method string }

// service answers a host call; a nil answer is an empty body.
type service func(h *Host, ctx context.Context, body json.RawMessage) (any, *plugin.Error)

// services is the table of all doors.
var services = map[door]service{
	{httpv1.Name, httpv1.MethodDo}:         typed((*Host).httpDo),
	{kvv1.Name, kvv1.MethodGet}:            typed((*Host).kvGet),
	{kvv1.Name, kvv1.MethodSet}:            typed((*Host).kvSet),
	{kvv1.Name, kvv1.MethodDelete}:         typed((*Host).kvDelete),
	{kvv1.Name, kvv1.MethodList}:           typed((*Host).kvList),
	{catalogv1.Name, catalogv1.MethodGet}:  typed((*Host).catalogGet),
	{catalogv1.Name, catalogv1.MethodList}: typed((*Host).catalogList),
	{configv1.Name, configv1.MethodGet}:    typed((*Host).configGet),
	{logv1.Name, logv1.MethodWrite}:        typed((*Host).logWrite),
}

// needsPermission are the services that a manifest must ask for.
var needsPermission = map[string]bool{httpv1.Name: true, kvv1.Name: true, catalogv1.Name: true}

// typed decodes the request of a service method.
func typed[In any](f func(*Host, context.Context, In) (any, *plugin.Error)) service {
	return func(h *Host, ctx context.Context, body json.RawMessage) (any, *plugin.Error) {
		var in In
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, fault(plugin.CodeInvalid, "decoding the request: %v", err)
			}
		}
		return f(h, ctx, in)
	}
}

func fault(code, format string, args ...any) *plugin.Error {
	return &plugin.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func refuse(code, format string, args ...any) plugin.Result {
	return plugin.Result{Error: fault(code, format, args...)}
}

func (h *Host) configGet(_ context.Context, _ struct{}) (any, *plugin.Error) {
	return configv1.Response{Config: h.config, Secrets: slices.Sorted(maps.Keys(h.secrets))}, nil
}

func (h *Host) logWrite(_ context.Context, line logv1.Line) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logs = append(h.logs, line)
	return nil, nil
}

// LogLine is one line that the plugin logged.
type LogLine = logv1.Line

// Logs returns what the plugin logged so far.
func (h *Host) Logs() []LogLine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.logs)
}

// stored is one value of the store; a zero expiry is none.
type stored struct {
	value   []byte
	expires time.Time
}

// defaultQuota is what a plugin may store whose manifest does not say.
const defaultQuota = 1 << 20

func (h *Host) kvGet(_ context.Context, in kvv1.GetRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	s, ok := h.store[in.Key]
	return kvv1.GetResponse{Found: ok, Value: s.value}, nil
}

func (h *Host) kvSet(_ context.Context, in kvv1.SetRequest) (any, *plugin.Error) {
	if in.Key == "" || len(in.Key) > kvv1.MaxKeyBytes {
		return nil, fault(plugin.CodeInvalid, "a key has 1 to %d bytes, this one has %d", kvv1.MaxKeyBytes, len(in.Key))
	}
	if in.TTLSeconds < 0 {
		return nil, fault(plugin.CodeInvalid, "the time to live is negative")
	}
	quota, err := parseSize(h.permission(kvv1.Name).Quota)
	if err != nil {
		return nil, fault(plugin.CodeInternal, "reading the quota: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	used := len(in.Key) + len(in.Value)
	for key, s := range h.store {
		if key != in.Key {
			used += len(key) + len(s.value)
		}
	}
	if used > quota {
		return nil, fault(plugin.CodeLimit, "the store would hold %d bytes, its quota is %d", used, quota)
	}
	s := stored{value: in.Value}
	if in.TTLSeconds > 0 {
		s.expires = h.now.Add(time.Duration(in.TTLSeconds) * time.Second)
	}
	h.store[in.Key] = s
	return nil, nil
}

func (h *Host) kvDelete(_ context.Context, in kvv1.DeleteRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.store, in.Key)
	return nil, nil
}

func (h *Host) kvList(_ context.Context, in kvv1.ListRequest) (any, *plugin.Error) {
	limit := in.Limit
	if limit == 0 {
		limit = 100
	}
	if limit < 0 || limit > 1000 {
		return nil, fault(plugin.CodeInvalid, "the limit is 1 to 1000")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	out := kvv1.ListResponse{Keys: []string{}}
	for _, key := range slices.Sorted(maps.Keys(h.store)) {
		if !strings.HasPrefix(key, in.Prefix) || key <= in.After {
			continue
		}
		if len(out.Keys) == limit {
			out.Next = out.Keys[limit-1]
			break
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

// expire drops what has expired; the lock is held.
func (h *Host) expire() {
	maps.DeleteFunc(h.store, func(_ string, s stored) bool {
		return !s.expires.IsZero() && !h.now.Before(s.expires)
	})
}

// Stored returns what the plugin keeps in its store, by key.
func (h *Host) Stored() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	out := make(map[string]string, len(h.store))
	for key, s := range h.store {
		out[key] = string(s.value)
	}
	return out
}

// Store puts a value into the plugin's store, past its quota.
func (h *Host) Store(key, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.store[key] = stored{value: []byte(value)}
}

// parseSize reads "64KiB", "1MiB", "1GiB" or bytes; "" is the default.
func parseSize(s string) (int, error) {
	if s == "" {
		return defaultQuota, nil
	}
	for suffix, shift := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if number, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.Atoi(strings.TrimSpace(number))
			return n << shift, err
		}
	}
	return strconv.Atoi(strings.TrimSuffix(s, "B"))
}
