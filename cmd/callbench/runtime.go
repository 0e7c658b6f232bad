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
	"slices"
	"strconv"
	"strings"
)

// runtimeRuns is how often each benchmark is run; the median counts.
const runtimeRuns = 5

// suite is a package whose benchmarks report figures: BenchmarkFigure... with
// b.ReportMetric(value, "figure:NAME").
type suite struct {
	folder string
	bench  string // pattern, of go test -bench
	// time is what go test -benchtime gets.
	time string
	runs int
	// figures are prefixes of the names that it reports.
	figures []string
}

// runtimeSuites are the benchmarks of the plugin runtime.
func runtimeSuites() []suite {
	return []suite{
		{"./host/plugin/wasm/sandbox", "^BenchmarkFigure([^S]|S[^o])", "300ms", runtimeRuns, []string{
			"runtime/isolated_", "runtime/reset_", "runtime/parallel_", "runtime/sandboxes_", "runtime/allocations", "runtime/runaway_"}},
		{"./host/plugin/wasm/sandbox", "^BenchmarkFigureSoak", "1x", 1, []string{"runtime/soak_"}},
		{"./host/plugin/wasm", "^BenchmarkFigure", "300ms", runtimeRuns, []string{"runtime/limited_", "runtime/first_answer"}},
		{"./host/plugin", "^BenchmarkFigure", "1x", runtimeRuns, []string{
			"runtime/host_path", "runtime/enable_", "runtime/first_call_", "runtime/ready_"}},
		{"./cmd/callboard/internal/author", "^BenchmarkFigure", "300ms", runtimeRuns, []string{"runtime/sdk_"}},
	}
}

// runtimeGoals are the bounds by figure; a family has one by its prefix.
func runtimeGoals() map[string]string {
	return map[string]string{
		"runtime/isolated_vs_warm/go": "<=1.08", "runtime/isolated_vs_warm/assemblyscript": "<=1.08", "runtime/isolated_vs_warm/c": "<=1.20",
		"runtime/isolated_p99_vs_warm/go": "<=1.0", "runtime/isolated_p99_vs_warm/assemblyscript": "<=1.0", "runtime/isolated_p99_vs_warm/c": "<=1.2",
		"runtime/reset_fixed": "<=0.5", "runtime/reset_per_page": "<=0.1",
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
	if goal, ok := goals[name]; ok {
		return goal
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return goals[name[:i]]
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
	return errors.Join(failed...)
}

// run runs one suite and returns every value of every figure.
func (s suite) run(ctx context.Context) (map[string][]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", s.bench, "-benchtime", s.time,
		"-count", strconv.Itoa(s.runs), "-timeout", "60m", s.folder)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	err := cmd.Run()
	values := figuresOf(out.Bytes())
	if err != nil {
		return values, fmt.Errorf("go test -bench %s %s: %w\n%s", s.bench, s.folder, err, out.Bytes())
	}
	return values, nil
}

// figuresOf reads the figures from the output of go test: lines of pairs of
// value and unit, of which the units "figure:NAME" are ours.
func figuresOf(out []byte) map[string][]float64 {
	values := map[string][]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		for i := 1; i < len(words); i++ {
			name, ours := strings.CutPrefix(words[i], "figure:")
			if !ours {
				continue
			}
			if v, err := strconv.ParseFloat(words[i-1], 64); err == nil {
				values[name] = append(values[name], v)
			}
		}
	}
	return values
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
