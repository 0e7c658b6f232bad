package sdktest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/blob"
	"github.com/callboard-dev/callboard/sdk/cache"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/search"
	"github.com/callboard-dev/callboard/sdk/table"
)

// keeper returns a host whose plugin does what it is told.
func keeper(t *testing.T, options ...sdktest.Option) (h *sdktest.Host, do func(func(ctx *sdk.Context) error) error) {
	t.Helper()
	var work func(ctx *sdk.Context) error
	p := sdk.New(
		route.Handle("do", func(ctx *sdk.Context, _ route.Request) (route.Response, error) {
			if err := work(ctx); err != nil {
				return route.Response{}, err
			}
			return route.JSON(map[string]bool{"done": true})
		}),
		route.Handle("move", func(ctx *sdk.Context, r route.Request) (route.Response, error) {
			if r.ContentType == "text/x-refuse" {
				return route.Response{}, sdk.Errorf(sdk.CodeInvalid, "not this")
			}
			text, err := io.ReadAll(route.Body(ctx))
			if err != nil {
				return route.Response{}, err
			}
			w, err := route.Stream(ctx, 201, "text/plain", map[string]string{"X-Moved": "yes"})
			if err != nil {
				return route.Response{}, err
			}
			if _, err := io.Copy(w, strings.NewReader(strings.ToUpper(string(text)))); err != nil {
				return route.Response{}, err
			}
			return route.Streamed()
		}),
	)
	h = sdktest.New(t, p, append([]sdktest.Option{sdktest.Manifest("testdata/data.yaml")}, options...)...)
	return h, func(f func(ctx *sdk.Context) error) error {
		work = f
		_, err := h.Route(route.Request{OperationID: "do"})
		return err
	}
}

type run struct {
	ID      int       `json:"id"`
	Service string    `json:"service"`
	Cost    string    `json:"cost"`
	At      time.Time `json:"at"`
}

