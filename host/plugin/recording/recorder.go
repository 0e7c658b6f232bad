package recording

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Shelf is where the recorder puts what it recorded. *Store is one.
type Shelf interface {
	Save(ctx context.Context, t host.TenantID, instance string, r *Recording, rule Rule) (string, error)
	Rule(ctx context.Context, t host.TenantID, instance string) (Rule, bool, error)
}

// Settings of a Recorder.
type Settings struct {
	Shelf Shelf
	// Lend loads the code of a release, for making a redacted call again.
	Lend func(ctx context.Context, digest string) (m plugin.Module, giveBack func(), err error)
	// Secrets returns the values of an instance's secrets, so that they are
	// found wherever an upstream repeats them.
	Secrets func(ctx context.Context, in *plugin.Instance) ([]string, error)
	// Default is the rule where an admin has set none; the zero value is
	// DefaultRule.
	Default Rule
	// Refresh is how often rules are read anew; zero means a minute.
	Refresh time.Duration
	Log     *slog.Logger
}

// backlog is how many finished tapes wait to be stored. One that finds no room
// is dropped: a sample needs no completeness, and a call does not wait.
const backlog = 16

// Recorder records a sample of the calls of all instances. It is safe for
// concurrent use.
type Recorder struct {
	s     Settings
	rules sync.Map // instance id -> *pace
	work  chan tapeEnd
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

var _ plugin.Observer = (*Recorder)(nil)

// pace is how often calls of one instance are recorded.
type pace struct {
	calls atomic.Uint64
	// every is n for one call in n, 0 for none.
	every atomic.Uint64
	rule  atomic.Pointer[Rule]
	next  atomic.Int64 // when the rule is read anew, unix nanoseconds
}

// tapeEnd is a call that was recorded and waits to be stored.
type tapeEnd struct {
	instance *plugin.Instance
	rec      *Recording
	rule     Rule
}

// NewRecorder starts a recorder. Close ends it.
func NewRecorder(s Settings) *Recorder {
	if s.Default == (Rule{}) {
		s.Default = DefaultRule()
	}
	if s.Refresh <= 0 {
		s.Refresh = time.Minute
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{s: s, work: make(chan tapeEnd, backlog), stop: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r
}

// Close stores what was recorded and ends the recorder. Later calls are not
// recorded.
func (r *Recorder) Close() {
	r.once.Do(func() { close(r.stop) })
	<-r.done
}

// Begin decides whether a call is recorded. It costs two atomic operations
// where it is not.
func (r *Recorder) Begin(_ context.Context, _ host.Caller, in *plugin.Instance, w *plugin.Work) func(plugin.Outcome, error) {
	if in.Manifest == nil || in.Manifest.Runtime != manifestv1.RuntimeWASM {
		return nil // a process reads clocks of its own
	}
	p := r.paceOf(in)
	every := p.every.Load()
	if every == 0 || (p.calls.Add(1)-1)%every != 0 {
		return nil
	}
	tape := Record(w)
	return func(o plugin.Outcome, err error) {
		rec := tape.Finish(o, err)
		if rec == nil {
			return
		}
		rec.Plugin, rec.Version, rec.Digest = in.Name, in.Version, in.Digest
		select {
		case r.work <- tapeEnd{in, rec, *p.rule.Load()}:
		default:
		}
	}
}

// paceOf returns the pace of an instance. Until its rule was read the default
// holds.
func (r *Recorder) paceOf(in *plugin.Instance) *pace {
	v, ok := r.rules.Load(in.ID)
	if !ok {
		fresh := &pace{}
		fresh.set(r.s.Default)
		v, _ = r.rules.LoadOrStore(in.ID, fresh)
	}
	p := v.(*pace)
	now := time.Now().UnixNano()
	if due := p.next.Load(); now >= due && p.next.CompareAndSwap(due, now+int64(r.s.Refresh)) {
		go r.refresh(in.Tenant, in.ID, p)
	}
	return p
}

func (p *pace) set(rule Rule) {
	p.rule.Store(&rule)
	every := uint64(0)
	if rule.Sample > 0 {
		every = max(1, uint64(1/rule.Sample))
	}
	p.every.Store(every)
}

// refresh reads the rule that an admin has set.
func (r *Recorder) refresh(t host.TenantID, instance string, p *pace) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rule, own, err := r.s.Shelf.Rule(ctx, t, instance)
	switch {
	case err != nil:
		r.s.Log.Warn("reading which calls are recorded", "instance", instance, "error", err)
	case own:
		p.set(rule)
	default:
		p.set(r.s.Default)
	}
}

// Forget makes the recorder read an instance's rule anew at its next call.
func (r *Recorder) Forget(instance string) { r.rules.Delete(instance) }

// run stores what was recorded, one after another.
func (r *Recorder) run() {
	defer close(r.done)
	for {
		select {
		case e := <-r.work:
			r.keep(e)
		case <-r.stop:
			for {
				select {
				case e := <-r.work:
					r.keep(e)
				default:
					return
				}
			}
		}
	}
}

// storeWithin bounds what redacting, replaying and storing one call takes.
const storeWithin = time.Minute

func (r *Recorder) keep(e tapeEnd) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	err := r.redact(ctx, e)
	if err == nil {
		_, err = r.s.Shelf.Save(ctx, e.instance.Tenant, e.instance.ID, e.rec, e.rule)
	}
	if err != nil {
		r.s.Log.Warn("a recorded call was not kept", "plugin", e.instance.Name, "error", err)
	}
}

// redact replaces credentials and makes the call again where there were some,
// so that the recording fits together. A call that cannot be made again is not
// kept.
func (r *Recorder) redact(ctx context.Context, e tapeEnd) error {
	var secrets []string
	if r.s.Secrets != nil {
		var err error
		if secrets, err = r.s.Secrets(ctx, e.instance); err != nil {
			return err
		}
	}
	if e.rec.Redact(secrets) == 0 {
		return nil
	}
	m, giveBack, err := r.s.Lend(ctx, e.instance.Digest)
	if err != nil {
		return err
	}
	defer giveBack()
	return Remake(ctx, m, e.rec)
}

// Remake makes the recorded call again and writes down what comes of it, after
// something of its input has been replaced.
func Remake(ctx context.Context, m plugin.Module, rec *Recording) error {
	tape := Record(&plugin.Work{}) // only to keep what is asked now
	p := &player{rec: rec, used: make([]bool, len(rec.Host)), inOrder: true}
	o, err := m.Call(ctx, plugin.Work{Call: rec.Call, Limits: rec.Limits.limits(), World: plugin.World{
		Host: func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result { return tape.host(ctx, p.host, call) },
		Walltime: func() (int64, int32) {
			sec, nsec := p.walltime()
			tape.note(16, func() { tape.rec.Walltime = append(tape.rec.Walltime, Reading{sec, nsec}) })
			return sec, nsec
		},
		Nanotime: func() int64 {
			n := p.nanotime()
			tape.note(12, func() { tape.rec.Nanotime = append(tape.rec.Nanotime, n) })
			return n
		},
		Random: taped{tape, p}, Sleep: func(time.Duration) {},
	}})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if tape.full {
		return host.Errorf(host.CodeTooLarge, "the recording has more than %d bytes", MaxBytes)
	}
	rec.Host, rec.Walltime, rec.Nanotime, rec.Random = tape.rec.Host, tape.rec.Walltime, tape.rec.Nanotime, tape.rec.Random
	rec.end(o, err)
	return nil
}
