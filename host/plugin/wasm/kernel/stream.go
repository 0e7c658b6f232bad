package kernel

import "bytes"

// The streams that a guest writes.
const (
	stdout = iota
	stderr
	logged
)

// streamNames are what Call.Log is told.
var streamNames = [...]string{"stdout", "stderr", "log"}

// cutMark ends a text of which more was written than is kept.
const cutMark = " […]"

// A Go guest that dies of its stack or of its memory prints a line for each of
// its frames, which may be millions. Once such a death was announced and what
// may be kept is full, nobody waits for the rest.
var deaths = [...]struct {
	line []byte
	kind Kind
}{
	{[]byte("runtime: goroutine stack exceeds"), Stack},
	{[]byte("fatal error: stack overflow"), Stack},
	{[]byte("fatal error: out of memory"), Memory},
	{[]byte("fatal error: runtime: out of memory"), Memory},
	{[]byte("fatal error: runtime: cannot allocate memory"), Memory},
}

// stream keeps the first bytes that are written to it and drops the rest.
type stream struct {
	kept  []byte
	cut   bool
	dying Kind // what the guest says it dies of
}

// write keeps what fits into the limit.
func (t *stream) write(b []byte, limit int) {
	if room := max(0, limit-len(t.kept)); len(b) > room {
		t.cut = true
		b = b[:room]
	}
	t.kept = append(t.kept, b...)
}

// Dying returns what a Go guest says that it dies of, in one of the lines that
// it wrote, or nothing.
func Dying(text []byte) Kind {
	for _, d := range deaths {
		if i := bytes.Index(text, d.line); i == 0 || i > 0 && text[i-1] == '\n' {
			return d.kind
		}
	}
	return ""
}

// lastWords looks for a death in the last write, whose length is n.
func (t *stream) lastWords(n int) {
	if t.dying == "" {
		t.dying = Dying(t.kept[max(0, len(t.kept)-n):])
	}
}

// flush hands over what was kept and wipes it.
func (t *stream) flush(name string, log func(string, []byte)) {
	if len(t.kept) > 0 && log != nil {
		if t.cut {
			t.kept = append(t.kept, cutMark...)
		}
		log(name, t.kept)
	}
	clear(t.kept)
	if cap(t.kept) > keep {
		t.kept = nil
	}
	t.kept, t.cut, t.dying = t.kept[:0], false, ""
}
