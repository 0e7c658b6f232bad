package source

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// packed writes packs as no git writes them.
type packed struct {
	t    *testing.T
	n    uint32
	body bytes.Buffer
	head string // the commit
}

var kinds = map[string]byte{"commit": 1, "tree": 2, "blob": 3}

// entry writes the head of an object and its deflated content.
func (p *packed) entry(kind byte, size int, reference, content []byte) (offset int) {
	p.t.Helper()
	p.n++
	offset = 12 + p.body.Len()
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.body.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	p.body.WriteByte(b)
	p.body.Write(reference)
	z := zlib.NewWriter(&p.body)
	if _, err := z.Write(content); err != nil {
		p.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		p.t.Fatal(err)
	}
	return offset
}

func (p *packed) object(kind string, content []byte) (hash []byte, offset int) {
	p.t.Helper()
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...))
	return sum[:], p.entry(kinds[kind], len(content), nil, content)
}

// commit makes a commit of the tree the head.
func (p *packed) commit(tree []byte) {
	p.t.Helper()
	hash, _ := p.object("commit", fmt.Appendf(nil, "tree %x\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n", tree))
	p.head = hex.EncodeToString(hash)
}

func (p *packed) bytes() []byte {
	out := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), p.n)
	out = append(out, p.body.Bytes()...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

func leb128(n int) []byte {
	var out []byte
	for ; n > 0x7f; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

// delta copies the whole of a base many times over.
func delta(base, times int) []byte {
	out := append(leb128(base), leb128(base*times)...)
	for range times {
		out = append(out, 0xf0, byte(base), byte(base>>8), byte(base>>16))
	}
	return out
}

func line(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

// advertise answers what a git server has, and reports whether it was asked.
func (p *packed) advertise(w http.ResponseWriter, r *http.Request) bool {
	asked := strings.HasSuffix(r.URL.Path, "/info/refs")
	if asked {
		_, _ = fmt.Fprint(w, line("# service=git-upload-pack\n"), "0000", line(p.head+" HEAD\x00shallow ofs-delta\n"), line(p.head+" refs/heads/main\n"), "0000")
	}
	return asked
}

// serve answers as a git server with that pack and counts the fetches.
func (p *packed) serve() (server *httptest.Server, fetches *atomic.Int32) {
	fetches = &atomic.Int32{}
	pack := p.bytes()
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.advertise(w, r) {
			return
		}
		fetches.Add(1)
		_, _ = fmt.Fprint(w, line("shallow "+p.head), "0000", line("NAK\n"))
		_, _ = w.Write(pack)
	}))
	p.t.Cleanup(server.Close)
	return server, fetches
}

// answering is a git server that gives that answer for a pack.
func (p *packed) answering(answer string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.advertise(w, r) {
			_, _ = fmt.Fprint(w, answer)
		}
	}))
	p.t.Cleanup(server.Close)
	return server
}

// withFile adds a commit of one file.
func (p *packed) withFile(text string) *packed {
	p.t.Helper()
	blob, _ := p.object("blob", []byte(text))
	tree, _ := p.object("tree", append([]byte("100644 catalog-info.yaml\x00"), blob...))
	p.commit(tree)
	return p
}

// negative is how an OFS delta tells where its base is.
func negative(n int) []byte {
	out := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		out = append([]byte{byte(n&0x7f) | 0x80}, out...)
	}
	return out
}

func TestPacksThatGrow(t *testing.T) {
	const base = 1 << 20
	zeros := make([]byte, base)
	for name, c := range map[string]struct {
		grow func(p *packed)
		code host.Code
	}{
		"AsMuchAsIsRead": {func(p *packed) {
			hash, _ := p.object("blob", zeros)
			d := delta(base, 3)
			p.entry(7, len(d), hash, d)
		}, ""},
		"ByOneReferenceDelta": {func(p *packed) {
			hash, _ := p.object("blob", zeros)
			d := delta(base, 60)
			p.entry(7, len(d), hash, d)
		}, host.CodeTooLarge},
		"ByOneOffsetDelta": {func(p *packed) {
			_, at := p.object("blob", zeros)
			d := delta(base, 60)
			p.entry(6, len(d), negative(12+p.body.Len()-at), d)
		}, host.CodeTooLarge},
		"ByManyDeltas": {func(p *packed) {
			hash, _ := p.object("blob", zeros)
			for range 30 {
				d := delta(base, 3)
				p.entry(7, len(d), hash, d)
			}
		}, host.CodeTooLarge},
		"ByOneObject":            {func(p *packed) { p.object("blob", make([]byte, 8<<20)) }, host.CodeTooLarge},
		"ByACountThatIsNotThere": {func(p *packed) { p.n = 1 << 30 }, host.CodeTooLarge},
		"ByADeltaOfHugeSize": {func(p *packed) {
			hash, _ := p.object("blob", zeros)
			d := append(leb128(base), bytes.Repeat([]byte{0xff}, 18)...)
			p.entry(7, len(d), hash, d)
		}, host.CodeUpstream},
	} {
		t.Run(name, func(t *testing.T) {
			p := &packed{t: t}
			c.grow(p.withFile("ok"))
			server, _ := p.serve()
			s := open(t, Settings{Allow: allow(t, server.URL), MaxDocument: 1000, MaxRepository: 16 << 20})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := read(t, s, "git", server.URL+"/r.git", "")
			runtime.ReadMemStats(&after)
			if host.CodeOf(err) != c.code || err == nil && bodies(got) != "catalog-info.yaml=ok" {
				t.Errorf("%q, %v", bodies(got), err)
			}
			if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; c.code != "" && grown > 12 {
				t.Errorf("refusing it took %d MiB", grown)
			}
		})
	}
}

