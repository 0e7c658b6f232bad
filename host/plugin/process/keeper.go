package process

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/process/cgroup"
)

// key names whose process one is.
type key struct{ digest, tenant string }

// keeper keeps the processes: at most one for each key, which is lent to calls.
type keeper struct {
	settings Settings
	launch   func(func() error) error
	stop     func()
	tree     *cgroup.Tree // nil where the host has no control groups

	mu      sync.Mutex
	slots   map[key]*slot
	root    string // made with the first process
	lock    *os.File
	running int
	lacking []string
	closed  bool
	cleared bool
	alive   sync.WaitGroup // watchers and starts
}

// slot is the place of one key's process, and the memory of its failures.
type slot struct {
	guest    *guest
	starting *starting
	failures []time.Time
	until    time.Time // nothing is started before
	down     error     // nothing is started any more
}

// starting is a process that is on its way.
type starting struct {
	done chan struct{}
	err  error // set when done is closed
}

func newKeeper(s Settings) *keeper {
	k := &keeper{settings: s, slots: map[key]*slot{}}
	k.launch, k.stop = newLauncher()
	tree, err := cgroup.Find()
	if err != nil && !errors.Is(err, cgroup.ErrNone) {
		s.Log.Warn("control groups cannot be used for plugins' processes", "error", err)
	}
	if err == nil {
		k.tree = tree
	}
	return k
}

// patience is the longest pause after a failure that a call waits for.
const patience = time.Second

// lend returns the tenant's process, starting it where there is none. The
// caller gives it back.
func (k *keeper) lend(ctx context.Context, id key, o order) (*guest, error) {
	for {
		g, st, err := k.reach(id, o)
		if g != nil || err != nil {
			return g, err
		}
		select {
		case <-st.done:
			if st.err != nil {
				return nil, st.err
			}
		case <-ctx.Done():
			return nil, busy(0, "the plugin's process is being started")
		}
	}
}

// reach returns a process that runs, or one that is on its way.
func (k *keeper) reach(id key, o order) (*guest, *starting, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, nil, busy(0, "the portal is stopping")
	}
	s := k.slots[id]
	if s == nil {
		s = &slot{}
		k.slots[id] = s
	}
	if s.down != nil {
		return nil, nil, s.down
	}
	if g := s.guest; g != nil {
		switch {
		case g.runner.state() != nil:
			return nil, &starting{done: g.buried}, nil // how it ended decides what comes
		case !g.doomed && g.memory == o.memory:
			g.calls++
			return g, nil, nil
		}
		k.doom(g)
		s.guest = nil
	}
	if s.starting != nil {
		return nil, s.starting, nil
	}
	if pause := time.Until(s.until); pause > patience {
		return nil, nil, busy(pause, "the plugin's process has failed and is started again in a moment")
	}
	if err := k.makeRoom(); err != nil {
		return nil, nil, err
	}
	s.starting = &starting{done: make(chan struct{})}
	k.running++
	k.alive.Add(1)
	go k.start(id, s, o)
	return nil, s.starting, nil
}

// makeRoom ends the process that has rested longest where there are too many,
// and makes the folder of processes; k.mu is held.
func (k *keeper) makeRoom() error {
	if k.root == "" {
		root, lock, err := makeRoot()
		if err != nil {
			return host.Errorf(host.CodeUnavailable, "a folder for the processes of plugins cannot be made: %w", err)
		}
		k.root, k.lock = root, lock
	}
	if k.running < k.settings.MaxProcesses {
		return nil
	}
	var rested *slot
	for _, s := range k.slots {
		if g := s.guest; g != nil && g.calls == 0 && !g.doomed && (rested == nil || g.used.Before(rested.guest.used)) {
			rested = s
		}
	}
	if rested == nil {
		return busy(0, "this host runs %d processes of plugins already, and all are busy", k.running)
	}
	k.doom(rested.guest)
	rested.guest = nil
	return nil
}

// doom lends a process to nobody any more and ends it when it is not lent;
// k.mu is held.
func (k *keeper) doom(g *guest) {
	over := g.doomed && g.calls == 0
	g.doomed = true
	if !over && g.calls == 0 && g.runner.state() == nil {
		g.stopped.Store(true)
		go g.end()
	}
}

// giveBack ends a lend. A guilty call did not end with its deadline: the
// process ends when those beside it are done.
func (k *keeper) giveBack(g *guest, guilty bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g.calls--
	g.used = time.Now()
	if guilty {
		g.doomed = true
	}
	if g.doomed && g.calls == 0 && g.runner.state() == nil {
		g.stopped.Store(true)
		if guilty {
			g.runner.kill() // it is not listening
		}
		go g.end()
	}
}

