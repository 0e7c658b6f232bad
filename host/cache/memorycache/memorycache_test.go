package memorycache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/cache/driver"
	"github.com/callboard-dev/callboard/host/cache/drivertest"
	"github.com/callboard-dev/callboard/host/cache/memorycache"
)

func TestMemory(t *testing.T) {
	drivertest.Run(t, func(*testing.T) (driver.Driver, drivertest.Clock) {
		now := time.Unix(1_800_000_000, 0)
		c := memorycache.New(memorycache.Settings{Now: func() time.Time { return now }})
		return c, func(d time.Duration) { now = now.Add(d) }
	})
}

// fill sets n values of about a kilobyte.
func fill(t *testing.T, c *memorycache.Cache, p driver.Place, n int) {
	t.Helper()
	for i := range n {
		if _, err := c.Set(t.Context(), p, driver.Item{Key: fmt.Sprint(i), Value: make([]byte, 1000), TTL: time.Hour, Quota: 1 << 30}); err != nil {
			t.Fatal(err)
		}
	}
}

func count(t *testing.T, c *memorycache.Cache, p driver.Place, n int) (there int) {
	t.Helper()
	for i := range n {
		if _, found, err := c.Get(t.Context(), p, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		} else if found {
			there++
		}
	}
	return there
}

func TestATenantPushesOutItsOwnFirst(t *testing.T) {
	c := memorycache.New(memorycache.Settings{PerTenant: 20 << 10, Total: 1 << 20})
	mine := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	theirs := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	fill(t, c, theirs, 10)
	fill(t, c, mine, 500)
	if n := count(t, c, mine, 500); n == 0 || n > 20 {
		t.Errorf("a tenant holds %d values", n)
	}
	if n := count(t, c, theirs, 10); n != 10 {
		t.Errorf("another tenant kept %d of 10 values", n)
	}
}

func TestAllTogetherAreBounded(t *testing.T) {
	c := memorycache.New(memorycache.Settings{PerTenant: 1 << 20, Total: 50 << 10})
	total := 0
	var places []driver.Place
	for range 20 {
		p := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
		places = append(places, p)
		fill(t, c, p, 10)
	}
	for _, p := range places {
		total += count(t, c, p, 10)
	}
	if total == 0 || total > 50 {
		t.Errorf("%d values of a kilobyte are held in 50 KiB", total)
	}
	if n := count(t, c, places[19], 10); n != 10 {
		t.Errorf("of the newest values %d of 10 are there", n)
	}
}

func TestLocksAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c := memorycache.New(memorycache.Settings{Now: func() time.Time { return now }})
	p := driver.Place{Tenant: host.NewTenantID(), Instance: "i1"}
	var err error
	for i := range 1000 {
		if _, err = c.Lock(t.Context(), p, fmt.Sprint(i), "a", time.Minute); err != nil {
			break
		}
	}
	if host.CodeOf(err) != host.CodeLimit {
		t.Fatalf("a thousand locks gave %v", err)
	}
	now = now.Add(time.Hour)
	if taken, err := c.Lock(t.Context(), p, "next", "a", time.Minute); err != nil || !taken {
		t.Errorf("locks that have ended still count: %v", err)
	}
}
