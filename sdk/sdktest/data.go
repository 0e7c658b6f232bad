package sdktest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest/internal/memtable"
)

// object is one object of blob/v1.
type object struct {
	blobv1.Object
	data []byte
}

// streams are the open bodies of the call that runs.
type streams struct {
	last    int64
	readers map[int64]io.Reader
	writers map[int64]*draft
}

// draft is what was written to a stream, and what becomes of it.
type draft struct {
	bytes.Buffer
	put  *blobv1.PutRequest
	head *streamv1.BeginRequest
}

// openData makes what the services of data keep.
func (h *Host) openData() {
	h.tables = memtable.New(nil, 0)
	if p := h.permission(tablev1.Name); p != nil {
		h.tables = memtable.New(p.Tables, p.Rows)
	}
	h.blobs, h.cache, h.locks = map[string]object{}, map[string]stored{}, map[string]string{}
	h.closeStreams()
}

// endCall closes what a call left open.
func (h *Host) endCall() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeStreams()
}

func (h *Host) closeStreams() {
	h.streams = streams{last: 15, readers: map[int64]io.Reader{}, writers: map[int64]*draft{}}
}

func (h *Host) tableSelect(_ context.Context, in tablev1.SelectRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return plain(h.tables.Select(in))
}

func (h *Host) tableAggregate(_ context.Context, in tablev1.AggregateRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return plain(h.tables.Aggregate(in))
}

func plain[T any](out T, err *plugin.Error) (any, *plugin.Error) { return out, err }

func (h *Host) tableBatch(_ context.Context, in tablev1.BatchRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return plain(h.tables.Batch(in))
}

func (h *Host) tableOne(op tablev1.Operation) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out, err := h.tables.Batch(tablev1.BatchRequest{Operations: []tablev1.Operation{op}})
	if err != nil {
		return nil, err
	}
	return out.Results[0], nil
}

func (h *Host) tableInsert(_ context.Context, in tablev1.WriteRequest) (any, *plugin.Error) {
	return h.tableOne(tablev1.Operation{Insert: &in})
}

func (h *Host) tableUpsert(_ context.Context, in tablev1.WriteRequest) (any, *plugin.Error) {
	return h.tableOne(tablev1.Operation{Upsert: &in})
}

func (h *Host) tableUpdate(_ context.Context, in tablev1.UpdateRequest) (any, *plugin.Error) {
	return h.tableOne(tablev1.Operation{Update: &in})
}

func (h *Host) tableDelete(_ context.Context, in tablev1.DeleteRequest) (any, *plugin.Error) {
	return h.tableOne(tablev1.Operation{Delete: &in})
}

