//go:build linux

package sandbox

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// soak is how many calls TestSoak makes; 0 leaves it out.
var soak = flag.Int("soak", 0, "how many mixed calls TestSoak makes")

// mixed returns a random call: most are good, some misbehave.
func mixed(r *rand.Rand, lang string) Job {
	acts := []string{"echo", "echo", "task", "count", "grow", "canary", "work", "trap", "junk", "short", "loud", "small"}
	if lang == runtimetest.Go {
		acts = append(acts, "goroutines", "goroutines", "collect")
	}
	if r.IntN(40) == 0 {
		acts = runaways()
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
	switch path, why := Detect(); path {
	case PageScan:
		return []Path{PageScan, Madvise}
	case Madvise:
		t.Logf("page-scan is not tested here: %s", why)
		return []Path{Madvise}
	default:
		t.Skip(why)
		return nil
	}
}

// TestEveryCallLeavesTheImage compares all memory and all globals after each of
// many random calls.
func TestEveryCallLeavesTheImage(t *testing.T) {
	calls := 600
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
		if d := b.difference(); d != "" {
			t.Fatalf("after call %d, %.60s (%v): %s", n, j.Input, err, d)
		}
	}
	if failed < calls/20 || failed > calls*3/4 {
		t.Errorf("%d of %d calls failed: that is no mixture", failed, calls)
	}
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
				if b.difference() != "" {
					noticed++
				}
			}
			if noticed < calls*9/10 {
				t.Errorf("only %d of %d compares noticed that pages were missed", noticed, calls)
			}
		})
	}
}