// start starts a process beside the calls that wait for it.
func (k *keeper) start(id key, s *slot, o order) {
	defer k.alive.Done()
	k.mu.Lock()
	o.root, o.launch, o.tree = k.root, k.launch, k.tree
	pause := time.Until(s.until)
	k.mu.Unlock()
	if pause > 0 {
		time.Sleep(pause) // at most patience
	}
	g, err := begin(k.settings, o)
	k.mu.Lock()
	st := s.starting
	s.starting, st.err = nil, err
	var tell func()
	switch {
	case err != nil:
		k.running--
		tell = k.failed(id, s, err)
	default:
		s.guest = g
		k.alive.Add(1)
		go k.watch(id, s, g)
		k.note(g.runner.lacking)
		if k.closed {
			k.doom(g)
			s.guest = nil
		}
	}
	close(st.done)
	k.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// note remembers which layers of the shim this system lacks, and says so once;
// k.mu is held.
func (k *keeper) note(lacking []string) {
	for _, l := range lacking {
		if !slices.Contains(k.lacking, l) {
			k.lacking = append(k.lacking, l)
			k.settings.Log.Warn("a layer of protection around plugins' processes is lacking", "layer", l)
		}
	}
}

// failed counts a failure. It returns what to do when k.mu, which is held, is
// free again.
func (k *keeper) failed(id key, s *slot, why error) (tell func()) {
	now := time.Now()
	s.failures = slices.DeleteFunc(append(s.failures, now), func(at time.Time) bool { return now.Sub(at) > k.settings.FailureWindow })
	k.settings.Log.Warn("a plugin's process failed", "digest", id.digest, "tenant", id.tenant, "failures", len(s.failures), "error", why)
	if len(s.failures) < k.settings.MaxFailures {
		s.until = now.Add(k.settings.Backoff << (len(s.failures) - 1))
		return nil
	}
	down := host.Errorf(host.CodeUnavailable, "the plugin's process failed %d times within %s and is not started again: %s",
		len(s.failures), k.settings.FailureWindow, message(why)).
		WithHint("an admin can let it try again: callboard plugin retry")
	down.Err = why
	s.down = down
	if k.settings.Failed == nil {
		return nil
	}
	return func() { k.settings.Failed(id.digest, id.tenant, down) }
}

// message is what an admin reads of a failure.
func message(err error) string {
	var e *host.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// watch follows a process until it ends: it pings it, and stops it when it has
// rested long enough.
func (k *keeper) watch(id key, s *slot, g *guest) {
	defer k.alive.Done()
	ping := time.NewTicker(k.settings.PingEvery)
	defer ping.Stop()
	idle := time.NewTicker(max(k.settings.IdleAfter/4, time.Millisecond))
	defer idle.Stop()
	missing := 0
	for {
		select {
		case <-g.gone:
			k.bury(id, s, g)
			return
		case <-ping.C:
			if missing = missed(g, missing); missing >= k.settings.MaxPings {
				g.fail("it did not answer when it was asked whether it lives")
			}
		case now := <-idle.C:
			k.mu.Lock()
			if g.calls == 0 && !g.doomed && now.Sub(g.used) > k.settings.IdleAfter {
				k.doom(g)
			}
			k.mu.Unlock()
		}
	}
}

// missed counts the pings in a row that a process did not answer.
func missed(g *guest, before int) int {
	if g.ping() == nil {
		return 0
	}
	return before + 1
}

// bury cleans up after a process that has ended, and counts it where it was
// its own doing.
func (k *keeper) bury(id key, s *slot, g *guest) {
	g.client.Kill() // frees what the client holds
	if err := g.clear(); err != nil {
		k.settings.Log.Warn("removing what a plugin's process left", "error", err)
	}
	var tell func()
	k.mu.Lock()
	k.running--
	if s.guest == g {
		s.guest = nil
	}
	if !g.stopped.Load() {
		tell = k.failed(id, s, g.death())
	}
	close(g.buried)
	k.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// death says why a process ended by itself.
func (g *guest) death() error {
	if why := g.unwell.Load(); why != nil {
		return errors.New(*why)
	}
	said := g.stderr.text()
	words := []string{"its process ended"}
	if s := g.runner.state(); s != nil {
		words[0] = describe(*s)
	}
	if last := lastWords(said); last != "" {
		words = append(words, last)
	}
	return errors.New(strings.Join(words, ": "))
}

// revive forgets the failures of a key.
func (k *keeper) revive(id key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.slots[id]; s != nil {
		s.failures, s.until, s.down = nil, time.Time{}, nil
	}
}

// reprieve forgets the failures of those keys of a release that were given up:
// who opens the release again was asked to.
func (k *keeper) reprieve(digest string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, s := range k.slots {
		if id.digest == digest && s.down != nil {
			s.failures, s.until, s.down = nil, time.Time{}, nil
		}
	}
}

// retire ends the processes of a release when their calls are done, and
// returns when they are gone or ctx is over.
func (k *keeper) retire(ctx context.Context, digest string) error {
	k.mu.Lock()
	var leaving []*guest
	for id, s := range k.slots {
		if g := s.guest; g != nil && (digest == "" || id.digest == digest) {
			leaving = append(leaving, g)
			k.doom(g)
			s.guest = nil
		}
	}
	k.mu.Unlock()
	for _, g := range leaving {
		select {
		case <-g.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// forget drops what is known of a release's failures.
func (k *keeper) forget(digest string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, s := range k.slots {
		if id.digest == digest && s.guest == nil && s.starting == nil {
			delete(k.slots, id)
		}
	}
}

// close ends all processes; those that are within calls when ctx is over are
// killed.
func (k *keeper) close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	var all []*guest
	for _, s := range k.slots {
		if s.guest != nil {
			all = append(all, s.guest)
		}
	}
	k.mu.Unlock()
	if err := k.retire(ctx, ""); err != nil {
		for _, g := range all {
			g.stopped.Store(true)
			g.runner.kill()
		}
	}
	if !k.empty(ctx) {
		return busy(0, "a process of a plugin was still being started when the time to stop was over")
	}
	return k.clear()
}

// clear frees what the keeper holds, once; nothing is alive.
func (k *keeper) clear() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cleared {
		return nil
	}
	k.cleared = true
	k.stop()
	if k.root == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(k.root), k.lock.Close())
}

// lastWait is how long close waits beyond its time for what it has killed.
const lastWait = 2 * time.Second

// empty waits until nothing is alive. What is not when the time is over ends
// with the host.
func (k *keeper) empty(ctx context.Context) bool {
	done := make(chan struct{})
	go func() {
		k.alive.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(lastWait):
		return false
	}
}