func (h *Host) blobPut(_ context.Context, in blobv1.PutRequest, data []byte) (any, *plugin.Error) {
	if len(data) > blobv1.MaxInline {
		return nil, fault(plugin.CodeLimit, "the object has %d bytes, at most %d fit into one call", len(data), blobv1.MaxInline)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keepBlob(in, data)
}

// keepBlob stores an object; the lock is held.
func (h *Host) keepBlob(in blobv1.PutRequest, data []byte) (any, *plugin.Error) {
	if in.Key == "" || len(in.Key) > blobv1.MaxKeyBytes {
		return nil, fault(plugin.CodeInvalid, "a key has 1 to %d bytes, this one has %d", blobv1.MaxKeyBytes, len(in.Key))
	}
	old, there := h.blobs[in.Key]
	if in.IfMatch == "none" && there || in.IfMatch != "" && in.IfMatch != "none" && old.ETag != in.IfMatch {
		return nil, fault(plugin.CodeConflict, "the object %q was changed by somebody else", in.Key)
	}
	quota, err := parseSize(h.permission(blobv1.Name).Quota)
	if err != nil {
		return nil, fault(plugin.CodeInternal, "reading the quota: %v", err)
	}
	used := len(data)
	for key, o := range h.blobs {
		if key != in.Key {
			used += len(o.data)
		}
	}
	if used > quota {
		return nil, fault(plugin.CodeLimit, "the objects would have %d bytes, the quota is %d", used, quota)
	}
	contentType := cmp.Or(in.ContentType, "application/octet-stream")
	sum := sha256.Sum256(append([]byte(contentType+"\n"), data...))
	o := object{data: bytes.Clone(data), Object: blobv1.Object{
		Key: in.Key, Size: int64(len(data)), ETag: hex.EncodeToString(sum[:16]), ContentType: contentType, Modified: h.now.UTC().Format(time.RFC3339Nano),
	}}
	h.blobs[in.Key] = o
	return o.Object, nil
}

// blobRange finds a range of an object; the lock is held.
func (h *Host) blobRange(in blobv1.GetRequest) (object, []byte, *plugin.Error) {
	o, there := h.blobs[in.Key]
	switch {
	case !there:
		return o, nil, fault(plugin.CodeNotFound, "there is no object %q", in.Key)
	case in.Offset < 0 || in.Length < 0 || in.Offset > o.Size:
		return o, nil, fault(plugin.CodeInvalid, "the range does not fit an object of %d bytes", o.Size)
	}
	data := o.data[in.Offset:]
	if in.Length > 0 {
		data = data[:min(in.Length, int64(len(data)))]
	}
	return o, bytes.Clone(data), nil
}

func (h *Host) blobGet(_ context.Context, in blobv1.GetRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, data, err := h.blobRange(in)
	if err != nil {
		return nil, err
	}
	if len(data) > blobv1.MaxInline {
		return nil, fault(plugin.CodeLimit, "%d bytes are asked for, at most %d fit into one call", len(data), blobv1.MaxInline)
	}
	return attached{o.Object, data}, nil
}

func (h *Host) blobStat(_ context.Context, in blobv1.StatRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, there := h.blobs[in.Key]; there {
		return blobv1.StatResponse{Object: &o.Object}, nil
	}
	return blobv1.StatResponse{}, nil
}

func (h *Host) blobList(_ context.Context, in blobv1.ListRequest) (any, *plugin.Error) {
	limit := cmp.Or(in.Limit, 100)
	if limit < 0 || limit > blobv1.MaxList {
		return nil, fault(plugin.CodeInvalid, "the limit is 1 to %d", blobv1.MaxList)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out := blobv1.ListResponse{Objects: []blobv1.Object{}}
	for _, key := range slices.Sorted(maps.Keys(h.blobs)) {
		if !strings.HasPrefix(key, in.Prefix) || key <= in.After {
			continue
		}
		if len(out.Objects) == limit {
			out.Next = out.Objects[limit-1].Key
			break
		}
		out.Objects = append(out.Objects, h.blobs[key].Object)
	}
	return out, nil
}

func (h *Host) blobDelete(_ context.Context, in blobv1.DeleteRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.blobs, in.Key)
	return nil, nil
}

func (h *Host) blobOpen(_ context.Context, in blobv1.GetRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, data, err := h.blobRange(in)
	if err != nil {
		return nil, err
	}
	h.streams.last++
	h.streams.readers[h.streams.last] = bytes.NewReader(data)
	return blobv1.OpenResponse{Object: o.Object, Handle: h.streams.last}, nil
}

func (h *Host) blobCreate(_ context.Context, in blobv1.PutRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams.last++
	h.streams.writers[h.streams.last] = &draft{put: &in}
	return blobv1.CreateResponse{Handle: h.streams.last}, nil
}

func (h *Host) blobCommit(_ context.Context, in blobv1.CommitRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.streams.writers[in.Handle]
	if w == nil || w.put == nil {
		return nil, fault(plugin.CodeNotFound, "this call has no open object %d", in.Handle)
	}
	delete(h.streams.writers, in.Handle)
	return h.keepBlob(*w.put, w.Bytes())
}

// Blobs returns the contents of the plugin's objects, by key.
func (h *Host) Blobs() map[string][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string][]byte, len(h.blobs))
	for key, o := range h.blobs {
		out[key] = bytes.Clone(o.data)
	}
	return out
}

// cached returns the live value of a key; the lock is held.
func (h *Host) cached(key string) (stored, bool) {
	s, there := h.cache[key]
	return s, there && h.now.Before(s.expires)
}

