//go:build linux

package sandbox

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// soak is how many calls TestSoak makes; 0 leaves it out.
var soak = flag.Int("soak", 0, "how many mixed calls TestSoak makes")

// mixed returns a random call: most are good, some misbehave.
func mixed(r *rand.Rand, lang string) Job {
	acts := []string{"echo", "echo", "task", "count", "canary", "work", "trap", "junk", "short", "loud"}
	if lang == runtimetest.Go {
		acts = append(acts, "goroutines")
	}
	switch r.IntN(100) { // what takes milliseconds is rarer
	case 0:
		acts = runaways()
	case 1, 2:
		acts = []string{"grow", "small", "collect"}
	}
	var j Job
	switch name := acts[r.IntN(len(acts))]; name {
	case "echo", "canary":
		j = act(name, strings.Repeat("x", r.IntN(20_000)))
	case "task":
		items := []any{}
		for range r.IntN(200) {
			items = append(items, map[string]any{"name": strings.Repeat("n", r.IntN(30)), "size": r.IntN(1000), "on": r.IntN(2) == 0})
		}
		j = act(name, items)
	case "work":
		j = act(name, r.IntN(300_000))
	case "junk": // not an envelope
		j = act("echo", nil)
		j.Input = j.Input[:r.IntN(len(j.Input))]
	case "short": // too little fuel
		j = act("echo", strings.Repeat("y", r.IntN(5_000)))
		j.Fuel = 1 + r.Int64N(50_000)
	case "loud": // too much output
		j = act("echo", strings.Repeat("z", 5_000))
		j.Output = r.Int64N(5_000)
	case "small": // too little memory
		j = act("grow", nil)
		j.Memory = 1<<20 + r.Int64N(12<<20)
	case "spin", "recurse", "fork", "mutual", "bulk":
		j = act(name, 60)
		j.Deadline = time.Now().Add(time.Duration(r.IntN(3000)) * time.Microsecond)
	default:
		j = act(name, nil)
	}
	return j
}

// paths are those that this host has.
func paths(t testing.TB) []Path {
	t.Helper()
	var out []Path
	for _, path := range []Path{PageScan, Pagemap, Madvise} {
		if err := Try(path); err != nil {
			t.Logf("%s is not tested here: %v", path, err)
			continue
		}
		out = append(out, path)
	}
	if len(out) == 0 {
		t.Skip("no path works here")
	}
	return out
}

// TestEveryCallLeavesTheImage compares all memory and all globals after each of
// many random calls.
func TestEveryCallLeavesTheImage(t *testing.T) {
	calls := 300
	if testing.Short() {
		calls = 100
	}
	for _, lang := range runtimetest.Languages() {
		for _, path := range paths(t) {
			t.Run(lang+"/"+string(path), func(t *testing.T) {
				c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, func(s *Settings) { s.Path = path })
				compare(t, c, lang, calls, rand.New(rand.NewPCG(1, 2)))
			})
		}
	}
}

// TestEveryCallIsPurged is the same where the system says nothing about pages.
func TestEveryCallIsPurged(t *testing.T) {
	c := opened(t, runtimetest.Guest(t, runtimetest.AssemblyScript), []Job{act("echo", "warm")}, func(s *Settings) { s.Path = Madvise })
	pagemap := c.pagemap
	c.pagemap = nil
	compare(t, c, runtimetest.AssemblyScript, 200, rand.New(rand.NewPCG(5, 6)))
	c.pagemap = pagemap
}

// TestEveryCallIsScanned is the same where the system does not count page
// faults.
func TestEveryCallIsScanned(t *testing.T) {
	if paths(t)[0] != PageScan {
		t.Skip("there is no page-scan here")
	}
	c := opened(t, runtimetest.Guest(t, runtimetest.C), []Job{act("echo", "warm")}, nil)
	c.counts = false
	compare(t, c, runtimetest.C, 200, rand.New(rand.NewPCG(3, 4)))
}

