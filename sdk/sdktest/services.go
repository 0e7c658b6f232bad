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
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	configv1 "github.com/callboard-dev/callboard/schemas/service/config/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	logv1 "github.com/callboard-dev/callboard/schemas/service/log/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
	tracev1 "github.com/callboard-dev/callboard/schemas/service/trace/v1"
)

// door is where a host call arrives.
type door struct{ service, method string }

// service answers a host call; a nil answer is an empty body.
type service func(h *Host, ctx context.Context, call plugin.HostCall) (any, *plugin.Error)

// attached is an answer with raw bytes beside it.
type attached struct {
	body any
	data []byte
}

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

	{eventv1.Name, eventv1.MethodPublish}:  typed((*Host).eventPublish),
	{jobv1.Name, jobv1.MethodEnqueue}:      typed((*Host).jobEnqueue),
	{jobv1.Name, jobv1.MethodStatus}:       typed((*Host).jobStatus),
	{jobv1.Name, jobv1.MethodCancel}:       typed((*Host).jobCancel),
	{jobv1.Name, jobv1.MethodRetry}:        typed((*Host).jobRetry),
	{jobv1.Name, jobv1.MethodProgress}:     typed((*Host).jobProgress),
	{jobv1.Name, jobv1.MethodList}:         typed((*Host).jobList),
	{mailv1.Name, mailv1.MethodSend}:       typed((*Host).mailSend),
	{metricv1.Name, metricv1.MethodRecord}: typed((*Host).metricRecord),
	{tracev1.Name, tracev1.MethodRecord}:   typed((*Host).traceRecord),

	{tablev1.Name, tablev1.MethodSelect}:    typed((*Host).tableSelect),
	{tablev1.Name, tablev1.MethodAggregate}: typed((*Host).tableAggregate),
	{tablev1.Name, tablev1.MethodInsert}:    typed((*Host).tableInsert),
	{tablev1.Name, tablev1.MethodUpsert}:    typed((*Host).tableUpsert),
	{tablev1.Name, tablev1.MethodUpdate}:    typed((*Host).tableUpdate),
	{tablev1.Name, tablev1.MethodDelete}:    typed((*Host).tableDelete),
	{tablev1.Name, tablev1.MethodBatch}:     typed((*Host).tableBatch),
	{blobv1.Name, blobv1.MethodPut}:         carrying((*Host).blobPut),
	{blobv1.Name, blobv1.MethodGet}:         typed((*Host).blobGet),
	{blobv1.Name, blobv1.MethodStat}:        typed((*Host).blobStat),
	{blobv1.Name, blobv1.MethodList}:        typed((*Host).blobList),
	{blobv1.Name, blobv1.MethodDelete}:      typed((*Host).blobDelete),
	{blobv1.Name, blobv1.MethodOpen}:        typed((*Host).blobOpen),
	{blobv1.Name, blobv1.MethodCreate}:      typed((*Host).blobCreate),
	{blobv1.Name, blobv1.MethodCommit}:      typed((*Host).blobCommit),
	{cachev1.Name, cachev1.MethodGet}:       typed((*Host).cacheGet),
	{cachev1.Name, cachev1.MethodSet}:       carrying((*Host).cacheSet),
	{cachev1.Name, cachev1.MethodDelete}:    typed((*Host).cacheDelete),
	{cachev1.Name, cachev1.MethodIncr}:      typed((*Host).cacheIncr),
	{cachev1.Name, cachev1.MethodGetOrLock}: typed((*Host).cacheGetOrLock),
	{searchv1.Name, searchv1.MethodQuery}:   typed((*Host).searchQuery),
	{streamv1.Name, streamv1.MethodRead}:    typed((*Host).streamRead),
	{streamv1.Name, streamv1.MethodWrite}:   carrying((*Host).streamWrite),
	{streamv1.Name, streamv1.MethodBegin}:   typed((*Host).streamBegin),
	{streamv1.Name, streamv1.MethodClose}:   typed((*Host).streamClose),
}

// needsPermission are the services that a manifest must ask for.
var needsPermission = map[string]bool{
	httpv1.Name: true, kvv1.Name: true, catalogv1.Name: true, tablev1.Name: true, blobv1.Name: true, cachev1.Name: true, searchv1.Name: true,
	eventv1.Name: true, jobv1.Name: true, mailv1.Name: true, metricv1.Name: true,
}

// typed decodes the request of a service method.
func typed[In any](f func(*Host, context.Context, In) (any, *plugin.Error)) service {
	return carrying(func(h *Host, ctx context.Context, in In, _ []byte) (any, *plugin.Error) { return f(h, ctx, in) })
}

// carrying does the same for a method that takes raw bytes beside its request.
func carrying[In any](f func(*Host, context.Context, In, []byte) (any, *plugin.Error)) service {
	return func(h *Host, ctx context.Context, call plugin.HostCall) (any, *plugin.Error) {
		var in In
		if len(call.Body) > 0 {
			if err := json.Unmarshal(call.Body, &in); err != nil {
				return nil, fault(plugin.CodeInvalid, "decoding the request: %v", err)
			}
		}
		return f(h, ctx, in, call.Data)
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
