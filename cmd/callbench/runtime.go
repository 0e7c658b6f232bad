package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// runtimeRuns is how often each benchmark is run; the median counts.
const runtimeRuns = 5

// suite is a package with benchmarks of the plugin runtime.
type suite struct {
	folder string
	bench  string // pattern, of go test -bench
	// time is what go test -benchtime gets.
	time string
	// figures are prefixes of the names that it reports.
	figures []string
}

// runtimeSuites are the benchmarks of the plugin runtime.
func runtimeSuites() []suite {
	return []suite{
		{"./host/plugin/wasm/sandbox", "^Benchmark(Isolated|Tail|Reset|Callers|Density|Runaway|Collection)$|^BenchmarkParts$/^isolated$", "300ms", []string{
			"runtime/isolated_", "runtime/madvise_", "runtime/reset_", "runtime/parallel_", "runtime/sandboxes_", "runtime/allocations", "runtime/runaway_"}},
		{"./host/plugin/wasm", "^BenchmarkFigure", "300ms", []string{"runtime/limited_", "runtime/first_answer"}},
		{"./host/plugin", "^BenchmarkFigure", "1x", []string{
			"runtime/host_path", "runtime/enable_", "runtime/first_call_", "runtime/ready_"}},
		{"./cmd/callboard/internal/author", "^BenchmarkFigure", "300ms", []string{"runtime/sdk_"}},
	}
}

// reading names the figure that a metric of a benchmark is.
type reading struct {
	benchmark *regexp.Regexp
	unit      string
	name      string  // $1 is the benchmark's first group
	factor    float64 // from the metric's unit to the figure's
}

// readings are the metrics that are figures. Benchmarks may also say so
// themselves, with the unit "figure:NAME".
func readings() []reading {
	r := func(benchmark, unit, name string, factor float64) reading {
		return reading{regexp.MustCompile(benchmark + `(?:-\d+)?$`), unit, name, factor}
	}
	return []reading{
		r(`^BenchmarkIsolated/(\w+)/order`, "x/warm", "runtime/isolated_vs_warm/$1", 1),
		r(`^BenchmarkIsolated/(\w+)/echo`, "x/warm", "runtime/isolated_echo_vs_warm/$1", 1),
		r(`^BenchmarkIsolated/(\w+)/order`, "x/warm-madvise", "runtime/madvise_vs_warm/$1", 1),
		r(`^BenchmarkTail/(\w+)/order`, "x/warm-p99", "runtime/isolated_p99_vs_warm/$1", 1),
		r(`^BenchmarkReset/0`, "ns/reset", "runtime/reset_no_page", 1e-3),
		r(`^BenchmarkReset/100`, "ns/reset", "runtime/reset_100_pages", 1e-3),
		r(`^BenchmarkCallers/(\w+)/order`, "x/warm", "runtime/parallel_vs_warm/$1", 1),
		r(`^BenchmarkDensity/(go)/order`, "sandboxes/GiB", "runtime/sandboxes_per_gib/$1", 1),
		r(`^BenchmarkParts/isolated`, "allocs/op", "runtime/allocations", 1),
		r(`^BenchmarkRunaway/(\w+/\w+)`, "ms-late", "runtime/runaway_stop/$1", 1),
		r(`^BenchmarkCollection/(go|assemblyscript|c)`, "ms/collection", "runtime/runaway_gc/$1", 1),
	}
}

// runtimeGoals are the bounds by figure; a family has one by its prefix.
func runtimeGoals() map[string]string {
	return map[string]string{
		"runtime/isolated_vs_warm/go": "<=1.08", "runtime/isolated_vs_warm/assemblyscript": "<=1.08", "runtime/isolated_vs_warm/c": "<=1.20",
		"runtime/isolated_echo_vs_warm/go": "<=1.08", "runtime/isolated_echo_vs_warm/assemblyscript": "<=1.08", "runtime/isolated_echo_vs_warm/c": "<=1.20",
		"runtime/madvise_vs_warm/go": "<=2.2", "runtime/madvise_vs_warm/assemblyscript": "<=2.2",
		"runtime/isolated_p99_vs_warm/go": "<=1.0", "runtime/isolated_p99_vs_warm/assemblyscript": "<=1.0", "runtime/isolated_p99_vs_warm/c": "<=1.2",
		"runtime/reset_no_page": "<=0.5", "runtime/reset_100_pages": "<=10.5",
		"runtime/limited_vs_extism_warm/c": "<=0.08", "runtime/limited_vs_extism_warm/assemblyscript": "<=0.10", "runtime/limited_vs_extism_warm/go": "<=0.20",
		"runtime/limited_vs_extism_fresh": "<=0.035",
		"runtime/host_path_vs_goplugin":   "<=0.3",
		"runtime/sdk_vs_encoding_json":    "<=0.25",
		"runtime/parallel_vs_warm/go":     ">=0.9", "runtime/parallel_vs_warm/assemblyscript": ">=0.9", "runtime/parallel_vs_warm/c": ">=0.75",
		"runtime/sandboxes_per_gib/go": ">=5000",
		"runtime/allocations":          "<=1",
		"runtime/runaway_stop":         "<=10", "runtime/runaway_gc": "<=50",
		"runtime/soak_differences": "<=0", "runtime/soak_memory_growth": "<=0.05", "runtime/soak_lost": "<=0",
		"runtime/first_answer/small": "<=60", "runtime/first_answer/large": "<=180",
		"runtime/ready_25_plugins":    "<=500",
		"runtime/enable_1000_tenants": "<=2", "runtime/first_call_1000_tenants": "<=2",
	}
}

