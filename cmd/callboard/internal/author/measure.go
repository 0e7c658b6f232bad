package author

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host/plugin"
)

// newBenchCommand returns "plugin bench".
func newBenchCommand(s Settings) *cobra.Command {
	var t trial
	var calls int
	cmd := &cobra.Command{
		Use:   "bench [DIR] (--operation ID | --view ID | --schedule ID)",
		Short: "Make a call many times and show how long it takes and what it uses",
		Long: "Makes the call that the flags describe over and over, in the sandbox in which a portal would, and prints the\n" +
			"quickest, the median and the 99th percentile, with fuel and memory. Fuel is the figure to compare: the same call\n" +
			"uses the same on every machine, while times depend on it. The flags are those of plugin run.",
		Example: "  callboard plugin bench --operation getGreeting --param name=Ann --calls 5000",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.complete(s); err != nil {
				return err
			}
			if calls < 1 {
				return s.Usage(errors.New("--calls must be 1 or more"))
			}
			return s.measure(cmd, s.folder(args), t, calls)
		},
	}
	t.flags(cmd)
	cmd.Flags().IntVarP(&calls, "calls", "n", 1000, "how many calls to make")
	outputFlag(cmd)
	return cmd
}

// measured is what "plugin bench" reports.
type measured struct {
	Calls     int     `json:"calls"`
	MinMicros float64 `json:"minMicros"`
	P50Micros float64 `json:"p50Micros"`
	P99Micros float64 `json:"p99Micros"`
	// MinFuel and MaxFuel differ where calls take different ways.
	MinFuel   int64  `json:"minFuel"`
	MaxFuel   int64  `json:"maxFuel"`
	Memory    int64  `json:"memory"`
	Input     int64  `json:"input"`
	Output    int64  `json:"output"`
	HostCalls int64  `json:"hostCalls"`
	HostBytes int64  `json:"hostBytes"`
	Runtime   string `json:"runtime"`
	Path      string `json:"path"`
	Why       string `json:"why,omitempty"`
}

// measure makes the calls. One before them is not counted: it brings the code
// into memory.
func (s Settings) measure(cmd *cobra.Command, dir string, t trial, calls int) (err error) {
	ctx := cmd.Context()
	w, err := s.lay(cmd, dir, t, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close(ctx)) }()
	used := make([]plugin.Usage, 0, calls)
	for i := range calls + 1 {
		err := w.bench.protect(func() error {
			_, err := s.call(w.portal, w.bundle.Manifest, t)
			return err
		})
		if err := errors.Join(err, errors.Join(w.bench.faults...), ctx.Err()); err != nil {
			printLogs(cmd.ErrOrStderr(), w.portal.Logs())
			return w.scale.explained(err)
		}
		if i > 0 {
			used = append(used, w.scale.used())
		}
	}
	m := summed(used, w.module.Facts())
	return s.report(cmd, m, m.text())
}

// summed makes the figures of the calls.
func summed(used []plugin.Usage, f plugin.Facts) measured {
	times := make([]time.Duration, 0, len(used))
	last := used[len(used)-1]
	m := measured{Calls: len(used), MinFuel: last.Fuel, MaxFuel: last.Fuel, Input: last.Input, Output: last.Output,
		HostCalls: last.HostCalls, HostBytes: last.HostBytes, Runtime: f.Runtime, Path: f.Path, Why: f.Why}
	for _, u := range used {
		times = append(times, u.Wall)
		m.MinFuel, m.MaxFuel, m.Memory = min(m.MinFuel, u.Fuel), max(m.MaxFuel, u.Fuel), max(m.Memory, u.Memory)
	}
	slices.Sort(times)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	m.MinMicros, m.P50Micros, m.P99Micros = micros(times[0]), micros(times[len(times)/2]), micros(times[len(times)*99/100])
	return m
}

// text is what a person reads.
func (m measured) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls  min %.1f µs  p50 %.1f µs  p99 %.1f µs\n", m.Calls, m.MinMicros, m.P50Micros, m.P99Micros)
	fuel := grouped(m.MinFuel)
	if m.MaxFuel != m.MinFuel {
		fuel += " to " + grouped(m.MaxFuel)
	}
	fmt.Fprintf(&b, "fuel %s  memory %s  in %s  out %s  host calls %d with %s\n", fuel, sizeText(m.Memory), sizeText(m.Input), sizeText(m.Output), m.HostCalls, sizeText(m.HostBytes))
	fmt.Fprintf(&b, "runtime %s %s", m.Runtime, m.Path)
	if m.Why != "" {
		fmt.Fprintf(&b, " (%s)", m.Why)
	}
	return b.String() + "\n"
}