func (h *Host) cacheGet(_ context.Context, in cachev1.KeyRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, found := h.cached(in.Key)
	if !found {
		return cachev1.GetResponse{}, nil
	}
	return attached{cachev1.GetResponse{Found: true}, s.value}, nil
}

// until is when a value of so many seconds dies; the lock is held.
func (h *Host) until(seconds int) time.Time {
	return h.now.Add(time.Duration(cmp.Or(seconds, cachev1.DefaultTTLSeconds)) * time.Second)
}

func (h *Host) cacheSet(_ context.Context, in cachev1.SetRequest, data []byte) (any, *plugin.Error) {
	if in.Key == "" || len(in.Key) > cachev1.MaxKeyBytes || in.TTLSeconds < 0 || len(data) > cachev1.MaxValueBytes {
		return nil, fault(plugin.CodeInvalid, "the key has 1 to %d bytes, the value at most %d, and the time is not negative", cachev1.MaxKeyBytes, cachev1.MaxValueBytes)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Lock != "" && h.locks[in.Key] != in.Lock {
		return nil, fault(plugin.CodeConflict, "the lock of %q is not held any more", in.Key)
	}
	if in.Lock != "" {
		delete(h.locks, in.Key)
	}
	h.cache[in.Key] = stored{value: bytes.Clone(data), expires: h.until(in.TTLSeconds)}
	return nil, nil
}

func (h *Host) cacheDelete(_ context.Context, in cachev1.KeyRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cache, in.Key)
	return nil, nil
}

func (h *Host) cacheIncr(_ context.Context, in cachev1.IncrRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, found := h.cached(in.Key)
	n := int64(0)
	if found {
		var err error
		if n, err = strconv.ParseInt(string(s.value), 10, 64); err != nil {
			return nil, fault(plugin.CodeConflict, "the value of %q is not a number", in.Key)
		}
	} else {
		s.expires = h.until(in.TTLSeconds)
	}
	if in.By > 0 && n > math.MaxInt64-in.By || in.By < 0 && n < math.MinInt64-in.By {
		return nil, fault(plugin.CodeInvalid, "the number in %q would be too large", in.Key)
	}
	s.value = strconv.AppendInt(nil, n+in.By, 10)
	h.cache[in.Key] = s
	return cachev1.IncrResponse{Value: n + in.By}, nil
}

// cacheGetOrLock waits for nobody: a test has one plugin.
func (h *Host) cacheGetOrLock(_ context.Context, in cachev1.LockRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, found := h.cached(in.Key); found {
		return attached{cachev1.LockResponse{Found: true}, s.value}, nil
	}
	if h.locks[in.Key] != "" {
		return cachev1.LockResponse{}, nil
	}
	h.locks[in.Key] = "lock-of-" + in.Key
	return cachev1.LockResponse{Lock: h.locks[in.Key]}, nil
}

// searchQuery finds entities in whose documents every word occurs, as the
// beginning of a word.
func (h *Host) searchQuery(_ context.Context, in searchv1.QueryRequest) (any, *plugin.Error) {
	limit := cmp.Or(in.Limit, searchv1.DefaultLimit)
	start, err := strconv.Atoi(cmp.Or(in.Cursor, "0"))
	if limit < 0 || limit > searchv1.MaxLimit || err != nil || start < 0 {
		return nil, fault(plugin.CodeInvalid, "the limit is 1 to %d, and a cursor is that of the page before", searchv1.MaxLimit)
	}
	kinds := h.permission(searchv1.Name).Kinds
	out := searchv1.QueryResponse{Hits: []searchv1.Hit{}}
	for _, e := range h.entities {
		allowed := len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return strings.EqualFold(k, e.kind) })
		if !allowed || !e.matches(in.Filter) || !hasWords(e.doc, in.Text) {
			continue
		}
		if out.Total++; out.Total > start && len(out.Hits) < limit {
			out.Hits = append(out.Hits, e.hit())
		}
	}
	if end := start + limit; end < out.Total {
		out.Next = strconv.Itoa(end)
	}
	return out, nil
}

