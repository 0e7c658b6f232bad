package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/blob/folderblob"
	"github.com/callboard-dev/callboard/host/cache"
	"github.com/callboard-dev/callboard/host/cache/memorycache"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/stream"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
	"github.com/callboard-dev/callboard/host/table"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// trade calls a service with data beside the request.
func trade[T any](t *testing.T, svc plugin.Service, s *plugin.Session, method string, in any, data []byte) (out T, answer []byte, err error) {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := svc.Serve(t.Context(), s, pluginv1.HostCall{Method: method, Body: raw, Data: data})
	if err != nil {
		return out, nil, err
	}
	if a, ok := got.(plugin.Attached); ok {
		got, answer = a.Body, a.Data
	}
	if raw, err = json.Marshal(got); err != nil {
		t.Fatal(err)
	}
	return out, answer, json.Unmarshal(raw, &out)
}

// refuses expects a code of each of the calls.
func refuses(t *testing.T, svc plugin.Service, s *plugin.Session, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := trade[any](t, svc, s, c.method, c.in, c.data); host.CodeOf(err) != c.code {
				t.Errorf("got %v", err)
			}
		})
	}
}

type refusal struct {
	name, method string
	in           any
	data         []byte
	code         host.Code
}

func notes(quota string, rows int64) plugin.Grant {
	return plugin.Grant{Type: tablev1.Name, Quota: quota, Rows: rows, Tables: []manifestv1.Table{{
		Name: "notes", PrimaryKey: []string{"id"}, Columns: []manifestv1.Column{{Name: "id", Type: "text"}, {Name: "text", Type: "text"}},
	}}}
}

