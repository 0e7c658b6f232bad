// Package probation watches releases that have just taken over. A release
// whose calls fail by its own fault more often than its error budget allows,
// and more often than those of the release before it, is taken back: the
// instance returns to the release, grants, configuration and tables that it had
// before. Which release runs is package plugin's; this room only decides when
// one has failed.
package probation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Settings of a Watch. Zero fields take the defaults that they name.
type Settings struct {
	// For is how long a release is watched after it took over; 30 minutes.
	For time.Duration
	// Budget is the share of calls that may fail by the plugin's fault; 0.1.
	Budget float64
	// Calls is how many calls it takes to judge; 20. Half of them are enough
	// where all failed.
	Calls int
	// Rollback takes the instance back. It runs in a goroutine of its own.
	Rollback func(ctx context.Context, in plugin.Instance, reason string)
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Watch counts the calls of all instances, by release. It is safe for
// concurrent use.
type Watch struct {
	s Settings

	mu   sync.Mutex
	seen map[string]*record // by instance id
}

// record is how an instance's release has been doing in this process.
type record struct {
	digest        string
	since         time.Time
	watched       bool // took over while we looked, and is still on probation
	calls, failed int
	// before is the share that failed under the release before.
	before float64
}

var _ plugin.Observer = (*Watch)(nil)

// New returns a watch.
func New(s Settings) *Watch {
	if s.For <= 0 {
		s.For = 30 * time.Minute
	}
	if s.Budget <= 0 {
		s.Budget = 0.1
	}
	if s.Calls <= 0 {
		s.Calls = 20
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return &Watch{s: s, seen: map[string]*record{}}
}

// Begin looks at how the call ends.
func (w *Watch) Begin(_ context.Context, _ host.Caller, in *plugin.Instance, _ *plugin.Work) func(plugin.Outcome, error) {
	return func(o plugin.Outcome, err error) {
		if reason := w.note(in, blamed(o, err)); reason != "" && w.s.Rollback != nil {
			go w.s.Rollback(context.Background(), *in, reason)
		}
	}
}

// blamed reports whether a call failed by the plugin's fault. What the caller,
// an upstream or a limit of the tenant caused is not the release's.
func blamed(o plugin.Outcome, err error) bool {
	switch host.CodeOf(err) {
	case host.CodePluginTrap, host.CodePluginMemory, host.CodePluginFuel, host.CodePluginTimeout, host.CodePluginOutput:
		return true
	}
	return err == nil && o.Result.Error != nil && o.Result.Error.Code == pluginv1.CodeInternal
}

// note counts a call; it returns a reason when the release has to go.
func (w *Watch) note(in *plugin.Instance, failed bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.seen[in.ID]
	switch {
	case r == nil:
		r = &record{digest: in.Digest, since: w.s.Now()}
		w.seen[in.ID] = r
	case r.digest != in.Digest:
		r = &record{digest: in.Digest, since: w.s.Now(), before: r.share(), watched: in.Previous != ""}
		w.seen[in.ID] = r
	}
	r.calls++
	if failed {
		r.failed++
	}
	if r.calls >= 10_000 { // what was long ago must not hide what is now
		r.calls, r.failed = r.calls/2, r.failed/2
	}
	if !r.watched || !failed {
		return ""
	}
	if w.s.Now().Sub(r.since) > w.s.For {
		r.watched = false
		return ""
	}
	enough := r.calls >= w.s.Calls || r.failed == r.calls && r.calls >= (w.s.Calls+1)/2
	if !enough || r.share() <= w.s.Budget || r.share() <= 2*r.before {
		return ""
	}
	r.watched = false
	return fmt.Sprintf("%d of the first %d calls of version %s failed (%.0f %%; the budget is %.0f %%)",
		r.failed, r.calls, in.Version, 100*r.share(), 100*w.s.Budget)
}

func (r *record) share() float64 {
	if r.calls == 0 {
		return 0
	}
	return float64(r.failed) / float64(r.calls)
}

// Forget drops what is known of an instance.
func (w *Watch) Forget(instance string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.seen, instance)
}