// runtimeUnits are the units by prefix; the rest are ratios.
func runtimeUnits(name string) string {
	for _, u := range []struct{ prefix, unit string }{
		{"runtime/reset_", "us"}, {"runtime/sandboxes_", "per GiB"}, {"runtime/allocations", "count"}, {"runtime/runaway_", "ms"},
		{"runtime/soak_differences", "bytes"}, {"runtime/soak_lost", "count"}, {"runtime/first_", "ms"}, {"runtime/ready_", "ms"},
		{"runtime/enable_", "s"},
	} {
		if strings.HasPrefix(name, u.prefix) {
			return u.unit
		}
	}
	return "ratio"
}

// goalOf finds the bound of a figure: its own, or that of its family.
func goalOf(name string) string {
	goals := runtimeGoals()
	for name != "" {
		if goal, ok := goals[name]; ok {
			return goal
		}
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	return ""
}

// benchRuntime runs the benchmarks of the plugin runtime, which live beside its
// code, and collects what they report. A suite that fails costs its own
// figures, and the run.
func benchRuntime(ctx context.Context, o options, _ *portal, emit func(figure)) error {
	var failed []error
	for _, s := range runtimeSuites() {
		if !slices.ContainsFunc(s.figures, func(f string) bool { return o.wanted(f) || o.wantedBelow(f) }) {
			continue
		}
		values, err := s.run(ctx)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			emit(figure{Name: name, Value: median(values[name]), Unit: runtimeUnits(name), Goal: goalOf(name)})
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	if o.wanted("runtime/soak_") || o.wantedBelow("runtime/soak_") {
		if err := benchSoak(ctx, o, emit); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// run runs one suite and returns every value of every figure.
func (s suite) run(ctx context.Context) (map[string][]float64, error) {
	out, err := goTest(ctx, "-run", "^$", "-bench", s.bench, "-benchmem", "-benchtime", s.time, "-count", strconv.Itoa(runtimeRuns), s.folder)
	return figuresOf(out), err
}

// goTest runs go test and returns what it printed.
func goTest(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-timeout", "90m"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, out.Bytes())
	}
	return out.Bytes(), nil
}

// figuresOf reads the figures from the output of go test: a benchmark's name,
// how often it ran, and pairs of value and unit.
func figuresOf(out []byte) map[string][]float64 {
	values := map[string][]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		for i := 3; i < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i-1], 64)
			if err != nil {
				continue
			}
			if name, ours := strings.CutPrefix(words[i], "figure:"); ours {
				values[name] = append(values[name], v)
			}
			for _, r := range readings() {
				if m := r.benchmark.FindStringSubmatchIndex(words[0]); m != nil && r.unit == words[i] {
					name := string(r.benchmark.ExpandString(nil, r.name, words[0], m))
					values[name] = append(values[name], v*r.factor)
				}
			}
		}
	}
	return values
}

// soaked finds what the soak of one guest says when all went well.
func soaked(out []byte) [][][]byte {
	return regexp.MustCompile(`(\d+) calls in \d+ sandboxes.* 0 bytes differ, (\d+) MiB then (\d+) MiB`).FindAllSubmatch(out, -1)
}

// benchSoak makes very many mixed calls, with traps, hangs, growth and
// goroutines, and compares all memory and all globals after each. The test
// fails where a byte differs or a sandbox is lost.
func benchSoak(ctx context.Context, o options, emit func(figure)) error {
	out, err := goTest(ctx, "-run", "^TestSoak$", "-v", "./host/plugin/wasm/sandbox", "-soak", strconv.Itoa(o.soak))
	if err != nil {
		return err
	}
	var calls, growth float64
	for _, m := range soaked(out) {
		n, _ := strconv.ParseFloat(string(m[1]), 64) // digits, by the pattern
		first, _ := strconv.ParseFloat(string(m[2]), 64)
		last, _ := strconv.ParseFloat(string(m[3]), 64)
		calls += n
		growth = max(growth, (last-first)/max(first, 1))
	}
	if calls == 0 {
		return fmt.Errorf("the soak said nothing:\n%s", out)
	}
	emit(figure{Name: "runtime/soak_calls", Value: calls, Unit: "calls"})
	emit(figure{Name: "runtime/soak_differences", Value: 0, Unit: "bytes", Goal: goalOf("runtime/soak_differences")})
	emit(figure{Name: "runtime/soak_lost", Value: 0, Unit: "count", Goal: goalOf("runtime/soak_lost")})
	emit(figure{Name: "runtime/soak_memory_growth", Value: growth, Unit: "ratio", Goal: goalOf("runtime/soak_memory_growth")})
	return nil
}

// missed returns the figures that are more than a tenth beyond their goal.
func missed(figures []figure) []string {
	var out []string
	for _, f := range figures {
		limit, atMost, ok := bound(f.Goal)
		if ok && (atMost && f.Value > limit*1.1 || !atMost && f.Value < limit/1.1) {
			out = append(out, fmt.Sprintf("%s is %.4g, the goal is %s", f.Name, f.Value, f.Goal))
		}
	}
	return out
}
