package process

import (
	"bytes"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin/runtimetest"
)

// BenchmarkCall is a call of a plugin that runs as a process, beside the same
// bytes through plain go-plugin.
func BenchmarkCall(b *testing.B) {
	text := string(bytes.Repeat([]byte("x"), 1000))
	b.Run("Process", func(b *testing.B) {
		s := open(b, nil)
		w := work("acme", request{Act: "echo", Text: text}, runtimetest.Limits(), nil)
		if _, err := s.module.Call(b.Context(), w); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.module.Call(b.Context(), w); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Peer", func(b *testing.B) {
		echo, in := runtimetest.Peer(b), []byte(text)
		b.ReportAllocs()
		for b.Loop() {
			if out, err := echo(b.Context(), in); err != nil || len(out) != len(in) {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStart is how long the first call of a tenant takes: shim, program,
// handshake and call.
func BenchmarkStart(b *testing.B) {
	s := open(b, nil)
	for b.Loop() {
		s.pid("acme")
		b.StopTimer()
		if err := s.module.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
