//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// invokeWarm is Invoke without isolation: what the guest did stays done.
func (b *Sandbox) invokeWarm(ctx context.Context, job *Job) ([]byte, error) {
	d, err := b.door(job.Export)
	if err != nil {
		return nil, err
	}
	b.memory.limit, b.memory.peak = job.Memory, b.memory.size
	if err := b.state.Begin(ctx, &job.Call); err != nil {
		return nil, err
	}
	out, err := b.run(d, job)
	b.state.Reset()
	return out, err
}

// rounds measures several ways of doing the same in turn, so that what else
// the host does is shared between them, and returns their medians in ns.
func rounds(b *testing.B, ways ...func()) []float64 {
	times := make([][]float64, len(ways))
	const batch = 50
	for b.Loop() {
		for i, way := range ways {
			for range batch {
				begin := time.Now()
				way()
				times[i] = append(times[i], float64(time.Since(begin).Nanoseconds()))
			}
		}
	}
	out := make([]float64, len(ways))
	for i, t := range times {
		slices.Sort(t)
		out[i] = t[len(t)/2]
	}
	return out
}

// BenchmarkTail compares the slowest hundredth of isolated calls with that of
// warm ones, in CPU time of the thread: wall time shows the neighbours.
func BenchmarkTail(b *testing.B) {
	for name, open := range benchGuests(b) {
		b.Run(name, func(b *testing.B) {
			c, job := open()
			job.Deadline = time.Now().Add(time.Hour)
			ctx := context.Background()
			warm, err := c.fresh(ctx)
			if err != nil {
				b.Fatal(err)
			}
			defer warm.close()
			// Twice, as a guest that asks for fuel undoes it once for a while.
			for range 2 {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			var times [2][]float64
			for b.Loop() {
				for range 100 {
					begin := threadTime(b)
					if _, err := warm.invokeWarm(ctx, &job); err != nil {
						b.Fatal(err)
					}
					times[0] = append(times[0], threadTime(b)-begin)
				}
				for range 100 {
					begin := threadTime(b)
					if _, _, err := c.Do(ctx, &job); err != nil {
						b.Fatal(err)
					}
					times[1] = append(times[1], threadTime(b)-begin)
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			at := len(times[0]) * 99 / 100
			b.ReportMetric(times[0][at], "ns/warm-p99")
			b.ReportMetric(times[1][at], "ns/isolated-p99")
			b.ReportMetric(times[1][at]/times[0][at], "x/warm-p99")
			b.ReportMetric(times[1][len(times[1])/2]/times[0][len(times[0])/2], "x/warm-p50")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// threadTime is the CPU time of this thread, in ns.
func threadTime(b *testing.B) float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return float64(t.Nano())
}

// order is the reference operation: 1 KB in, a host call, 1 KB out.
func order() Job {
	type item struct {
		Name string `json:"name"`
		Size int    `json:"size"`
		On   bool   `json:"on"`
	}
	var items []item
	for i := range 24 {
		items = append(items, item{fmt.Sprintf("item-%d", i), i * 7, i%3 > 0})
	}
	j := act("order", items)
	j.Host = func(_ context.Context, request []byte) []byte { return fmt.Appendf(nil, `{"body":%d}`, len(request)) }
	return j
}

// benchGuests are guests with a realistic call.
func benchGuests(b *testing.B) map[string]func() (*Code, Job) {
	out := map[string]func() (*Code, Job){
		"museum": func() (*Code, Job) {
			j := act("echo", strings.Repeat("0123456789abcde ", 62))
			return opened(b, runtimetest.Museum(b), []Job{j}, nil), j
		},
	}
	for _, name := range []string{"c", "assemblyscript", "go"} {
		out[name+"/echo"] = func() (*Code, Job) {
			j := act("echo", strings.Repeat("0123456789abcde ", 62))
			return opened(b, runtimetest.Guest(b, name), []Job{j}, nil), j
		}
		out[name+"/order"] = func() (*Code, Job) {
			j := order()
			return opened(b, runtimetest.Guest(b, name), []Job{j}, nil), j
		}
	}
	return out
}

func BenchmarkIsolated(b *testing.B) {
	for name, open := range benchGuests(b) {
		b.Run(name, func(b *testing.B) {
			c, job := open()
			job.Deadline = time.Now().Add(time.Hour)
			ctx := context.Background()
			warm, err := c.fresh(ctx)
			if err != nil {
				b.Fatal(err)
			}
			defer warm.close()
			clean, err := c.Take(ctx)
			if err != nil {
				b.Fatal(err)
			}
			defer clean.Release()
			old := map[Path]*Sandbox{}
			for _, path := range []Path{Pagemap, Madvise} {
				if old[path], err = c.fresh(ctx); err != nil {
					b.Fatal(err)
				}
				defer old[path].close()
				old[path].memory.path = path
			}
			runtime.GC()
			m := rounds(b, func() {
				if _, err := warm.invokeWarm(ctx, &job); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, _, err := clean.Invoke(ctx, &job); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, _, err := old[Pagemap].Invoke(ctx, &job); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, _, err := old[Madvise].Invoke(ctx, &job); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(m[0], "ns/warm")
			b.ReportMetric(m[2]/m[0], "x/warm-pagemap")
			b.ReportMetric(m[3]/m[0], "x/warm-madvise")
			b.ReportMetric(m[1], "ns/isolated")
			b.ReportMetric(m[1]/m[0], "x/warm")
			b.ReportMetric(float64(clean.memory.written.pages), "pages")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkReset measures what restoring costs for a number of written pages.
func BenchmarkReset(b *testing.B) {
	c := opened(b, runtimetest.Guest(b, "go"), []Job{act("count", nil)}, nil)
	for _, pages := range []int{0, 5, 20, 60, 100, 300} {
		b.Run(fmt.Sprint(pages), func(b *testing.B) {
			box, err := c.fresh(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer box.close()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var took []float64
			for b.Loop() {
				box.memory.begin(0)
				for i := range pages {
					box.memory.mem[i*page+i%page] = 1
				}
				begin := time.Now()
				if err := box.reset(); err != nil {
					b.Fatal(err)
				}
				took = append(took, float64(time.Since(begin).Nanoseconds()))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "ns/reset")
		})
	}
}

func BenchmarkParts(b *testing.B) {
	c := opened(b, runtimetest.Guest(b, "assemblyscript"), []Job{act("count", nil)}, nil)
	box, err := c.fresh(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("globals", func(b *testing.B) {
		for b.Loop() {
			for i := range box.globals {
				box.globals[i].at.Set(box.globals[i].value)
			}
		}
		b.ReportMetric(float64(len(box.globals)), "globals")
	})
	b.Run("tally", func(b *testing.B) {
		for b.Loop() {
			box.memory.tally.begin()
		}
	})
	b.Run("stack", func(b *testing.B) {
		d, _ := box.door("callboard_call")
		for b.Loop() {
			stackSize(d.call)
		}
	})
	b.Run("begin", func(b *testing.B) {
		j := act("count", nil)
		for b.Loop() {
			box.state.Begin(context.Background(), &j.Call)
			box.state.Reset()
		}
	})
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			x, _ := c.Take(context.Background())
			x.Release()
		}
	})
	b.Run("now", func(b *testing.B) {
		for b.Loop() {
			time.Now()
		}
	})
	j := act("count", nil)
	j.Deadline = time.Now().Add(time.Hour)
	b.Run("warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			box.invokeWarm(context.Background(), &j)
		}
	})
	b.Run("isolated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Do(context.Background(), &j)
		}
	})
}

// BenchmarkDensity measures the private memory of sandboxes that each served a
// call.
func BenchmarkDensity(b *testing.B) {
	for name, open := range benchGuests(b) {
		b.Run(name, func(b *testing.B) {
			c, job := open()
			job.Deadline = time.Now().Add(time.Hour)
			ctx := context.Background()
			const n = 500
			boxes := make([]*Sandbox, 0, n)
			var before, after runtime.MemStats
			debug.FreeOSMemory()
			runtime.ReadMemStats(&before)
			private := privateBytes(b)
			for range n {
				box, err := c.fresh(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := box.Invoke(ctx, &job); err != nil {
					b.Fatal(err)
				}
				boxes = append(boxes, box)
			}
			runtime.GC()
			runtime.GC()
			debug.FreeOSMemory()
			runtime.ReadMemStats(&after)
			grown := privateBytes(b) - private
			b.ReportMetric(float64(grown)/n/1024, "KiB/sandbox")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n/1024, "KiB-heap/sandbox")
			b.ReportMetric(float64(n<<30)/float64(grown), "sandboxes/GiB")
			b.ReportMetric(0, "ns/op")
			for _, box := range boxes {
				_ = box.close()
			}
		})
	}
}

// privateBytes reads the private memory of this process.
func privateBytes(t testing.TB) int64 {
	raw, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		if t != nil {
			t.Skip(err)
		}
		return 0
	}
	var sum int64
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if strings.HasPrefix(line, "Private_") {
			fmt.Sscan(strings.Fields(line)[1], &kib)
			sum += kib << 10
		}
	}
	return sum
}

// BenchmarkCallers measures what many callers at once get done.
func BenchmarkCallers(b *testing.B) {
	for name, open := range benchGuests(b) {
		b.Run(name, func(b *testing.B) {
			c, job := open()
			job.Deadline = time.Now().Add(time.Hour)
			c.settings.MaxBoxes = 8
			warm := make(chan *Sandbox, 64)
			for range 8 {
				box, err := c.fresh(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				defer box.close()
				warm <- box
			}
			var rates, costs [2][]float64
			for b.Loop() {
				for i, call := range []func(){func() {
					box := <-warm
					if _, err := box.invokeWarm(context.Background(), &job); err != nil {
						b.Error(err)
					}
					warm <- box
				}, func() {
					j := job
					if _, _, err := c.Do(context.Background(), &j); err != nil {
						b.Error(err)
					}
				}} {
					rate, cost := throughput(call)
					rates[i], costs[i] = append(rates[i], rate), append(costs[i], cost)
				}
			}
			median := func(x []float64) float64 {
				slices.Sort(x)
				return x[len(x)/2]
			}
			w, i := median(rates[0]), median(rates[1])
			b.ReportMetric(w, "warm/s")
			b.ReportMetric(i, "isolated/s")
			b.ReportMetric(i/w, "x/warm")
			b.ReportMetric(median(costs[0])/median(costs[1]), "x/warm-cpu")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// throughput lets 64 callers call for a while and returns calls a second, and
// the CPU time of a call in ns, which other programs have less influence on.
func throughput(call func()) (rate, cost float64) {
	used := func() int64 {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // cannot fail for this process
		return u.Utime.Nano() + u.Stime.Nano()
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	begin, before := time.Now(), used()
	for range 64 {
		wg.Go(func() {
			for time.Since(begin) < 150*time.Millisecond {
				call()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds(), float64(used()-before) / float64(n.Load())
}

// BenchmarkOpen measures what is between an image on disk and the first answer,
// beside compiling: loading it, and making a sandbox.
func BenchmarkOpen(b *testing.B) {
	for _, lang := range runtimetest.Languages() {
		img := imaged(b, runtimetest.Guest(b, lang))
		var file bytes.Buffer
		if err := img.Save(&file); err != nil {
			b.Fatal(err)
		}
		b.Run(lang+"/load", func(b *testing.B) {
			b.SetBytes(img.Bytes())
			for b.Loop() {
				again, err := Load(bytes.NewReader(file.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				_ = again.Close()
			}
		})
		c := opened(b, runtimetest.Guest(b, lang), []Job{act("echo", "warm")}, nil)
		b.Run(lang+"/sandbox", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				box, err := c.fresh(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				_ = box.close()
			}
		})
	}
}