func TestTables(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		svc := NewTables(table.New(db))
		s := session("{}", nil, notes("1MiB", 3))
		s.Instance.Tenant = storetest.Tenant(t, db).ID
		doc := func(id string) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"id":%q,"text":"x"}`, id)) }
		t.Run("EachMethod", func(t *testing.T) {
			wrote, err := ask[tablev1.WriteResponse](t, svc, s, tablev1.MethodInsert, tablev1.WriteRequest{Table: "notes", Rows: []json.RawMessage{doc("a"), doc("b")}})
			if err != nil || wrote.Rows != 2 {
				t.Fatalf("inserted %+v, %v", wrote, err)
			}
			if wrote, err = ask[tablev1.WriteResponse](t, svc, s, tablev1.MethodUpsert, tablev1.WriteRequest{Table: "notes", Rows: []json.RawMessage{doc("b"), doc("c")}}); err != nil || wrote.Rows != 2 {
				t.Errorf("upserted %+v, %v", wrote, err)
			}
			where := &tablev1.Where{Op: "eq", Column: "id", Value: json.RawMessage(`"a"`)}
			if wrote, err = ask[tablev1.WriteResponse](t, svc, s, tablev1.MethodUpdate, tablev1.UpdateRequest{Table: "notes", Where: where, Set: json.RawMessage(`{"text":"y"}`)}); err != nil || wrote.Rows != 1 {
				t.Errorf("updated %+v, %v", wrote, err)
			}
			got, err := ask[tablev1.SelectResponse](t, svc, s, tablev1.MethodSelect, tablev1.SelectRequest{Table: "notes", Where: where})
			if err != nil || len(got.Rows) != 1 || string(got.Rows[0]) != `{"id":"a","text":"y"}` {
				t.Errorf("selected %s, %v", got.Rows, err)
			}
			sums, err := ask[tablev1.AggregateResponse](t, svc, s, tablev1.MethodAggregate, tablev1.AggregateRequest{Table: "notes", Aggregates: []tablev1.Aggregate{{Fn: "count", As: "n"}}})
			if err != nil || string(sums.Groups[0]) != `{"n":3}` {
				t.Errorf("counted %s, %v", sums.Groups, err)
			}
			if wrote, err = ask[tablev1.WriteResponse](t, svc, s, tablev1.MethodDelete, tablev1.DeleteRequest{Table: "notes", Where: where}); err != nil || wrote.Rows != 1 {
				t.Errorf("deleted %+v, %v", wrote, err)
			}
			batch, err := ask[tablev1.BatchResponse](t, svc, s, tablev1.MethodBatch, tablev1.BatchRequest{Operations: []tablev1.Operation{{Insert: &tablev1.WriteRequest{Table: "notes", Rows: []json.RawMessage{doc("d")}}}}})
			if err != nil || len(batch.Results) != 1 {
				t.Errorf("the batch gave %+v, %v", batch, err)
			}
		})
		refuses(t, svc, s, []refusal{
			{"BeyondTheRowsOfTheGrant", tablev1.MethodInsert, tablev1.WriteRequest{Table: "notes", Rows: []json.RawMessage{doc("x")}}, nil, host.CodeLimit},
			{"AnotherPluginsTable", tablev1.MethodSelect, tablev1.SelectRequest{Table: "secrets"}, nil, host.CodeNotFound},
			{"NoRequest", tablev1.MethodSelect, "text", nil, host.CodeInvalid},
		})
		t.Run("NotGranted", func(t *testing.T) {
			if _, err := ask[any](t, svc, session("{}", nil), tablev1.MethodSelect, nil); host.CodeOf(err) != host.CodeNotGranted {
				t.Errorf("got %v", err)
			}
		})
		t.Run("AnotherInstanceSeesNothing", func(t *testing.T) {
			other := session("{}", nil, notes("1MiB", 3))
			other.Instance.Tenant, other.Instance.ID = s.Instance.Tenant, "i2"
			got, err := ask[tablev1.SelectResponse](t, svc, other, tablev1.MethodSelect, tablev1.SelectRequest{Table: "notes"})
			if err != nil || len(got.Rows) != 0 {
				t.Errorf("it sees %s, %v", got.Rows, err)
			}
		})
	})
	if d := Declared(&manifestv1.Manifest{}); len(d.Tables) != 0 {
		t.Errorf("a manifest without tables declares %+v", d)
	}
}

func TestBlobs(t *testing.T) {
	db := storetest.SQLite(t)
	folder, err := folderblob.New(folderblob.Settings{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	svc := NewBlobs(blob.New(db, folder, blob.Settings{}))
	tenant := storetest.Tenant(t, db).ID
	newSession := func(instance string) *plugin.Session {
		s := session("{}", nil, plugin.Grant{Type: blobv1.Name, Quota: "8MiB"})
		s.Instance.Tenant, s.Instance.ID = tenant, instance
		return s
	}
	s := newSession("i1")
	t.Run("PutGetStatListDelete", func(t *testing.T) {
		put, _, err := trade[blobv1.Object](t, svc, s, blobv1.MethodPut, blobv1.PutRequest{Key: "a", ContentType: "text/plain"}, []byte("hello"))
		if err != nil || put.Size != 5 || put.ETag == "" {
			t.Fatalf("put %+v, %v", put, err)
		}
		got, data, err := trade[blobv1.Object](t, svc, s, blobv1.MethodGet, blobv1.GetRequest{Key: "a", Offset: 1, Length: 3}, nil)
		if err != nil || got != put || string(data) != "ell" {
			t.Errorf("got %+v, %q, %v", got, data, err)
		}
		stat, err := ask[blobv1.StatResponse](t, svc, s, blobv1.MethodStat, blobv1.StatRequest{Key: "a"})
		if err != nil || stat.Object == nil || *stat.Object != put {
			t.Errorf("stat gave %+v, %v", stat, err)
		}
		list, err := ask[blobv1.ListResponse](t, svc, s, blobv1.MethodList, nil)
		if err != nil || !slices.Equal(list.Objects, []blobv1.Object{put}) || list.Next != "" {
			t.Errorf("the list is %+v, %v", list, err)
		}
		if _, err := ask[any](t, svc, s, blobv1.MethodDelete, blobv1.DeleteRequest{Key: "a"}); err != nil {
			t.Error(err)
		}
		if stat, err = ask[blobv1.StatResponse](t, svc, s, blobv1.MethodStat, blobv1.StatRequest{Key: "a"}); err != nil || stat.Object != nil {
			t.Errorf("after deleting, stat gave %+v, %v", stat, err)
		}
	})
	t.Run("InPieces", func(t *testing.T) {
		want := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // more than three chunks
		made, err := ask[blobv1.CreateResponse](t, svc, s, blobv1.MethodCreate, blobv1.PutRequest{Key: "big"})
		if err != nil {
			t.Fatal(err)
		}
		for part := range slices.Chunk(want, 300_000) {
			if _, _, err := trade[any](t, Streams{}, s, streamv1.MethodWrite, streamv1.WriteRequest{Handle: made.Handle}, part); err != nil {
				t.Fatal(err)
			}
		}
		if stat, _ := ask[blobv1.StatResponse](t, svc, s, blobv1.MethodStat, blobv1.StatRequest{Key: "big"}); stat.Object != nil {
			t.Error("it can be seen before it is committed")
		}
		o, err := ask[blobv1.Object](t, svc, s, blobv1.MethodCommit, blobv1.CommitRequest(made))
		if err != nil || o.Size != int64(len(want)) {
			t.Fatalf("committed %+v, %v", o, err)
		}
		opened, err := ask[blobv1.OpenResponse](t, svc, s, blobv1.MethodOpen, blobv1.GetRequest{Key: "big", Offset: 7})
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, s, opened.Handle); !bytes.Equal(got, want[7:]) {
			t.Errorf("%d bytes came back, of %d", len(got), len(want)-7)
		}
		if _, err := ask[any](t, Streams{}, s, streamv1.MethodClose, streamv1.CloseRequest{Handle: opened.Handle}); err != nil {
			t.Error(err)
		}
	})
	made, err := ask[blobv1.CreateResponse](t, svc, s, blobv1.MethodCreate, blobv1.PutRequest{Key: "half"})
	if err != nil {
		t.Fatal(err)
	}
	other := newSession("i2")
	t.Run("ForgedHandles", func(t *testing.T) {
		for _, handle := range []int64{made.Handle, 0, -1, 1, 1 << 60} {
			if _, err := ask[any](t, svc, other, blobv1.MethodCommit, blobv1.CommitRequest{Handle: handle}); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("committing %d of another call gave %v", handle, err)
			}
			if _, _, err := trade[any](t, Streams{}, other, streamv1.MethodWrite, streamv1.WriteRequest{Handle: handle}, []byte("x")); host.CodeOf(err) != host.CodeNotFound {
				t.Errorf("writing %d of another call gave %v", handle, err)
			}
		}
		if _, _, err := trade[any](t, svc, other, blobv1.MethodGet, blobv1.GetRequest{Key: "big"}, nil); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("another instance's object gave %v", err)
		}
	})
	refuses(t, svc, s, []refusal{
		{"ReadingWhatIsWritten", blobv1.MethodCommit, blobv1.CommitRequest{Handle: 99}, nil, host.CodeNotFound},
		{"LargePut", blobv1.MethodPut, blobv1.PutRequest{Key: "x"}, make([]byte, blobv1.MaxInline+1), host.CodeTooLarge},
		{"BeyondTheQuota", blobv1.MethodPut, blobv1.PutRequest{Key: "x"}, make([]byte, blobv1.MaxInline), ""},
		{"BeyondTheQuotaNow", blobv1.MethodPut, blobv1.PutRequest{Key: "y"}, make([]byte, 2<<20), host.CodeLimit},
		{"StaleETag", blobv1.MethodPut, blobv1.PutRequest{Key: "big", IfMatch: "none"}, nil, host.CodeConflict},
		{"NoKey", blobv1.MethodGet, blobv1.GetRequest{}, nil, host.CodeInvalid},
		{"NotThere", blobv1.MethodGet, blobv1.GetRequest{Key: "none"}, nil, host.CodeNotFound},
		{"BehindTheEnd", blobv1.MethodOpen, blobv1.GetRequest{Key: "big", Offset: 1 << 40}, nil, host.CodeInvalid},
		{"LongList", blobv1.MethodList, blobv1.ListRequest{Limit: 1001}, nil, host.CodeInvalid},
		{"BadType", blobv1.MethodCreate, blobv1.PutRequest{Key: "x", ContentType: "a b"}, nil, host.CodeInvalid},
	})
	for _, method := range []string{blobv1.MethodPut, blobv1.MethodGet, blobv1.MethodStat, blobv1.MethodList, blobv1.MethodDelete, blobv1.MethodOpen, blobv1.MethodCreate, blobv1.MethodCommit} {
		refuses(t, svc, s, []refusal{{"NoRequestOf" + method, method, "text", nil, host.CodeInvalid}})
	}
	t.Run("TheCallClosesWhatIsOpen", func(t *testing.T) {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := ask[any](t, svc, s, blobv1.MethodCommit, blobv1.CommitRequest(made)); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})
}

// drain reads a stream to its end.
func drain(t *testing.T, s *plugin.Session, handle int64) (all []byte) {
	t.Helper()
	for {
		got, data, err := trade[streamv1.ReadResponse](t, Streams{}, s, streamv1.MethodRead, streamv1.ReadRequest{Handle: handle, Max: 1 << 30}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, data...); got.EOF {
			return all
		}
	}
}

func TestCaches(t *testing.T) {
	svc := NewCaches(cache.New(memorycache.New(memorycache.Settings{}), cache.Settings{}))
	s := session("{}", nil, plugin.Grant{Type: cachev1.Name, Quota: "1MiB"})
	if _, _, err := trade[any](t, svc, s, cachev1.MethodSet, cachev1.SetRequest{Key: "k", TTLSeconds: 60}, []byte{0, 255}); err != nil {
		t.Fatal(err)
	}
	if got, data, err := trade[cachev1.GetResponse](t, svc, s, cachev1.MethodGet, cachev1.KeyRequest{Key: "k"}, nil); err != nil || !got.Found || !bytes.Equal(data, []byte{0, 255}) {
		t.Errorf("got %+v, %x, %v", got, data, err)
	}
	if _, err := ask[any](t, svc, s, cachev1.MethodDelete, cachev1.KeyRequest{Key: "k"}); err != nil {
		t.Error(err)
	}
	if n, err := ask[cachev1.IncrResponse](t, svc, s, cachev1.MethodIncr, cachev1.IncrRequest{Key: "n", By: 7}); err != nil || n.Value != 7 {
		t.Errorf("got %+v, %v", n, err)
	}
	lock, _, err := trade[cachev1.LockResponse](t, svc, s, cachev1.MethodGetOrLock, cachev1.LockRequest{Key: "k"}, nil)
	if err != nil || lock.Found || lock.Lock == "" {
		t.Fatalf("got %+v, %v", lock, err)
	}
	if _, _, err := trade[any](t, svc, s, cachev1.MethodSet, cachev1.SetRequest{Key: "k", Lock: lock.Lock}, []byte("v")); err != nil {
		t.Error(err)
	}
	if lock, data, err := trade[cachev1.LockResponse](t, svc, s, cachev1.MethodGetOrLock, cachev1.LockRequest{Key: "k"}, nil); err != nil || !lock.Found || string(data) != "v" {
		t.Errorf("got %+v, %q, %v", lock, data, err)
	}
	refuses(t, svc, s, []refusal{
		{"NegativeTime", cachev1.MethodSet, cachev1.SetRequest{Key: "k", TTLSeconds: -1}, nil, host.CodeInvalid},
		{"NegativeTimeOfANumber", cachev1.MethodIncr, cachev1.IncrRequest{Key: "k", TTLSeconds: -1}, nil, host.CodeInvalid},
		{"NegativeTimeOfALock", cachev1.MethodGetOrLock, cachev1.LockRequest{Key: "k", LockSeconds: -1}, nil, host.CodeInvalid},
		{"LongWait", cachev1.MethodGetOrLock, cachev1.LockRequest{Key: "k", WaitMillis: 1 << 30}, nil, host.CodeInvalid},
		{"NoKey", cachev1.MethodGet, cachev1.KeyRequest{}, nil, host.CodeInvalid},
	})
	for _, method := range []string{cachev1.MethodGet, cachev1.MethodSet, cachev1.MethodDelete, cachev1.MethodIncr, cachev1.MethodGetOrLock} {
		refuses(t, svc, s, []refusal{{"NoRequestOf" + method, method, "text", nil, host.CodeInvalid}})
		refuses(t, svc, session("{}", nil), []refusal{{"NoGrantOf" + method, method, nil, nil, host.CodeNotGranted}})
	}
}

// desk is a search that finds one entity, and notes who asked.
type desk struct {
	caller host.Caller
	kinds  []string
	in     searchv1.QueryRequest
}

func (d *desk) Search(_ context.Context, c host.Caller, kinds []string, in searchv1.QueryRequest) (searchv1.QueryResponse, error) {
	d.caller, d.kinds, d.in = c, kinds, in
	if in.Text == "nothing" {
		return searchv1.QueryResponse{}, nil
	}
	return searchv1.QueryResponse{Hits: []searchv1.Hit{{Ref: "component:default/a", Entity: json.RawMessage("{}")}}, Total: 1}, nil
}

func TestSearch(t *testing.T) {
	d := &desk{}
	svc := NewSearch(d)
	s := session("{}", nil, plugin.Grant{Type: searchv1.Name, Kinds: []string{"Component"}})
	got, err := ask[searchv1.QueryResponse](t, svc, s, searchv1.MethodQuery, searchv1.QueryRequest{Text: "a"})
	if err != nil || got.Total != 1 || d.caller.Principal().ID != "u1" || !slices.Equal(d.kinds, []string{"component"}) || d.in.Limit != searchv1.DefaultLimit {
		t.Errorf("got %+v with %+v, %v", got, d, err)
	}
	if got, err = ask[searchv1.QueryResponse](t, svc, s, searchv1.MethodQuery, searchv1.QueryRequest{Text: "nothing"}); err != nil || got.Hits == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	refuses(t, svc, s, []refusal{
		{"LongPage", searchv1.MethodQuery, searchv1.QueryRequest{Limit: 101}, nil, host.CodeInvalid},
		{"LongText", searchv1.MethodQuery, searchv1.QueryRequest{Text: strings.Repeat("a", 501)}, nil, host.CodeInvalid},
		{"NoRequest", searchv1.MethodQuery, "text", nil, host.CodeInvalid},
	})
	refuses(t, svc, session("{}", nil), []refusal{{"NotGranted", searchv1.MethodQuery, nil, nil, host.CodeNotGranted}})
}

// reply is a streamed response that keeps what it gets.
type reply struct {
	head *stream.Head
	bytes.Buffer
}

func (r *reply) Begin(h stream.Head) error { r.head = &h; return nil }

func TestStreams(t *testing.T) {
	s := session("{}", nil)
	out := &reply{}
	s.Attach(stream.With(t.Context(), stream.Bodies{Request: strings.NewReader("request"), Response: out}))
	if got := drain(t, s, streamv1.HandleRequest); string(got) != "request" {
		t.Errorf("the request is %q", got)
	}
	if _, err := ask[any](t, Streams{}, s, streamv1.MethodBegin, streamv1.BeginRequest{Handle: streamv1.HandleResponse, Status: 201, ContentType: "text/plain"}); err != nil || out.head == nil || out.head.Status != 201 {
		t.Errorf("it began with %+v, %v", out.head, err)
	}
	if _, _, err := trade[any](t, Streams{}, s, streamv1.MethodWrite, streamv1.WriteRequest{Handle: streamv1.HandleResponse}, []byte("answer")); err != nil || out.String() != "answer" {
		t.Errorf("the answer is %q, %v", out, err)
	}
	refuses(t, Streams{}, s, []refusal{
		{"WritingTheRequest", streamv1.MethodWrite, streamv1.WriteRequest{Handle: 1}, []byte("x"), host.CodeInvalid},
		{"ReadingTheResponse", streamv1.MethodRead, streamv1.ReadRequest{Handle: 2}, nil, host.CodeInvalid},
		{"BeginningTheRequest", streamv1.MethodBegin, streamv1.BeginRequest{Handle: 1}, nil, host.CodeInvalid},
		{"NoSuchHandle", streamv1.MethodRead, streamv1.ReadRequest{Handle: 3}, nil, host.CodeNotFound},
		{"BeginningNothing", streamv1.MethodBegin, streamv1.BeginRequest{Handle: 3}, nil, host.CodeNotFound},
		{"LargeWrite", streamv1.MethodWrite, streamv1.WriteRequest{Handle: 2}, make([]byte, streamv1.MaxChunk+1), host.CodeTooLarge},
		{"NegativeRead", streamv1.MethodRead, streamv1.ReadRequest{Handle: 1, Max: -1}, nil, host.CodeInvalid},
		{"ClosingNothing", streamv1.MethodClose, streamv1.CloseRequest{Handle: 3}, nil, ""},
	})
	for _, method := range []string{streamv1.MethodRead, streamv1.MethodWrite, streamv1.MethodBegin, streamv1.MethodClose} {
		refuses(t, Streams{}, s, []refusal{{"NoRequestOf" + method, method, "text", nil, host.CodeInvalid}})
	}
	t.Run("TooManyAtATime", func(t *testing.T) {
		var err error
		for range streamv1.MaxHandles + 1 {
			_, err = s.Open(io.NopCloser(strings.NewReader("")))
		}
		if host.CodeOf(err) != host.CodeLimit {
			t.Errorf("got %v", err)
		}
	})
}
