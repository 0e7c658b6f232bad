package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob"
	"github.com/callboard-dev/callboard/host/blob/folderblob"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/storetest"
)

const quota = 16 << 20

// attic is a store with a clock of its own.
type attic struct {
	*blob.Store
	dir   string
	place blob.Place
	now   time.Time
}

func newAttic(t *testing.T, db *store.DB) *attic {
	t.Helper()
	a := &attic{dir: t.TempDir(), now: time.Unix(1_800_000_000, 0), place: blob.Place{Tenant: storetest.Tenant(t, db).ID, Instance: "i1"}}
	clock := func() time.Time { return a.now }
	folder, err := folderblob.New(folderblob.Settings{Dir: a.dir, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	a.Store = blob.New(db, folder, blob.Settings{Now: clock})
	return a
}

func (a *attic) put(p blob.Place, put blob.Put, data []byte) (blob.Object, error) {
	if put.Quota == 0 {
		put.Quota = quota
	}
	w, err := a.Create(context.Background(), p, put)
	if err != nil {
		return blob.Object{}, err
	}
	if _, err := w.Write(data); err != nil {
		return blob.Object{}, err
	}
	return w.Commit(context.Background())
}

func (a *attic) keep(t *testing.T, key string, data []byte) blob.Object {
	t.Helper()
	o, err := a.put(a.place, blob.Put{Key: key}, data)
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
	return o
}

func (a *attic) get(t *testing.T, p blob.Place, key string, offset, length int64) ([]byte, error) {
	t.Helper()
	_, r, err := a.Open(t.Context(), p, key, offset, length)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

// chunks counts the files of chunks.
func (a *attic) chunks(t *testing.T) (n int) {
	t.Helper()
	err := filepath.WalkDir(a.dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestObjectsComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := newAttic(t, db)
		for _, n := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3_500_000} {
			want := random(n)
			o := a.keep(t, fmt.Sprint("k", n), want)
			if o.Size != int64(n) || o.ContentType != "application/octet-stream" || o.ETag == "" {
				t.Errorf("put %+v", o)
			}
			for _, r := range [][2]int64{{0, 0}, {0, 5}, {int64(n) / 2, 0}, {int64(n) / 3, int64(n) / 3}, {int64(n), 0}, {max(0, int64(n)-1), 100}} {
				end := int64(n)
				if r[1] > 0 {
					end = min(end, r[0]+r[1])
				}
				if got, err := a.get(t, a.place, o.Key, r[0], r[1]); err != nil || !bytes.Equal(got, want[r[0]:end]) {
					t.Errorf("%v of %d gave %d bytes, %v", r, n, len(got), err)
				}
			}
			if got, err := a.Stat(t.Context(), a.place, o.Key); err != nil || got == nil || *got != o {
				t.Errorf("stat gave %+v, %v", got, err)
			}
		}
		if o, err := a.Stat(t.Context(), a.place, "none"); err != nil || o != nil {
			t.Errorf("nothing is %+v, %v", o, err)
		}
	})
}

func TestETagsNameContent(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	first := a.keep(t, "a", []byte("x"))
	if again := a.keep(t, "a", []byte("x")); again.ETag != first.ETag {
		t.Error("the same bytes have another ETag")
	}
	typed, err := a.put(a.place, blob.Put{Key: "a", ContentType: "text/plain", IfMatch: first.ETag}, []byte("x"))
	if err != nil || typed.ETag == first.ETag {
		t.Errorf("another type gave %+v, %v", typed, err)
	}
	for name, match := range map[string]string{"a stale ETag": first.ETag, "an object that must not be there": blob.Absent} {
		if _, err := a.put(a.place, blob.Put{Key: "a", IfMatch: match}, []byte("y")); host.CodeOf(err) != host.CodeConflict {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if _, err := a.put(a.place, blob.Put{Key: "new", IfMatch: "etag"}, nil); host.CodeOf(err) != host.CodeConflict {
		t.Errorf("an ETag of nothing gave %v", err)
	}
	if _, err := a.put(a.place, blob.Put{Key: "new", IfMatch: blob.Absent}, nil); err != nil {
		t.Error(err)
	}
}

func TestListInByteOrderByPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := newAttic(t, db)
		want := []string{"p/%", "p/A", "p/Z", "p/_", "p/a", "p/é"}
		for _, key := range []string{"p/é", "q", "p/a", "p/_", "p/Z", "p", "p/A", "p/%"} {
			a.keep(t, key, random(3))
		}
		var got []string
		for after := ""; ; {
			list, next, err := a.List(t.Context(), a.place, "p/", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range list {
				got = append(got, o.Key)
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

func TestQuota(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := newAttic(t, db)
		a.keep(t, "half", random(8<<20))
		if _, err := a.put(a.place, blob.Put{Key: "more"}, random(9<<20)); host.CodeOf(err) != host.CodeLimit || !strings.Contains(err.Error(), "16777216") {
			t.Errorf("beyond the quota gave %v", err)
		}
		if o, _ := a.Stat(t.Context(), a.place, "more"); o != nil {
			t.Error("it was stored all the same")
		}
		a.keep(t, "half", random(15<<20)) // replaces, so it fits
		if _, err := a.put(a.place, blob.Put{Key: "huge"}, random(17<<20)); host.CodeOf(err) != host.CodeLimit {
			t.Errorf("more than the quota at once gave %v", err)
		}
		if err := a.Delete(t.Context(), a.place, "half"); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Used(t.Context(), a.place); err != nil || n != 0 {
			t.Errorf("%d bytes are used, %v", n, err)
		}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if _, err := a.put(a.place, blob.Put{Key: fmt.Sprint(i)}, random(5<<20)); err != nil && host.CodeOf(err) != host.CodeLimit {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n, err := a.Used(t.Context(), a.place); err != nil || n < 15<<20 || n > quota {
			t.Errorf("%d bytes are used, %v", n, err)
		}
	})
}

func TestSmallObjectsCountToo(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	var err error
	for i := range 100 {
		if _, err = a.put(a.place, blob.Put{Key: fmt.Sprint(i), Quota: 10_000}, nil); err != nil {
			break
		}
	}
	if host.CodeOf(err) != host.CodeLimit {
		t.Errorf("a hundred empty objects in 10 kB gave %v", err)
	}
}

func TestReadersSeeWhatTheyOpened(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	want := random(3 << 20)
	a.keep(t, "a", want)
	_, r, err := a.Open(t.Context(), a.place, "a", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.keep(t, "a", []byte("new"))
	if err := a.Sweep(t.Context(), a.place); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestWhatNobodyNamesIsSwept(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	a.keep(t, "stays", random(2<<20))
	a.keep(t, "goes", random(1<<20+7))
	w, err := a.Create(t.Context(), a.place, blob.Put{Key: "never", Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(random(5 << 20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(nil); err == nil {
		t.Error("a closed writer still writes")
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("a closed writer still commits")
	}
	before := a.chunks(t)
	if err := a.Delete(t.Context(), a.place, "goes"); err != nil {
		t.Fatal(err)
	}
	if n := a.chunks(t); n != before {
		t.Errorf("%d chunks of %d are left: a call that runs could still name them", n, before)
	}
	a.now = a.now.Add(2 * time.Hour)
	a.keep(t, "again", random(1<<20+7)) // its chunks are the ones that were to go
	if err := a.Delete(t.Context(), a.place, "none"); err != nil {
		t.Fatal(err)
	}
	if err := a.Sweep(t.Context(), a.place); err != nil {
		t.Fatal(err)
	}
	if n := a.chunks(t); n != 4 {
		t.Errorf("%d chunks are left, want the 4 of two objects", n)
	}
	for key, n := range map[string]int{"stays": 2 << 20, "again": 1<<20 + 7} {
		if got, err := a.get(t, a.place, key, 0, 0); err != nil || !bytes.Equal(got, random(n)) {
			t.Errorf("%s came back as %d bytes, %v", key, len(got), err)
		}
	}
}

func TestDamageIsNoData(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	a.keep(t, "a", []byte("good"))
	err := filepath.WalkDir(a.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = os.WriteFile(path, []byte("evil"), 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.get(t, a.place, "a", 0, 0); err == nil || len(got) > 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestInstancesAreApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := newAttic(t, db)
		a.keep(t, "a", []byte("mine"))
		other := blob.Place{Tenant: a.place.Tenant, Instance: "i2"}
		if _, err := a.get(t, other, "a", 0, 0); host.CodeOf(err) != host.CodeNotFound {
			t.Errorf("another instance gets %v", err)
		}
		if list, _, err := a.List(t.Context(), other, "", "", 10); err != nil || len(list) != 0 {
			t.Errorf("another instance lists %v, %v", list, err)
		}
		if _, err := a.put(other, blob.Put{Key: "a"}, []byte("mine")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.Drop(t.Context(), a.place.Tenant, "i1"), a.Drop(t.Context(), a.place.Tenant, "i1")); err != nil {
			t.Fatal(err)
		}
		if o, err := a.Stat(t.Context(), a.place, "a"); err != nil || o != nil {
			t.Errorf("it is still there: %+v, %v", o, err)
		}
		if got, err := a.get(t, other, "a", 0, 0); err != nil || string(got) != "mine" {
			t.Errorf("another instance lost %q, %v", got, err)
		}
		if err := a.DropTenant(t.Context(), a.place.Tenant); err != nil || a.chunks(t) != 0 {
			t.Errorf("%d chunks are left, %v", a.chunks(t), err)
		}
		if err := a.Drop(t.Context(), host.NewTenantID(), "i1"); err != nil {
			t.Errorf("dropping for a tenant that is gone gave %v", err)
		}
	})
}

func TestRefused(t *testing.T) {
	a := newAttic(t, storetest.SQLite(t))
	a.keep(t, "a", []byte("abc"))
	_, noKey := a.put(a.place, blob.Put{}, nil)
	_, control := a.put(a.place, blob.Put{Key: "a\nb"}, nil)
	_, utf8 := a.put(a.place, blob.Put{Key: "a\xff"}, nil)
	_, long := a.Stat(t.Context(), a.place, strings.Repeat("k", 513))
	_, place := a.put(blob.Place{Tenant: a.place.Tenant, Instance: "../i1"}, blob.Put{Key: "a"}, nil)
	_, kind := a.put(a.place, blob.Put{Key: "a", ContentType: "a b"}, nil)
	_, behind := a.get(t, a.place, "a", 4, 0)
	_, negative := a.get(t, a.place, "a", -1, 0)
	_, noName := a.get(t, a.place, "", 0, 0)
	for name, err := range map[string]error{
		"no key": noKey, "a control": control, "no UTF-8": utf8, "a long key": long, "another place": place, "a bad type": kind,
		"behind the end": behind, "a negative offset": negative, "no name": noName, "deleting nothing": a.Delete(t.Context(), a.place, ""),
	} {
		if host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%s gave %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := a.Create(ctx, a.place, blob.Put{Key: "b", Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := a.Open(ctx, a.place, "a", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Write(random(2 << 20)); !errors.Is(err, context.Canceled) {
		t.Errorf("writing after the end gave %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the end gave %v", err)
	}
}
