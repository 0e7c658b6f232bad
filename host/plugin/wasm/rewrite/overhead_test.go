package rewrite_test

import (
	"slices"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// BenchmarkOverhead reports what metering costs: the time of metered code by the
// time of the same code unmetered (x), over short rounds in which the two
// take turns. On a busy machine of two cores: order, the reference operation, 1.06
// in C and AssemblyScript and 1.15 in Go; task 1.08, 1.11 and 1.14; a loop that
// does next to nothing (work) 1.05, 1.01 and 1.44. Go's loops cost most, as each
// round goes through a br_table, where no local can hold the fuel.
func BenchmarkOverhead(b *testing.B) {
	acts := []struct{ name, body string }{
		{"order", items(14)}, {"task", items(14)}, {"echo", `"` + string(make1k()) + `"`}, {"work", "20000"}, {"fork", "10"}, {"collect", ""},
	}
	for _, language := range runtimetest.Languages() {
		code := runtimetest.Guest(b, language)
		for _, act := range acts {
			if act.name == "collect" && language != runtimetest.Go {
				continue
			}
			b.Run(language+"/"+act.name, func(b *testing.B) { overhead(b, code, act.name, act.body) })
		}
	}
}

func make1k() []byte { return slices.Repeat([]byte("x"), 1000) }

func overhead(b *testing.B, code []byte, act, body string) {
	plain, counted := newRig(b, code), newRig(b, metered(b, code))
	counted.slice = 1 << 30
	round := func(r *rig, n int) time.Duration {
		begin := time.Now()
		for range n {
			if _, err := r.ask(act, body); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begin)
	}
	// A round is about a millisecond.
	n := 1
	for round(plain, n) < time.Millisecond {
		n *= 2
	}
	round(counted, n)
	b.ResetTimer()
	var without, with []time.Duration
	for len(with) < 10 || b.Loop() {
		without = append(without, round(plain, n))
		with = append(with, round(counted, n))
	}
	// Neighbours only ever slow a round down: the quick ones tell.
	slices.Sort(without)
	slices.Sort(with)
	b.ReportMetric(float64(with[len(with)/10])/float64(without[len(without)/10]), "x")
	b.ReportMetric(0, "ns/op")
}
