package rewrite_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
	"github.com/callboard-dev/callboard/host/plugin/wasm/rewrite"
)

// forAll runs a test with the guest of each language.
func forAll(t *testing.T, test func(t *testing.T, language string, code []byte)) {
	for _, language := range runtimetest.Languages() {
		t.Run(language, func(t *testing.T) { test(t, language, runtimetest.Guest(t, language)) })
	}
}

// TestGuestsStayValid: what compilers write is not refused, and every form of it
// is valid.
func TestGuestsStayValid(t *testing.T) {
	forAll(t, func(t *testing.T, _ string, code []byte) {
		m, err := rewrite.Parse(code)
		if err != nil {
			t.Fatal(err)
		}
		if why := m.Refusals(); len(why) > 0 {
			t.Errorf("the compiler's code is refused: %v", why)
		}
		template, globals, err := m.Template()
		if err != nil {
			t.Fatal(err)
		}
		baked, err := m.Bake(rewrite.Image{Pages: 200, Globals: make([]uint64, len(globals))})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		defer r.Close(ctx)
		for name, code := range map[string][]byte{"Template": template, "Bake": baked, "Metered": metered(t, code)} {
			if _, err := r.CompileModule(ctx, code); err != nil {
				t.Errorf("%s wrote what is not valid: %v", name, err)
			}
		}
	})
}

// TestGuestsDoTheSame: the same calls have the same answers, metered or not.
func TestGuestsDoTheSame(t *testing.T) {
	forAll(t, func(t *testing.T, language string, code []byte) {
		plain, counted := newRig(t, code), newRig(t, metered(t, code))
		counted.slice = 500
		acts := [][2]string{
			{"echo", `{"a":"é"}`}, {"task", items(14)}, {"count", ""}, {"count", ""}, {"host", `{"x":1}`}, {"order", items(14)},
			{"canary", `"secret-7391"`}, {"search", `"1937-terces"`}, {"grow", ""}, {"work", "12345"}, {"fork", "8"},
			{"echo", `"still here"`},
		}
		if language == runtimetest.Go {
			acts = append(acts, [2]string{"goroutines"}, [2]string{"collect"}, [2]string{"goroutines"})
		}
		for _, act := range acts {
			want, err := plain.ask(act[0], act[1])
			if err != nil {
				t.Fatalf("%s: %v", act[0], err)
			}
			got, err := counted.ask(act[0], act[1])
			if err != nil || got != want {
				t.Errorf("%s: metered code answered %.100s, %v; want %.100s", act[0], got, err, want)
			}
		}
		if counted.yields < 100 {
			t.Errorf("the guest asked for fuel %d times", counted.yields)
		}
	})
}

// TestFuelIsTheSameEachTime: in two worlds that began alike, whatever the size of
// a slice.
func TestFuelIsTheSameEachTime(t *testing.T) {
	forAll(t, func(t *testing.T, language string, code []byte) {
		one, two := newRig(t, metered(t, code)), newRig(t, metered(t, code))
		one.slice, two.slice = 1000, 123_457
		for _, act := range [][2]string{{"echo", `"x"`}, {"task", items(14)}, {"work", "1000"}, {"fork", "6"}, {"task", items(14)}} {
			_, a := one.spent(t, act[0], act[1])
			_, b := two.spent(t, act[0], act[1])
			if a != b && language != runtimetest.Go {
				t.Errorf("%s took %d and %d of fuel", act[0], a, b)
			}
			// A Go guest's runtime draws random numbers and asks for the time;
			// the worlds of this test do not answer alike.
			if a < b*9/10 || b < a*9/10 || a <= 0 {
				t.Errorf("%s took %d and %d of fuel", act[0], a, b)
			}
		}
	})
}

// TestFuelFollowsWork: ten times the work is about ten times the fuel.
func TestFuelFollowsWork(t *testing.T) {
	forAll(t, func(t *testing.T, _ string, code []byte) {
		r := newRig(t, metered(t, code))
		r.spent(t, "work", "10") // what is only done once
		_, base := r.spent(t, "work", "0")
		var last int64
		for _, n := range []int64{10_000, 100_000, 1_000_000} {
			_, fuel := r.spent(t, "work", fmt.Sprint(n))
			if fuel -= base; fuel < n || fuel > 60*n || fuel < 8*last || last > 0 && fuel > 12*last {
				t.Errorf("%d steps took %d of fuel, a tenth of them %d", n, fuel, last)
			}
			last = fuel
		}
	})
}

// TestRunawayGuestsAreStopped: whatever a guest does, it asks for fuel soon, and
// can be ended there.
func TestRunawayGuestsAreStopped(t *testing.T) {
	forAll(t, func(t *testing.T, language string, code []byte) {
		for _, act := range []string{"spin", "recurse", "fork", "mutual", "bulk"} {
			t.Run(act, func(t *testing.T) {
				r := newRig(t, metered(t, code))
				r.slice, r.most = 100_000, 3_000_000
				r.used = r.left()
				begin := time.Now()
				_, err := r.ask(act, "")
				took := time.Since(begin)
				if act == "mutual" && language == runtimetest.AssemblyScript {
					// It comes to the end of its own stack, and traps.
					if err == nil || errors.Is(err, errStopped) {
						t.Errorf("it ended with %v", err)
					}
					return
				}
				if !errors.Is(err, errStopped) {
					t.Fatalf("it ended with %v", err)
				}
				if r.used-r.left() > r.most+3*r.slice {
					t.Errorf("it was stopped after %d of fuel, the limit was %d", r.used-r.left(), r.most)
				}
				// Three million units are a few milliseconds; the room is for
				// machines under load.
				if took > 10*time.Second {
					t.Errorf("it ran for %v", took)
				}
			})
		}
	})
}
