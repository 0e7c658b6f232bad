// Command callbench measures a real, built portal from outside, each figure
// beside a bare net/http handler in the same run, and writes bin/bench.json.
// It is for "make bench"; the product never calls it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// figure is one measured number.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal,omitempty"`
}

// options are what the flags say.
type options struct {
	callboard, plugins, hello string
	out, only                 string
	duration, idle            time.Duration
	connections, rounds, soak int
	peer                      string
	peerPID                   int
}

// bench is one family of figures. Its name is the part before the slash.
type bench struct {
	name   string
	portal bool // needs a running one
	run    func(ctx context.Context, o options, p *portal, emit func(figure)) error
}

// benches are all families, in the order in which they run.
func benches() []bench {
	return []bench{
		{"start", true, benchStart},
		{"memory", true, benchMemory},
		{"http", true, benchHTTP},
		{"plugin", true, benchPlugin},
		{"install", true, benchInstall},
		{"runtime", false, benchRuntime},
		{"peer", true, benchPeer},
	}
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "bare-handler" {
		if err := serveBare(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "callbench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "callbench:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("callbench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.callboard, "callboard", "bin/callboard", "the built portal")
	flags.StringVar(&o.plugins, "plugins", "bin/plugins", "directory of the bundled plugins")
	flags.StringVar(&o.hello, "hello", "examples/hello-plugin", "plugin that is built, installed and called")
	flags.StringVar(&o.out, "out", "bin/bench.json", "file of the figures")
	flags.StringVar(&o.only, "only", "", "measure only figures whose name starts like this; several with commas")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of one round of load")
	flags.DurationVar(&o.idle, "idle", 30*time.Second, "how long the portal rests before its memory is read")
	flags.IntVar(&o.connections, "connections", 16, "connections of the load")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of load; the median counts")
	flags.IntVar(&o.soak, "soak", 1_000_000, "calls of the soak of sandboxes")
	flags.StringVar(&o.peer, "peer", "", "URL of a Backstage backend to measure beside (token in PEER_TOKEN)")
	flags.IntVar(&o.peerPID, "peer-pid", 0, "process of the peer, for its memory")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	return o, nil
}

// wanted reports whether a figure is asked for.
func (o options) wanted(name string) bool {
	return slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool { return strings.HasPrefix(name, p) })
}

// wantedFamily reports whether figures of a family can have a wanted name.
func (o options) wantedFamily(family string) bool {
	return o.wanted(family+"/") ||
		slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool { return strings.HasPrefix(p, family+"/") })
}

// wantedBelow reports whether a wanted name begins with prefix.
func (o options) wantedBelow(prefix string) bool {
	return slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool { return strings.HasPrefix(p, prefix) })
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "callbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := newPortal(o, dir)
	if slices.ContainsFunc(benches(), func(b bench) bool { return b.portal && o.wantedFamily(b.name) }) {
		if err := p.start(ctx); err != nil {
			return err
		}
		defer p.stop()
		if err := p.prepare(ctx); err != nil {
			return err
		}
	}
	var figures []figure
	emit := func(f figure) {
		if o.wanted(f.Name) {
			figures = append(figures, f)
			fmt.Fprintf(out, "%-42s %12.2f %-8s %s\n", f.Name, f.Value, f.Unit, verdict(f))
		}
	}
	var errs []error
	for _, b := range benches() {
		if o.wantedFamily(b.name) {
			if err := b.run(ctx, o, p, emit); err != nil {
				errs = append(errs, fmt.Errorf("measuring %s: %w", b.name, err))
			}
		}
	}
	errs = append(errs, write(o.out, figures))
	if late := missed(figures); len(late) > 0 {
		errs = append(errs, fmt.Errorf("%d figures are more than a tenth beyond their goal:\n  %s", len(late), strings.Join(late, "\n  ")))
	}
	return errors.Join(errs...)
}

// verdict compares a figure with its goal, "<=300" or ">=0.4".
func verdict(f figure) string {
	limit, atMost, ok := bound(f.Goal)
	if !ok {
		return f.Goal
	}
	if atMost && f.Value <= limit || !atMost && f.Value >= limit {
		return f.Goal + " ok"
	}
	return f.Goal + " MISSED"
}

// bound reads a goal.
func bound(goal string) (limit float64, atMost, ok bool) {
	if len(goal) < 3 {
		return 0, false, false
	}
	_, err := fmt.Sscanf(goal[2:], "%g", &limit)
	return limit, strings.HasPrefix(goal, "<="), err == nil
}

func write(file string, figures []figure) error {
	if figures == nil {
		figures = []figure{}
	}
	body, err := json.MarshalIndent(map[string]any{"figures": figures}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(body, '\n'), 0o644)
}
