// Package drivertest is the suite that every driver of the blob port passes.
package drivertest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/blob/driver"
)

// Run tries a driver. open returns one that holds nothing and tells the time by
// now.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) driver.Driver) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h *harness)
	}{
		{"ChunksComeBack", testChunks},
		{"PlacesAreApart", testPlaces},
		{"OldChunksAreFoundAndRemoved", testOld},
		{"PuttingAgainMakesYoung", testAgain},
		{"ManyPutTheSame", testMany},
		{"BadPlacesAreRefused", testBadPlaces},
		{"DropTakesAll", testDrop},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness{at: time.Unix(1_800_000_000, 0), place: driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}}
			h.Driver = open(t, func() time.Time { return h.at })
			c.run(t, h)
		})
	}
}

type harness struct {
	driver.Driver
	at    time.Time
	place driver.Place
}

func (h *harness) put(t *testing.T, p driver.Place, chunk string) driver.Digest {
	t.Helper()
	d := driver.Of([]byte(chunk))
	if err := h.Put(t.Context(), p, d, []byte(chunk)); err != nil {
		t.Fatalf("putting: %v", err)
	}
	return d
}

func (h *harness) has(t *testing.T, p driver.Place, d driver.Digest) bool {
	t.Helper()
	_, err := h.Get(t.Context(), p, d)
	if err != nil && host.CodeOf(err) != host.CodeNotFound {
		t.Fatalf("getting: %v", err)
	}
	return err == nil
}

func (h *harness) old(t *testing.T, before time.Time) []string {
	t.Helper()
	var out []string
	err := h.Old(t.Context(), h.place, before, func(list []driver.Digest) error {
		for _, d := range list {
			out = append(out, d.String())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("looking for old chunks: %v", err)
	}
	slices.Sort(out)
	return out
}

func testChunks(t *testing.T, h *harness) {
	for _, chunk := range []string{"", "a", string(bytes.Repeat([]byte{0, 255}, 1<<19))} {
		d := h.put(t, h.place, chunk)
		got, err := h.Get(t.Context(), h.place, d)
		if err != nil || string(got) != chunk {
			t.Errorf("%d bytes came back as %d, %v", len(chunk), len(got), err)
		}
	}
	if h.has(t, h.place, driver.Of([]byte("never put"))) {
		t.Error("a chunk is there that was never put")
	}
}

func testPlaces(t *testing.T, h *harness) {
	d := h.put(t, h.place, "mine")
	for _, other := range []driver.Place{{Tenant: h.place.Tenant, Instance: "i2"}, {Tenant: host.NewTenantID(), Instance: "i1"}} {
		if h.has(t, other, d) {
			t.Errorf("%v sees it", other)
		}
	}
}

func testOld(t *testing.T, h *harness) {
	young := h.at.Add(time.Hour)
	a := h.put(t, h.place, "a")
	h.at = young
	b := h.put(t, h.place, "b")
	if got := h.old(t, young); !slices.Equal(got, []string{a.String()}) {
		t.Errorf("got %v", got)
	}
	if err := errors.Join(h.Remove(t.Context(), h.place, a, young), h.Remove(t.Context(), h.place, a, young), h.Remove(t.Context(), h.place, b, young)); err != nil {
		t.Fatal(err)
	}
	if h.has(t, h.place, a) || !h.has(t, h.place, b) {
		t.Error("the old one is there, or the young one is not")
	}
	stop := errors.New("stop")
	if err := h.Old(t.Context(), h.place, young.Add(1), func([]driver.Digest) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func testAgain(t *testing.T, h *harness) {
	first := h.at
	d := h.put(t, h.place, "a")
	h.at = first.Add(2 * time.Hour)
	h.put(t, h.place, "a")
	if got := h.old(t, first.Add(time.Hour)); len(got) != 0 {
		t.Errorf("it counts as old: %v", got)
	}
	if err := h.Remove(t.Context(), h.place, d, first.Add(time.Hour)); err != nil || !h.has(t, h.place, d) {
		t.Errorf("it was removed, %v", err)
	}
}

func testMany(t *testing.T, h *harness) {
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	d := driver.Of(chunk)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := h.Put(context.Background(), h.place, d, chunk); err != nil {
				t.Error(err)
			}
			if got, err := h.Get(context.Background(), h.place, d); err != nil || !bytes.Equal(got, chunk) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

func testBadPlaces(t *testing.T, h *harness) {
	for _, p := range []driver.Place{{}, {Tenant: h.place.Tenant}, {Tenant: h.place.Tenant, Instance: ".."}, {Tenant: h.place.Tenant, Instance: "a/b"}, {Tenant: "../x", Instance: "i1"}} {
		d := driver.Of(nil)
		_, get := h.Get(t.Context(), p, d)
		for doing, err := range map[string]error{
			"put": h.Put(t.Context(), p, d, nil), "get": get, "drop": h.Drop(t.Context(), p), "remove": h.Remove(t.Context(), p, d, h.at),
			"old": h.Old(t.Context(), p, h.at, func([]driver.Digest) error { return nil }),
		} {
			if host.CodeOf(err) != host.CodeInvalid {
				t.Errorf("%s at %v gave %v", doing, p, err)
			}
		}
	}
	if err := h.DropTenant(t.Context(), "../x"); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("dropping a bad tenant gave %v", err)
	}
}

func testDrop(t *testing.T, h *harness) {
	second := driver.Place{Tenant: h.place.Tenant, Instance: "i2"}
	third := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	d := h.put(t, h.place, "a")
	h.put(t, second, "a")
	h.put(t, third, "a")
	if err := errors.Join(h.Drop(t.Context(), h.place), h.Drop(t.Context(), h.place)); err != nil {
		t.Fatal(err)
	}
	if h.has(t, h.place, d) || !h.has(t, second, d) {
		t.Error("dropping one instance did too little or too much")
	}
	if err := errors.Join(h.DropTenant(t.Context(), second.Tenant), h.DropTenant(t.Context(), second.Tenant)); err != nil {
		t.Fatal(err)
	}
	if h.has(t, second, d) || !h.has(t, third, d) {
		t.Error("dropping one tenant did too little or too much")
	}
}