func TestTables(t *testing.T) {
	_, do := keeper(t)
	day := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	err := do(func(ctx *sdk.Context) error {
		if _, err := table.Insert(ctx, "services", map[string]string{"id": "web"}, map[string]string{"id": "db"}); err != nil {
			return err
		}
		for i := range 5 {
			if _, err := table.Upsert(ctx, "runs", run{i, []string{"web", "db"}[i%2], "0.10", day.Add(time.Duration(i) * time.Hour)}); err != nil {
				return err
			}
		}
		var ids []int
		for r, err := range table.All[run](ctx, table.Query{Table: "runs", Where: table.And(table.Eq("service", "web"), table.Ge("at", day)), Order: []table.Order{{Column: "at", Desc: true}}, Limit: 2}) {
			if err != nil {
				return err
			}
			ids = append(ids, r.ID)
		}
		one, found, err := table.One[run](ctx, table.Query{Table: "runs", Where: table.Eq("id", 3)})
		if err != nil || !found || one != (run{3, "db", "0.1", day.Add(3 * time.Hour)}) {
			t.Errorf("one is %+v, %v, %v", one, found, err)
		}
		if _, found, err := table.One[run](ctx, table.Query{Table: "runs", Where: table.Not(table.IsNull("service")), Columns: []string{"id"}}); err != nil || !found {
			t.Errorf("found %v, %v", found, err)
		}
		type sum struct{ Service, Total string }
		sums, err := table.Aggregate[sum](ctx, table.Sums{Table: "runs", GroupBy: []string{"service"}, Aggregates: []table.Figure{{Fn: table.Sum, Column: "cost", As: "total"}}})
		if err != nil || len(ids) != 3 || ids[0] != 4 || len(sums) != 2 || sums[1] != (sum{"web", "0.3"}) {
			t.Errorf("got %v and %+v, %v", ids, sums, err)
		}
		counts, err := new(table.Batch).Insert("services", map[string]string{"id": "x"}).Upsert("services", map[string]any{"id": "x", "tier": 1}).
			Update("services", table.In("id", "x", "y"), map[string]int{"tier": 2}).Expect(1).Delete("services", table.Prefix("id", "x")).Expect(1).Do(ctx)
		if err != nil || len(counts) != 4 {
			t.Errorf("the batch gave %v, %v", counts, err)
		}
		if n, err := table.Update(ctx, "services", table.Or(table.Ne("id", "web"), table.Lt("tier", 0)), map[string]int{"tier": 7}); err != nil || n != 1 {
			t.Errorf("updated %d, %v", n, err)
		}
		if n, err := table.Delete(ctx, "services", table.And(table.Le("id", "db"), table.Gt("tier", 6), nil)); err != nil || n != 1 {
			t.Errorf("deleted %d, %v", n, err)
		}
		rows, _, err := table.Select[run](ctx, table.Query{Table: "runs"})
		if err != nil || len(rows) != 3 {
			t.Errorf("after the cascade there are %d rows, %v", len(rows), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTablesRefuse(t *testing.T) {
	_, do := keeper(t)
	if err := do(func(ctx *sdk.Context) error {
		_, err := table.Insert(ctx, "services", map[string]string{"id": "web"})
		if err == nil {
			_, err = table.Insert(ctx, "runs", run{ID: 1, Service: "web", Cost: "1"})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		work func(ctx *sdk.Context) error
		code sdk.Code
	}{
		"RowIsThere": {func(ctx *sdk.Context) error {
			_, err := table.Insert(ctx, "services", map[string]string{"id": "web"})
			return err
		}, sdk.CodeConflict},
		"UnknownTable": {func(ctx *sdk.Context) error { _, err := table.Delete(ctx, "none", nil); return err }, sdk.CodeNotFound},
		"Unencodable":  {func(ctx *sdk.Context) error { _, err := table.Insert(ctx, "services", func() {}); return err }, sdk.CodeInternal},
		"UnencodableInABatch": {func(ctx *sdk.Context) error {
			_, err := new(table.Batch).Update("services", nil, func() {}).Expect(1).Do(ctx)
			return err
		}, sdk.CodeInternal},
		"ValueThatIsNone": {func(ctx *sdk.Context) error {
			_, _, err := table.Select[run](ctx, table.Query{Table: "runs", Where: table.Eq("id", func() {})})
			return err
		}, sdk.CodeInvalid},
		"RowsOfAnotherForm": {func(ctx *sdk.Context) error {
			_, _, err := table.Select[[]int](ctx, table.Query{Table: "runs"})
			return err
		}, sdk.CodeInternal},
		"ExpectOfNothing": {func(ctx *sdk.Context) error { _, err := new(table.Batch).Expect(1).Do(ctx); return err }, sdk.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := do(c.work); sdk.CodeOf(err) != c.code {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBlobs(t *testing.T) {
	h, do := keeper(t)
	big := bytes.Repeat([]byte("0123456789"), 300_000)
	err := do(func(ctx *sdk.Context) error {
		o, err := blob.Put(ctx, "a", []byte("hello"), blob.Type("text/plain"), blob.IfMatch(blob.Absent))
		if err != nil {
			return err
		}
		if _, data, err := blob.Range(ctx, "a", 1, 3); err != nil || string(data) != "ell" {
			t.Errorf("got %q, %v", data, err)
		}
		if got, err := blob.Stat(ctx, "a"); err != nil || got == nil || *got != o {
			t.Errorf("stat gave %+v, %v", got, err)
		}
		w, err := blob.Create(ctx, "big")
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, bytes.NewReader(big)); err != nil {
			return err
		}
		if _, err := w.Commit(); err != nil {
			return err
		}
		_, r, err := blob.Open(ctx, "big", 5, 0)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close(), r.Close()); err != nil || !bytes.Equal(got, big[5:]) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		_, r, err = blob.Open(ctx, "big", 0, 0)
		if err != nil {
			return err
		}
		var copied bytes.Buffer
		if n, err := io.Copy(&copied, r); err != nil || n != int64(len(big)) {
			t.Errorf("%d bytes were copied, %v", n, err)
		}
		var keys []string
		for o, err := range blob.List(ctx, "") {
			if err != nil {
				return err
			}
			keys = append(keys, o.Key)
		}
		if strings.Join(keys, " ") != "a big" {
			t.Errorf("there are %v", keys)
		}
		if left, err := blob.Create(ctx, "left"); err != nil || left.Close() != nil {
			t.Errorf("got %v", err)
		}
		return blob.Delete(ctx, "a")
	})
	if kept := h.Blobs(); err != nil || len(kept) != 1 || !bytes.Equal(kept["big"], big) {
		t.Errorf("%d objects are kept, %v", len(kept), err)
	}
	if err := do(func(ctx *sdk.Context) error { _, _, err := blob.Get(ctx, "none"); return err }); sdk.CodeOf(err) != sdk.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if err := do(func(ctx *sdk.Context) error { _, err := blob.Put(ctx, "x", make([]byte, 5<<20)); return err }); sdk.CodeOf(err) != sdk.CodeLimit {
		t.Errorf("got %v", err)
	}
}

func TestCache(t *testing.T) {
	h, do := keeper(t)
	made := 0
	maker := func() ([]byte, error) { made++; return []byte("made"), nil }
	err := do(func(ctx *sdk.Context) error {
		if err := cache.Set(ctx, "k", []byte("v"), time.Minute); err != nil {
			return err
		}
		if v, found, err := cache.Get(ctx, "k"); err != nil || !found || string(v) != "v" {
			t.Errorf("got %q, %v, %v", v, found, err)
		}
		if err := cache.Delete(ctx, "k"); err != nil {
			return err
		}
		for range 3 {
			if v, err := cache.GetOrMake(ctx, "m", time.Minute, maker); err != nil || string(v) != "made" {
				t.Errorf("got %q, %v", v, err)
			}
		}
		if n, err := cache.Incr(ctx, "n", 5, time.Minute); err != nil || n != 5 {
			t.Errorf("got %d, %v", n, err)
		}
		_, err := cache.Incr(ctx, "n", -7, time.Minute)
		return err
	})
	if err != nil || made != 1 {
		t.Errorf("it was made %d times, %v", made, err)
	}
	h.Advance(2 * time.Minute)
	err = do(func(ctx *sdk.Context) error {
		if _, found, err := cache.Get(ctx, "m"); err != nil || found {
			t.Errorf("it lives too long, %v", err)
		}
		_, err := cache.GetOrMake(ctx, "bad", time.Minute, func() ([]byte, error) { return nil, context.Canceled })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSearch(t *testing.T) {
	_, do := keeper(t, sdktest.Entities(
		`{"kind":"Component","metadata":{"name":"web-shop","title":"Web shop"},"spec":{"type":"website","owner":"team-a"}}`,
		`{"kind":"Component","metadata":{"name":"db"},"spec":{"type":"service"}}`,
		`{"kind":"Group","metadata":{"name":"shop-team"},"spec":{}}`,
	))
	err := do(func(ctx *sdk.Context) error {
		page, err := search.Find(ctx, search.Query{Text: "SHO we"})
		if err != nil || page.Total != 1 || page.Hits[0].Ref != "component:default/web-shop" || page.Hits[0].Title != "Web shop" || page.Hits[0].Owner != "team-a" {
			t.Errorf("got %+v, %v", page, err)
		}
		n := 0
		for h, err := range search.All(ctx, search.Query{Limit: 1}) {
			if err != nil || h.Kind != "Component" {
				t.Errorf("got %+v, %v", h, err)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%d were found", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStreamedOperation(t *testing.T) {
	h, _ := keeper(t)
	got, err := h.Stream(route.Request{OperationID: "move"}, strings.NewReader("hello"))
	if err != nil || got.Status != 201 || got.ContentType != "text/plain" || string(got.Body) != "HELLO" || got.Header["X-Moved"] != "yes" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := h.Stream(route.Request{OperationID: "move", ContentType: "text/x-refuse"}, nil); sdk.CodeOf(err) != sdk.CodeInvalid {
		t.Errorf("got %v", err)
	}
}
