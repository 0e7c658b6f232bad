//go:build linux

package sandbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// TestNoSecretIsCarriedOver lets one tenant's call hide a secret wherever it
// can, and looks for it in everything that the next tenant's call can see.
func TestNoSecretIsCarriedOver(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		for _, path := range paths(t) {
			t.Run(lang+"/"+string(path), func(t *testing.T) {
				c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, func(s *Settings) { s.Path = path })
				b, err := c.Take(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer b.Release()
				for n, hide := range []string{"canary", "echo", "trap", "spin", "recurse", "grow"} {
					secret := fmt.Sprintf("canary-%d-%x", n, rand.Uint64())
					steal(t, b, hide, secret)
				}
			})
		}
	}
}

// steal makes the call that hides the secret, and calls that look for it.
func steal(t *testing.T, b *Sandbox, hide, secret string) {
	t.Helper()
	j := act(hide, secret)
	if hide == "spin" || hide == "recurse" {
		j.Fuel = 1_000_000
	}
	j.Config = map[string]string{"secret": secret}
	out, _, err := b.Invoke(t.Context(), &j)
	if hide == "canary" && (err != nil || string(out) != `{"body":1}`) {
		t.Fatalf("hiding the secret answered %s, %v", out, err)
	}
	// From outside: all that the guest's functions can reach.
	for name, where := range map[string]any{"memory": b.memory.mem[:b.memory.ready:b.memory.ready], "kernel": b.state} {
		if found := search(reflect.ValueOf(where), []byte(secret)); found != "" {
			t.Errorf("after %s the secret is in the %s: %s", hide, name, found)
		}
	}
	if d := b.difference(b.memory.ready); d != "" { // of the globals, too
		t.Errorf("after %s: %s", hide, d)
	}
	// From inside: the next call searches for it. It gets the secret reversed,
	// as else it would find its own copy.
	j = act("search", reversed(secret))
	j.Fuel = 0
	if out, _, err := b.Invoke(t.Context(), &j); err != nil || string(out) != `{"body":0}` {
		t.Errorf("after %s the next call found %s, %v", hide, out, err)
	}
	j = act("echo", "clean")
	if out, _, err := b.Invoke(t.Context(), &j); err != nil || bytes.Contains(out, []byte(secret)) {
		t.Errorf("after %s an echo answered %s, %v", hide, out, err)
	}
}

// TestTheSearchCanFind is the control: with isolation left out, the guest finds
// what another call hid, and so does the search from outside.
func TestTheSearchCanFind(t *testing.T) {
	for _, lang := range runtimetest.Languages() {
		t.Run(lang, func(t *testing.T) {
			c := opened(t, runtimetest.Guest(t, lang), []Job{act("echo", "warm")}, nil)
			b, err := c.fresh(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			secret := fmt.Sprintf("canary-%x", rand.Uint64())
			j := act("canary", secret)
			if _, err := b.invokeWarm(t.Context(), &j); err != nil {
				t.Fatal(err)
			}
			if search(reflect.ValueOf(b.memory.mem[:b.memory.ready:b.memory.ready]), []byte(secret)) == "" {
				t.Error("the search from outside does not find the secret")
			}
			j = act("search", reversed(secret))
			j.Fuel = 0
			if out, err := b.invokeWarm(t.Context(), &j); err != nil || string(out) == `{"body":0}` || !strings.HasPrefix(string(out), `{"body":`) {
				t.Errorf("the guest found %s, %v", out, err)
			}
		})
	}
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// search walks through everything that a value holds, also what is not
// exported and the spare room of slices, and says where the secret is.
func search(v reflect.Value, secret []byte) string {
	return (&walk{secret: secret, seen: map[uintptr]bool{}}).visit(v, 0)
}

type walk struct {
	secret []byte
	seen   map[uintptr]bool
}

// deepest bounds the walk.
const deepest = 12

func (w *walk) visit(v reflect.Value, depth int) string {
	if depth > deepest {
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), string(w.secret)) {
			return "a string"
		}
	case reflect.Pointer:
		if v.IsNil() || w.seen[v.Pointer()] {
			return ""
		}
		w.seen[v.Pointer()] = true
		return w.visit(v.Elem(), depth+1)
	case reflect.Interface:
		return w.visit(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Owner" { // leads back to the sandbox
				continue
			}
			if found := w.visit(v.Field(i), depth+1); found != "" {
				return v.Type().Field(i).Name + ": " + found
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if found := w.visit(k, depth+1) + w.visit(v.MapIndex(k), depth+1); found != "" {
				return found
			}
		}
	case reflect.Slice:
		all := v.Slice3(0, v.Cap(), v.Cap())
		if all.Type().Elem().Kind() == reflect.Uint8 {
			if at := bytes.Index(all.Bytes(), w.secret); at >= 0 {
				return fmt.Sprintf("byte %d of %d", at, all.Len())
			}
			return ""
		}
		return w.elements(all, depth)
	case reflect.Array:
		return w.elements(v, depth)
	}
	return ""
}

func (w *walk) elements(v reflect.Value, depth int) string {
	switch v.Type().Elem().Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.String, reflect.Interface, reflect.Map, reflect.Array:
	default:
		return "" // numbers
	}
	for i := range v.Len() {
		if found := w.visit(v.Index(i), depth+1); found != "" {
			return found
		}
	}
	return ""
}