func TestTreesThatNameOneAnotherManyTimesEnd(t *testing.T) {
	p := &packed{t: t}
	tree, _ := p.object("blob", []byte("x"))
	mode := "100644"
	for range 12 {
		var content []byte
		for i := range 20 {
			content = append(fmt.Appendf(content, "%s e%02d\x00", mode, i), tree...)
		}
		tree, _ = p.object("tree", content)
		mode = "40000"
	}
	p.commit(tree)
	server, _ := p.serve()
	settings := Settings{Allow: allow(t, server.URL)}
	t.Run("AtTheMostEntries", func(t *testing.T) {
		if _, err := read(t, open(t, settings), "git", server.URL+"/r.git//**/*.yaml", ""); host.CodeOf(err) != host.CodeTooLarge {
			t.Error(err)
		}
	})
	t.Run("WithTheirTime", func(t *testing.T) {
		settings.Timeout = 50 * time.Millisecond
		if _, err := read(t, open(t, settings), "git", server.URL+"/r.git//**/*.yaml", ""); host.CodeOf(err) != host.CodeUpstream {
			t.Error(err)
		}
	})
}

func TestSessionForgetsRepositoriesThatAreTooMuchTogether(t *testing.T) {
	p := (&packed{t: t}).withFile("ok")
	p.object("blob", make([]byte, 900<<10))
	server, fetches := p.serve()
	s := open(t, Settings{Allow: allow(t, server.URL), MaxDocument: 1 << 20, MaxRepository: 300 << 10})
	for _, name := range []string{"/a.git", "/b.git"} {
		if _, err := read(t, s, "git", server.URL+name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if held := s.(*session).held; held > 4*300<<10 || len(s.(*session).repos) != 1 {
		t.Errorf("%d repositories with %d bytes are kept", len(s.(*session).repos), held)
	}
	if n := fetches.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}

func TestSessionsHoldRepositoriesWithinOneBudget(t *testing.T) {
	p := (&packed{t: t}).withFile("ok")
	p.object("blob", make([]byte, 900<<10))
	server, fetches := p.serve()
	r := newReader(t, Settings{Allow: allow(t, server.URL), MaxDocument: 1 << 20, MaxRepository: 300 << 10})
	twice := func(s Session) (fetched int32) {
		t.Helper()
		before := fetches.Load()
		for _, name := range []string{"catalog-info.yaml", "./catalog-info.yaml"} {
			got, err := s.Read(ctx, Address{"git", server.URL + "/r.git//" + name}, "")
			if err != nil || bodies(got) == "" {
				t.Fatalf("%q, %v", bodies(got), err)
			}
		}
		return fetches.Load() - before
	}
	sessions := []Session{r.Open(), r.Open(), r.Open()}
	for i, want := range []int32{1, 1, 2} {
		if n := twice(sessions[i]); n != want {
			t.Errorf("session %d fetched %d times, not %d", i, n, want)
		}
	}
	for _, s := range sessions {
		s.Close()
	}
	if n := r.held.Load(); n != 0 {
		t.Errorf("%d bytes are held after all", n)
	}
	if s := r.Open(); twice(s) != 1 {
		t.Error("nothing is kept any more")
	}
}

func TestRepositoriesAreFetchedAFewAtATime(t *testing.T) {
	p := (&packed{t: t}).withFile("ok")
	server, _ := p.serve()
	r := newReader(t, Settings{Allow: allow(t, server.URL), Timeout: 100 * time.Millisecond})
	for name, all := range map[string]slots{"Fetches": r.fetches, "Unpacks": r.unpacks} {
		t.Run(name, func(t *testing.T) {
			for range cap(all) {
				free, err := all.take(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer free()
			}
			if _, err := read(t, r.Open(), "git", server.URL+"/r.git", ""); host.CodeOf(err) != host.CodeUnavailable || host.AsError(err).Hint == "" {
				t.Error(err)
			}
		})
	}
	if got, err := read(t, r.Open(), "git", server.URL+"/r.git", ""); err != nil || bodies(got) != "catalog-info.yaml=ok" {
		t.Errorf("afterwards: %q, %v", bodies(got), err)
	}
}

func TestUnpackEndsWithItsContext(t *testing.T) {
	gone, cancel := context.WithCancel(ctx)
	p := (&packed{t: t}).withFile("ok")
	r := newReader(t, Settings{})
	cancel()
	if _, err := r.weigh(gone, p.bytes()); err == nil {
		t.Error("read on")
	}
}

func TestGitServersThatBreakOffAreCalledSo(t *testing.T) {
	p := (&packed{t: t}).withFile("ok")
	full := p.bytes()
	for name, answer := range map[string]string{
		"with nothing": "", "with a page": "<!DOCTYPE html>", "without a pack": line("shallow "+p.head) + "0000" + line("NAK\n"),
		"in the pack": line("shallow "+p.head) + "0000" + line("NAK\n") + string(full[:60]),
		"with damage": line("shallow "+p.head) + "0000" + line("NAK\n") + string(full[:len(full)-1]) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			server := p.answering(answer)
			_, err := read(t, open(t, Settings{Allow: allow(t, server.URL)}), "git", server.URL+"/r.git", "")
			if host.CodeOf(err) != host.CodeUpstream || host.AsError(err).Hint == "" || strings.Contains(err.Error(), "could not be reached") {
				t.Error(err)
			}
		})
	}
}
