package breaker

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// life is a breaker and its clock.
type life struct {
	*Breaker
	now time.Time
}

func alive(s Settings) *life {
	return &life{New(s), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
}

// call makes one call with a result, or returns the refusal.
func (l *life) call(r Result) (Event, error) {
	p, err := l.Enter(l.now)
	if err != nil {
		return Nothing, err
	}
	return l.Leave(p, l.now, r), nil
}

// fail makes calls fail until one is refused, and returns the last event.
func (l *life) fail(t *testing.T) Event {
	t.Helper()
	last := Nothing
	for range 100 {
		e, err := l.call(Bad)
		if err != nil {
			return last
		}
		last = e
	}
	t.Fatal("100 failures did not open it")
	return last
}

func TestBreaker(t *testing.T) {
	t.Run("AFewFailuresAreLife", func(t *testing.T) {
		l := alive(Settings{})
		for range 200 {
			for _, r := range []Result{Bad, Good, Good} {
				if e, err := l.call(r); e != Nothing || err != nil {
					t.Fatalf("%v, %v", e, err)
				}
			}
		}
	})
	t.Run("ItOpensAtTheRate", func(t *testing.T) {
		l := alive(Settings{Least: 10})
		for i := range 9 {
			if e, err := l.call(Bad); e != Nothing || err != nil {
				t.Fatalf("failure %d: %v, %v", i, e, err)
			}
		}
		if e, err := l.call(Bad); e != Opened || err != nil {
			t.Fatalf("the tenth failure: %v, %v", e, err)
		}
		_, err := l.call(Good)
		if e := host.AsError(err); e.Code != host.CodeUnavailable || e.RetryAfter < time.Second || e.RetryAfter > 6*time.Second {
			t.Errorf("got %v, again after %s", err, e.RetryAfter)
		}
		if r := l.Report(l.now); r.Phase != Open || !r.Until.Equal(l.now.Add(5*time.Second)) || r.Opens != 1 {
			t.Errorf("it reports %+v", r)
		}
	})
	t.Run("OldFailuresAreForgotten", func(t *testing.T) {
		l := alive(Settings{Least: 10})
		for range 100 {
			if _, err := l.call(Bad); err != nil {
				t.Fatal(err)
			}
			l.now = l.now.Add(4 * time.Second)
		}
	})
	t.Run("UnknownSaysNothing", func(t *testing.T) {
		l := alive(Settings{})
		for range 100 {
			if e, err := l.call(Unknown); e != Nothing || err != nil {
				t.Fatalf("%v, %v", e, err)
			}
		}
	})
}

func TestHalfOpen(t *testing.T) {
	opened := func(t *testing.T) *life {
		l := alive(Settings{Rest: 5 * time.Second, MaxRest: 8 * time.Second, Opens: 100})
		l.fail(t)
		l.now = l.now.Add(5 * time.Second)
		return l
	}
	t.Run("OneCallTries", func(t *testing.T) {
		l := opened(t)
		p, err := l.Enter(l.now)
		if err != nil || l.Report(l.now).Phase != HalfOpen {
			t.Fatalf("%+v, %v", l.Report(l.now), err)
		}
		if _, err := l.call(Good); host.CodeOf(err) != host.CodeUnavailable {
			t.Errorf("a second call beside it: %v", err)
		}
		if e := l.Leave(p, l.now, Good); e != Recovered || l.Report(l.now).Phase != Closed {
			t.Errorf("%v, %+v", e, l.Report(l.now))
		}
	})
	t.Run("ItFailsAndRestsLonger", func(t *testing.T) {
		l := opened(t)
		if e, err := l.call(Bad); e != Opened || err != nil {
			t.Fatalf("%v, %v", e, err)
		}
		if until := l.Report(l.now).Until; !until.Equal(l.now.Add(8 * time.Second)) {
			t.Errorf("it rests until %s", until)
		}
	})
	t.Run("ItSaysNothingAndTheNextOneTries", func(t *testing.T) {
		l := opened(t)
		if e, err := l.call(Unknown); e != Nothing || err != nil {
			t.Fatalf("%v, %v", e, err)
		}
		if e, err := l.call(Good); e != Recovered || err != nil {
			t.Errorf("%v, %v", e, err)
		}
	})
	t.Run("ResultsOfCallsFromBeforeDoNotCount", func(t *testing.T) {
		l := alive(Settings{})
		early, err := l.Enter(l.now)
		if err != nil {
			t.Fatal(err)
		}
		l.fail(t)
		if e := l.Leave(early, l.now, Good); e != Nothing || l.Report(l.now).Phase != Open {
			t.Errorf("%v, %+v", e, l.Report(l.now))
		}
	})
}

func TestExhausted(t *testing.T) {
	l := alive(Settings{Opens: 3, Within: 10 * time.Minute, Rest: time.Second})
	if e := l.fail(t); e != Opened {
		t.Fatal(e)
	}
	l.now = l.now.Add(time.Hour) // long ago by then
	if e, _ := l.call(Bad); e != Opened {
		t.Fatal(e)
	}
	l.now = l.now.Add(time.Minute)
	if e, _ := l.call(Bad); e != Opened {
		t.Fatal(e)
	}
	l.now = l.now.Add(time.Minute)
	if e, _ := l.call(Bad); e != Exhausted {
		t.Fatalf("the third time within ten minutes: %v", e)
	}
	l.Reset(l.now)
	if r := l.Report(l.now); r.Phase != Closed || r.Opens != 0 || r.Failures != 0 {
		t.Errorf("after the reset %+v", r)
	}
	if _, err := l.call(Good); err != nil {
		t.Error(err)
	}
}

func TestChoose(t *testing.T) {
	stale := &manifestv1.Failure{Policy: manifestv1.FailStale, StaleFor: "1m"}
	for name, c := range map[string]struct {
		manifest, admin *manifestv1.Failure
		want            Policy
	}{
		"NobodySays":      {nil, nil, Policy{Kind: manifestv1.FailClosed}},
		"TheManifest":     {stale, nil, Policy{manifestv1.FailStale, time.Minute}},
		"TheAdmin":        {stale, &manifestv1.Failure{Policy: manifestv1.FailClosed}, Policy{manifestv1.FailClosed, defaultStale}},
		"StaleForDefault": {&manifestv1.Failure{Policy: manifestv1.FailStale}, nil, Policy{manifestv1.FailStale, defaultStale}},
		"StaleForTooLong": {nil, &manifestv1.Failure{Policy: manifestv1.FailStale, StaleFor: "1000h"}, Policy{manifestv1.FailStale, MaxStale}},
	} {
		if got := Choose(c.manifest, c.admin); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPolicies(t *testing.T) {
	m := &manifestv1.Manifest{Capabilities: []manifestv1.Capability{
		{Type: "route/v1", Failure: &manifestv1.Failure{Policy: manifestv1.FailOpen}},
		{Type: "view/v1", Failure: &manifestv1.Failure{Policy: manifestv1.FailOpen}},
		{Type: "processor/v1"}, {Type: "schedule/v1", Failure: &manifestv1.Failure{Policy: manifestv1.FailOpen}},
	}}
	got := Policies(m, map[string]manifestv1.Failure{"schedule/v1": {Policy: manifestv1.FailClosed}, "processor/v1": {Policy: manifestv1.FailStale}})
	if len(got) != 2 || !got["view/v1"].Open() || !got["processor/v1"].Stale() {
		t.Errorf("got %+v", got)
	}
}

func TestCheck(t *testing.T) {
	for _, f := range []manifestv1.Failure{{}, {Policy: "stale", StaleFor: "24h"}, {Policy: "open"}} {
		if err := Check(f); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for _, f := range []manifestv1.Failure{{Policy: "ajar"}, {Policy: "stale", StaleFor: "25h"}, {Policy: "stale", StaleFor: "-1s"}} {
		if err := Check(f); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestShelf(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	key := func(n int) Key { return KeyOf([]byte("request"), fmt.Append(nil, n)) }
	put := func(s *Shelf, tenant host.TenantID, n, size int) {
		s.Put(tenant, key(n), Kept{Body: make([]byte, size), At: at})
	}
	t.Run("ItKeepsAndForgets", func(t *testing.T) {
		s := NewShelf()
		put(s, "a", 1, 10)
		if _, ok := s.Get("a", key(1), at.Add(time.Minute), time.Minute); !ok {
			t.Error("it is not there")
		}
		if _, ok := s.Get("a", key(1), at.Add(time.Minute+1), time.Minute); ok {
			t.Error("it is too old")
		}
		if _, ok := s.Get("b", key(1), at, time.Minute); ok {
			t.Error("another tenant has it")
		}
		s.Forget("a")
		if _, ok := s.Get("a", key(1), at, time.Minute); ok || s.bytes != 0 {
			t.Errorf("%d bytes are left", s.bytes)
		}
	})
	t.Run("ATenantHasItsRoom", func(t *testing.T) {
		s := NewShelf()
		put(s, "calm", 0, 1000)
		for n := range 100 {
			put(s, "greedy", n, 200<<10)
		}
		if b := s.tenants["greedy"].bytes; b > perTenantBytes {
			t.Errorf("it has %d bytes", b)
		}
		if _, ok := s.Get("calm", key(0), at, time.Minute); !ok {
			t.Error("another tenant lost its answer")
		}
		if _, ok := s.Get("greedy", key(99), at, time.Minute); !ok {
			t.Error("the newest is gone")
		}
		if _, ok := s.Get("greedy", key(0), at, time.Minute); ok {
			t.Error("the oldest is there")
		}
		put(s, "greedy", 99, 1<<20)
		if _, ok := s.Get("greedy", key(99), at, time.Minute); ok {
			t.Error("an answer that is too large is there, or the one before it")
		}
	})
	t.Run("AllTogetherToo", func(t *testing.T) {
		s, r := NewShelf(), rand.New(rand.NewPCG(1, 2))
		for n := range 3000 {
			put(s, host.TenantID(fmt.Sprint("t", n%40)), r.IntN(50), 100<<10)
		}
		sum := 0
		for _, b := range s.tenants {
			own := 0
			for el := b.order.Front(); el != nil; el = el.Next() {
				own += el.Value.(*entry).size()
			}
			if own != b.bytes || b.order.Len() != len(b.byKey) {
				t.Errorf("a tenant has %d bytes, counted %d", own, b.bytes)
			}
			sum += own
		}
		if sum != s.bytes || sum > allBytes {
			t.Errorf("%d bytes are kept, counted %d", sum, s.bytes)
		}
	})
	if KeyOf([]byte("ab"), []byte("c")) == KeyOf([]byte("a"), []byte("bc")) {
		t.Error("two requests have one key")
	}
}