func hasWords(doc json.RawMessage, text string) bool {
	words := strings.FieldsFunc(strings.ToLower(string(doc)), func(r rune) bool { return strings.ContainsRune(` "':,.{}[]/-_`, r) })
	for _, want := range strings.Fields(strings.ToLower(text)) {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want) }) {
			return false
		}
	}
	return true
}

// hit describes an entity as search/v1 does.
func (e entity) hit() searchv1.Hit {
	one := func(path string) string {
		if values := lookup(e.tree, path); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	name := one("metadata.name")
	return searchv1.Hit{
		Ref:  strings.ToLower(e.kind + ":" + cmp.Or(one("metadata.namespace"), "default") + "/" + name),
		Kind: one("kind"), Type: one("spec.type"), Owner: one("spec.owner"), Lifecycle: one("spec.lifecycle"),
		Title: cmp.Or(one("metadata.title"), name), Description: one("metadata.description"), Entity: e.doc,
	}
}

func (h *Host) streamRead(_ context.Context, in streamv1.ReadRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.streams.readers[in.Handle]
	if r == nil {
		return nil, fault(plugin.CodeNotFound, "this call has no open stream %d to read", in.Handle)
	}
	buffer := make([]byte, min(cmp.Or(in.Max, streamv1.DefaultChunk), streamv1.MaxChunk))
	n, err := r.Read(buffer)
	return attached{streamv1.ReadResponse{EOF: err != nil}, buffer[:n]}, nil
}

func (h *Host) streamWrite(_ context.Context, in streamv1.WriteRequest, data []byte) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.streams.writers[in.Handle]
	if w == nil {
		return nil, fault(plugin.CodeNotFound, "this call has no open stream %d to write", in.Handle)
	}
	if len(data) > streamv1.MaxChunk {
		return nil, fault(plugin.CodeLimit, "%d bytes are written at once, at most %d are allowed", len(data), streamv1.MaxChunk)
	}
	w.Write(data)
	return nil, nil
}

func (h *Host) streamBegin(_ context.Context, in streamv1.BeginRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.streams.writers[in.Handle]
	if w == nil || w.put != nil || w.head != nil {
		return nil, fault(plugin.CodeInvalid, "the stream %d is no response that can begin", in.Handle)
	}
	w.head = &in
	return nil, nil
}

func (h *Host) streamClose(_ context.Context, in streamv1.CloseRequest) (any, *plugin.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams.readers, in.Handle)
	if w := h.streams.writers[in.Handle]; w != nil && w.put != nil {
		delete(h.streams.writers, in.Handle)
	}
	return nil, nil
}

// Streamed is what an operation streamed.
type Streamed struct {
	Status      int
	ContentType string
	Header      map[string]string
	Body        []byte
}

// Stream calls an operation that streams its bodies: body is that of the
// request, and may be nil. Where the operation answers like any other, the
// answer's status, header and body are returned.
func (h *Host) Stream(r route.Request, body io.Reader) (Streamed, error) {
	h.tb.Helper()
	h.mu.Lock()
	response := &draft{}
	h.streams.writers[streamv1.HandleResponse] = response
	if body != nil {
		h.streams.readers[streamv1.HandleRequest] = body
	}
	h.mu.Unlock()
	op, ok := h.routes[r.OperationID]
	if !ok {
		h.tb.Fatalf("sdktest: %s declares no operation %q", h.file, r.OperationID)
		return Streamed{}, nil
	}
	r.Method, r.Path, r.Query = op.method, op.path, op.withDefaults(r.Query)
	var out routev1.Response
	if err := h.call(routev1.Name, routev1.MethodHandle, r, &out); err != nil {
		return Streamed{}, err
	}
	if !out.Streamed {
		return Streamed{Status: out.Status, ContentType: "application/json", Header: out.Header, Body: out.Body}, nil
	}
	head := streamv1.BeginRequest{Status: 200}
	if response.head != nil {
		head = *response.head
	}
	if !op.declares(head.Status) {
		h.tb.Errorf("sdktest: operation %q streams %d, which its responses in %s do not declare", r.OperationID, head.Status, h.file)
	}
	return Streamed{Status: head.Status, ContentType: head.ContentType, Header: head.Header, Body: response.Bytes()}, nil
}