// compare makes random calls in one sandbox and compares after each.
func compare(t *testing.T, c *Code, lang string, calls int, r *rand.Rand) {
	t.Helper()
	b, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	failed := 0
	for n := range calls {
		j := mixed(r, lang)
		_, _, err := b.Invoke(context.Background(), &j)
		if err != nil {
			failed++
		}
		if d := b.difference(b.memory.ready); d != "" {
			t.Fatalf("after call %d, %.60s (%v): %s", n, j.Input, err, d)
		}
	}
	if failed < calls/20 || failed > calls*3/4 {
		t.Errorf("%d of %d calls failed: that is no mixture", failed, calls)
	}
}

// TestSoak makes very many mixed calls on all processors and compares after
// each: the memory that a guest has and what lies behind it, now and then all
// that it ever had.
func TestSoak(t *testing.T) {
	if *soak <= 0 {
		t.Skip("ask for it with -soak 1000000")
	}
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, nil)
			var made, failed atomic.Int64
			total := int64(*soak / len(runtimetest.Languages()))
			memory := make(chan int64, 2)
			var wg sync.WaitGroup
			for n := range 2 * runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), 7))
					for {
						at := made.Add(1)
						if at > total || t.Failed() {
							return
						}
						if at == total/5 || at == total {
							memory <- settled()
						}
						if !soaked(t, c, mixed(r, lang), at%64 == 0) {
							failed.Add(1)
						}
					}
				})
			}
			wg.Wait()
			allBack(t, c)
			open, _, _ := c.Size()
			if first, last := <-memory, <-memory; last > first+first/20+(4<<20) {
				t.Errorf("the memory grew from %d to %d bytes", first, last)
			} else {
				t.Logf("%d calls in %d sandboxes, %d failed as they should, 0 bytes differ, %d MiB then %d MiB", total, open, failed.Load(), first>>20, last>>20)
			}
		})
	}
}

// settled is the private memory of this process without garbage.
func settled() int64 {
	debug.FreeOSMemory()
	return privateBytes(nil)
}

// soaked makes one call and compares; it reports whether the call succeeded.
func soaked(t *testing.T, c *Code, j Job, all bool) bool {
	b, err := c.Take(context.Background())
	if err != nil {
		t.Error(err)
		return false
	}
	defer b.Release()
	_, _, err = b.Invoke(context.Background(), &j)
	upTo := b.memory.ready
	if !all { // what is further away was given back to the system
		upTo = min(upTo, len(b.memory.image())+4*tailKept)
	}
	if d := b.difference(upTo); d != "" {
		t.Errorf("after %.60s (%v): %s", j.Input, err, d)
	}
	return err == nil
}

// TestTheCompareCanFail is the negative control: a scan that misses pages is
// noticed by the compare, though counters in the guest look clean.
func TestTheCompareCanFail(t *testing.T) {
	if paths(t)[0] != PageScan {
		t.Skip("there is no page-scan here")
	}
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, nil)
			b, err := c.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer b.Release()
			b.memory.written.blind = true
			const calls = 50
			noticed := 0
			for range calls {
				j := act("echo", strings.Repeat("x", 10_000))
				if _, _, err := b.Invoke(t.Context(), &j); err != nil {
					t.Fatal(err)
				}
				if b.difference(b.memory.ready) != "" {
					noticed++
				}
			}
			if noticed < calls*9/10 {
				t.Errorf("only %d of %d compares noticed that pages were missed", noticed, calls)
			}
		})
	}
}

// TestUncleanSandboxesAreThrownAway: the compare is part of the product.
func TestUncleanSandboxesAreThrownAway(t *testing.T) {
	if paths(t)[0] != PageScan {
		t.Skip("there is no page-scan here")
	}
	c := small(t, func(s *Settings) { s.CompareEvery = 5 })
	b, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.memory.written.blind = true
	for n := range 10 {
		j := act("echo", strings.Repeat("x", 10_000))
		out, _, err := b.Invoke(t.Context(), &j)
		if err == nil {
			continue
		}
		if n != 4 || !errors.Is(err, ErrUnclean) || out != nil {
			t.Errorf("call %d answered %q, %v", n, out, err)
		}
		break
	}
	b.Release()
	if open, _, lost := c.Size(); open != 0 || lost != 1 {
		t.Errorf("%d sandboxes are open, %d were lost", open, lost)
	}
}
