package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
)

var ctx = context.Background()

func newReader(t *testing.T, s Settings) *Reader {
	t.Helper()
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func open(t *testing.T, s Settings) Session {
	t.Helper()
	session := newReader(t, s).Open()
	t.Cleanup(session.Close)
	return session
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bodies returns what was read, as "file=text".
func bodies(c Content) string {
	var out []string
	for _, f := range c.Files {
		out = append(out, filepath.Base(f.Address.Target)+"="+string(f.Body))
	}
	return strings.Join(out, " ")
}

func read(t *testing.T, s Session, typ, target, etag string) (Content, error) {
	t.Helper()
	at, err := s.Resolve(Address{}, typ, target)
	if err != nil {
		return Content{}, err
	}
	return s.Read(ctx, at, etag)
}

func TestFile(t *testing.T) {
	dir, secret := t.TempDir(), write(t, t.TempDir(), "secret.yaml", "secret")
	write(t, dir, "a.yaml", "a")
	write(t, dir, "sub/b.yaml", "b")
	write(t, dir, "sub/deep/c.yaml", "c")
	write(t, dir, ".git/x.yaml", "x")
	for link, to := range map[string]string{"out.yaml": secret, "outdir": filepath.Dir(secret), "in.yaml": "sub/b.yaml"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	settings := Settings{Roots: []string{dir}, WorkDir: dir, MaxDocument: 100}
	for target, want := range map[string]string{
		"a.yaml": "a.yaml=a", "./sub/../a.yaml": "a.yaml=a", dir + "/sub/b.yaml": "b.yaml=b", "in.yaml": "in.yaml=b",
		"file://" + dir + "/a.yaml": "a.yaml=a", "file:" + dir + "/a.yaml": "a.yaml=a", "file:a.yaml": "a.yaml=a", "sub/**/*.yaml": "b.yaml=b c.yaml=c", "sub/*.yaml": "b.yaml=b", "[a-b].yaml": "a.yaml=a",
	} {
		t.Run("OK "+filepath.Base(target), func(t *testing.T) {
			c, err := read(t, open(t, settings), "file", target, "")
			if err != nil || bodies(c) != want {
				t.Errorf("%s: %q, %v", target, bodies(c), err)
			}
		})
	}
	write(t, dir, "big.yaml", strings.Repeat("x", 101))
	for target, code := range map[string]host.Code{
		"../" + filepath.Base(filepath.Dir(secret)) + "/secret.yaml": host.CodeForbidden, secret: host.CodeForbidden, "/etc/passwd": host.CodeForbidden,
		"out.yaml": host.CodeForbidden, "outdir/secret.yaml": host.CodeForbidden, "none.yaml": host.CodeNotFound, "none/*.yaml": host.CodeNotFound,
		"sub": host.CodeInvalid, "": host.CodeInvalid, "a\x00": host.CodeInvalid, "big.yaml": host.CodeTooLarge, "[a": host.CodeInvalid,
		"**/**/**/**": host.CodeInvalid,
	} {
		t.Run("Err "+filepath.Base(target), func(t *testing.T) {
			c, err := read(t, open(t, settings), "file", target, "")
			if host.CodeOf(err) != code || host.AsError(err).Hint == "" || strings.Contains(bodies(c), "secret") {
				t.Errorf("%q: %q, %v", target, bodies(c), err)
			}
		})
	}
	t.Run("SecondReadIsNotModified", func(t *testing.T) {
		first, _ := read(t, open(t, settings), "file", "a.yaml", "")
		s := open(t, settings)
		if c, err := read(t, s, "file", "a.yaml", first.ETag); err != nil || !c.NotModified || c.Files != nil {
			t.Errorf("%+v, %v", c, err)
		}
		if c, err := read(t, s, "file", "a.yaml", "other"); err != nil || bodies(c) != "a.yaml=a" {
			t.Errorf("%+v, %v", c, err)
		}
		if c, err := read(t, s, "file", "a.yaml", first.ETag); err != nil || !c.NotModified {
			t.Errorf("kept: %+v, %v", c, err)
		}
	})
	t.Run("OutsideSaysWhatToDoAndNotWhereThePortalRuns", func(t *testing.T) {
		s := settings
		s.Roots, s.OutsideHint = []string{dir + "/sub"}, "put it into the shelf"
		for _, target := range []string{"a.yaml", "~/a.yaml", "./sub/../a.yaml", "/elsewhere/a.yaml"} {
			_, err := read(t, open(t, s), "file", target, "")
			if host.CodeOf(err) != host.CodeForbidden || strings.Contains(err.Error(), dir) || host.AsError(err).Hint != s.OutsideHint || !strings.Contains(err.Error(), target) {
				t.Errorf("%s: %v (%s)", target, err, host.AsError(err).Hint)
			}
		}
	})
	t.Run("ErrNoRoots", func(t *testing.T) {
		if _, err := read(t, open(t, Settings{}), "file", dir+"/a.yaml", ""); host.CodeOf(err) != host.CodeForbidden {
			t.Error(err)
		}
		if _, err := New(Settings{Roots: []string{dir, dir + "/none"}}); host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
	})
}

func TestResolve(t *testing.T) {
	s := open(t, Settings{WorkDir: "/portal"})
	for _, c := range []struct {
		base        Address
		typ, target string
		want        string // address, or code
	}{
		{Address{"file", "/r/a/b.yaml"}, "", "../c.yaml", "file:/r/c.yaml"},
		{Address{"file", "/r/a/b.yaml"}, "", "https://x.test/y", "url:https://x.test/y"},
		{Address{"file", "/r/a/b.yaml"}, "git", "https://x.test/r.git", "git:https://x.test/r.git//catalog-info.yaml"},
		{Address{"url", "https://x.test/a/b.yaml"}, "", "./c.yaml#f", "url:https://x.test/a/c.yaml"},
		{Address{"url", "https://x.test/a/b.yaml"}, "", "/etc/passwd", "url:https://x.test/etc/passwd"},
		{Address{"url", "https://x.test/a/b.yaml"}, "", "file:///etc/passwd", string(host.CodeForbidden)},
		{Address{"url", "https://x.test/a/b.yaml"}, "file", "/etc/passwd", string(host.CodeForbidden)},
		{Address{"git", "https://x.test/r.git//a"}, "file", "/etc/passwd", string(host.CodeForbidden)},
		{Address{"url", "https://x.test/a/b.yaml"}, "", "ftp://x.test/", string(host.CodeInvalid)},
		{Address{}, "url", "https://me:secret@x.test/", string(host.CodeInvalid)},
		{Address{}, "url", "nowhere", string(host.CodeInvalid)},
		{Address{}, "file", "x.yaml", string(host.CodeForbidden)},
		{Address{}, "file", "/x/../y.yaml", "file:/y.yaml"},
		{Address{}, "smb", "x", string(host.CodeInvalid)},
		{Address{}, "git", "https://x.test/r.git/a/b.yaml", "git:https://x.test/r.git//a/b.yaml"},
		{Address{}, "git", "https://x.test/r.git#dev:a/*.yaml", "git:https://x.test/r.git//a/*.yaml?ref=dev"},
		{Address{}, "git", "https://x.test/o/r//a.yaml?ref=v1", "git:https://x.test/o/r//a.yaml?ref=v1"},
		{Address{}, "git", "git@x.test:r.git", string(host.CodeInvalid)},
		{Address{}, "git", "https://a:b@x.test/r.git", string(host.CodeInvalid)},
		{Address{"git", "https://x.test/r.git//a/b.yaml?ref=dev"}, "", "../c.yaml", "git:https://x.test/r.git//c.yaml?ref=dev"},
		{Address{"git", "https://x.test/r.git//a/b.yaml"}, "", "../../c.yaml", string(host.CodeForbidden)},
		{Address{"git", "https://x.test/r.git//a/b.yaml"}, "", "https://x.test/y", "url:https://x.test/y"},
	} {
		got, err := s.Resolve(c.base, c.typ, c.target)
		if err != nil && string(host.CodeOf(err)) != c.want || err == nil && got.String() != c.want {
			t.Errorf("%s + %s %q = %s, %v; want %s", c.base, c.typ, c.target, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if _, err := s.Read(ctx, Address{"smb", "x"}, ""); host.CodeOf(err) != host.CodeInvalid {
		t.Error(err)
	}
}

func allow(t *testing.T, server string) []Allow {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return []Allow{{Host: u.Host}}
}

func TestURL(t *testing.T) {
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/etag", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "etag "+r.UserAgent())
	})
	mux.HandleFunc("/date", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1e9, 0), strings.NewReader("date"))
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 2000)) })
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/status/%d", &code)
		w.WriteHeader(code)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	hang := make(chan struct{})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(hang)
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") }))
	defer private.Close()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, private.URL, http.StatusFound) })
	settings := Settings{Allow: allow(t, server.URL), MaxDocument: 1000, Timeout: 300 * time.Millisecond, UserAgent: "portal/1"}
	t.Run("ConditionalRequests", func(t *testing.T) {
		for path, want := range map[string]string{"/etag": "etag portal/1", "/date": "date", "/plain": "plain"} {
			c, err := read(t, open(t, settings), "url", server.URL+path, "")
			if err != nil || len(c.Files) != 1 || string(c.Files[0].Body) != want || c.Files[0].HTML {
				t.Fatalf("%s: %+v, %v", path, c, err)
			}
			if c, err = read(t, open(t, settings), "url", server.URL+path, c.ETag); err != nil || !c.NotModified {
				t.Errorf("%s again: %+v, %v", path, c, err)
			}
		}
	})
	t.Run("SessionAsksOnce", func(t *testing.T) {
		s, before := open(t, settings), asked.Load()
		for range 3 {
			if _, err := read(t, s, "url", server.URL+"/etag", ""); err != nil {
				t.Fatal(err)
			}
		}
		if n := asked.Load() - before; n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	t.Run("WebPageIsMarked", func(t *testing.T) {
		if c, err := read(t, open(t, settings), "url", server.URL+"/page", ""); err != nil || !c.Files[0].HTML {
			t.Errorf("%+v, %v", c, err)
		}
	})
	for path, code := range map[string]host.Code{
		"/status/404": host.CodeNotFound, "/status/401": host.CodeUpstream, "/status/429": host.CodeUpstream, "/status/500": host.CodeUpstream,
		"/big": host.CodeTooLarge, "/loop": host.CodeUpstream, "/hang": host.CodeUpstream, "/away": host.CodeForbidden,
	} {
		t.Run("Err"+path, func(t *testing.T) {
			c, err := read(t, open(t, settings), "url", server.URL+path, "")
			if host.CodeOf(err) != code || host.AsError(err).Hint == "" || strings.Contains(bodies(c), "secret") {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	t.Run("ErrPrivateAddress", func(t *testing.T) {
		for _, target := range []string{private.URL, strings.Replace(private.URL, "127.0.0.1", "localhost", 1), strings.Replace(private.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), "http://169.254.169.254/latest/meta-data", "http://0x7f.1:80/", "http://10.1.2.3/"} {
			_, err := read(t, open(t, settings), "url", target, "")
			if code := host.CodeOf(err); code != host.CodeForbidden && !(code == host.CodeUpstream && strings.Contains(target, "0x7f")) {
				t.Errorf("%s: %v", target, err)
			}
		}
	})
	t.Run("ErrUnreachable", func(t *testing.T) {
		gone := httptest.NewServer(mux)
		gone.Close()
		if _, err := read(t, open(t, Settings{Allow: allow(t, gone.URL)}), "url", gone.URL, ""); host.CodeOf(err) != host.CodeUpstream {
			t.Error(err)
		}
		if _, err := read(t, open(t, settings), "url", "http://does-not-exist.invalid/", ""); host.CodeOf(err) != host.CodeUpstream {
			t.Error(err)
		}
	})
}

func TestAllows(t *testing.T) {
	list := []Allow{{Host: "a.test"}, {Host: "b.test:8080", Paths: []string{"/ok/"}}, {Host: "*.c.test"}, {Host: "[::1]:90"}}
	for target, want := range map[string]bool{
		"http://a.test/": true, "https://a.test/": true, "https://A.test./": true, "http://a.test:81/": false, "http://x.a.test/": false,
		"http://b.test:8080/ok/x": true, "http://b.test:8080/no": false, "http://b.test:8080/ok/../no": false, "http://b.test/ok/x": false,
		"https://x.c.test/": true, "https://x.y.c.test/": true, "https://c.test/": false, "http://[::1]:90/": true, "http://[::1]/": false,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := allows(list, u); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.1.1": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "::1": false, "::": false,
		"fe80::1": false, "fc00::1": false, "ff02::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"2606:4700::5efe:7f00:1": false, "2606:4700::200:5efe:a00:1": false, "3fff::1": false, "::ffff:0:7f00:1": false,
	} {
		if got := isPublic(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if refusePrivate("tcp", "no address", nil) == nil {
		t.Error("an address that cannot be read is dialled")
	}
}

func TestGuardSchemes(t *testing.T) {
	r := newReader(t, Settings{})
	req := httptest.NewRequest(http.MethodGet, "http://x.test/", nil)
	req.URL.Scheme, req.RequestURI = "file", ""
	if _, err := newGuard(nil).RoundTrip(req); host.CodeOf(err) != host.CodeForbidden {
		t.Error(err)
	}
	from := httptest.NewRequest(http.MethodGet, "https://x.test/", nil)
	if err := r.http.CheckRedirect(httptest.NewRequest(http.MethodGet, "http://x.test/", nil), []*http.Request{from}); host.CodeOf(err) != host.CodeForbidden {
		t.Error(err)
	}
}

func TestRaw(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/o/r/blob/main/a/b.yaml":       "https://raw.githubusercontent.com/o/r/main/a/b.yaml",
		"https://gitlab.test/o/r/-/blob/main/b.yaml":      "https://gitlab.test/o/r/-/raw/main/b.yaml",
		"https://github.com/o/r":                          "https://github.com/o/r",
		"https://x.test/o/r/blob/main/b.yaml?token=a%20b": "https://x.test/o/r/blob/main/b.yaml?token=a%20b",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := raw(u).String(); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
