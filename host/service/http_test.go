package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

var acme = host.Tenant{ID: host.NewTenantID(), Slug: "acme"}

// session returns a call of a plugin with these grants.
func session(config string, secrets map[string]string, grants ...plugin.Grant) *plugin.Session {
	in := &plugin.Instance{
		ID: "i1", Tenant: acme.ID, Name: "acme/probe", Short: "probe", Version: "1.0.0", Config: json.RawMessage(config), Grants: grants,
		Manifest: &manifestv1.Manifest{Permissions: grants},
	}
	c := host.NewCaller(acme, host.Principal{Kind: host.KindUser, ID: "u1", Role: host.RoleMember})
	return plugin.NewSession(c, in, func(_ context.Context, name string) (string, error) {
		if secrets[name] == "broken" {
			return "", fmt.Errorf("the box is shut: hunter2")
		}
		return secrets[name], nil
	})
}

func grantOf(auth *manifestv1.Auth, hosts ...string) plugin.Grant {
	return plugin.Grant{Type: httpv1.Name, Hosts: hosts, Private: true, Auth: auth, Reason: "Reads the upstream."}
}

// send makes one request through the service.
func send(t *testing.T, h *HTTP, s *plugin.Session, in httpv1.Request) (*httpv1.Response, error) {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.Serve(t.Context(), s, pluginv1.HostCall{Method: httpv1.MethodDo, Body: raw})
	if err != nil {
		return nil, err
	}
	return out.(*httpv1.Response), nil
}

func get(t *testing.T, h *HTTP, s *plugin.Session, url string) (*httpv1.Response, error) {
	t.Helper()
	return send(t, h, s, httpv1.Request{Method: "GET", URL: url})
}

// names resolves names for tests.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range n[strings.ToLower(strings.TrimSuffix(name, "."))] {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

func TestAllowList(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer up.Close()
	port := up.URL[strings.LastIndex(up.URL, ":")+1:]
	h := NewHTTP(HTTPSettings{Resolver: names{"api.example.com": {"127.0.0.1"}, "example.com": {"127.0.0.1"}, "deep.api.example.com": {"127.0.0.1"}}})
	config := fmt.Sprintf(`{"url":%q,"more":[{"url":"http://api.example.com:%s/base"}],"bad":7}`, up.URL+"/prefix", port)
	cases := []struct {
		name, grant, url string
		ok               bool
	}{
		{"Exact", up.URL, up.URL + "/x", true},
		{"OtherPort", "http://127.0.0.1:1", up.URL, false},
		{"OtherScheme", "https://127.0.0.1:" + port, up.URL, false},
		{"FromConfig", "${config.url}", up.URL + "/other", true},
		{"FromListInConfig", "${config.more[].url}", "http://api.example.com:" + port, true},
		{"FromConfigThatIsNoURL", "${config.bad}", up.URL, false},
		{"FromConfigThatIsMissing", "${config.none}", up.URL, false},
		{"Wildcard", "http://*.example.com:" + port, "http://api.example.com:" + port, true},
		{"WildcardOfTwoLabels", "http://*.example.com:" + port, "http://deep.api.example.com:" + port, true},
		{"WildcardIsNotTheNameItself", "http://*.example.com:" + port, "http://example.com:" + port, false},
		{"SuffixOfAnotherName", "http://example.com:" + port, "http://api.example.com:" + port, false},
		{"UpperCase", "http://api.example.com:" + port, "http://API.Example.COM:" + port, true},
		{"TrailingDot", "http://api.example.com:" + port, "http://api.example.com.:" + port, true},
		{"UserInURL", up.URL, strings.Replace(up.URL, "http://", "http://u:p@", 1), false},
		{"NoHost", up.URL, "/relative", false},
		{"FileScheme", up.URL, "file:///etc/passwd", false},
		{"GopherScheme", up.URL, "gopher://127.0.0.1:" + port, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := get(t, h, session(config, nil, grantOf(nil, c.grant)), c.url)
			if (err == nil) != c.ok {
				t.Errorf("%s under %s: %v", c.url, c.grant, err)
			}
			if err != nil && host.CodeOf(err) == host.CodeInternal {
				t.Errorf("not explained: %v", err)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	cases := []struct {
		address         string
		public, private bool // who may call it
	}{
		{"93.184.216.34", true, true}, {"2606:2800:220:1::1", true, true},
		{"127.0.0.1", false, true}, {"127.8.8.8", false, true}, {"::1", false, true}, {"10.1.2.3", false, true},
		{"172.16.0.1", false, true}, {"172.32.0.1", true, true}, {"192.168.1.1", false, true}, {"100.64.0.1", false, true},
		{"fd12::1", false, true}, {"fe80::1", false, true}, {"169.254.1.1", false, true},
		{"169.254.169.254", false, false}, {"fd00:ec2::254", false, false}, {"100.100.100.200", false, false},
		{"0.0.0.0", false, false}, {"::", false, false}, {"224.0.0.1", false, false}, {"ff02::1", false, false}, {"255.255.255.255", false, false},
		{"::ffff:127.0.0.1", false, true}, {"::ffff:169.254.169.254", false, false},
		{"64:ff9b::7f00:1", false, true}, {"64:ff9b::a9fe:a9fe", false, false}, {"2002:7f00:1::", false, true}, {"::7f00:1", false, true},
		{"192.0.2.1", false, false}, {"2001:db8::1", false, false}, {"3fff::1", false, false},
		{"fec0::1", false, true}, {"2001:0:53aa:64c::1", false, false}, {"2001:20::1", false, false}, {"2001:200::1", true, true},
		{"192.88.99.1", false, false}, {"100::1", false, false}, {"100:0:0:1::1", false, false},
		{"2606:2800::5efe:7f00:1", false, true}, {"2606:2800::200:5efe:a9fe:a9fe", false, false}, {"2606:2800::5efe:5db8:d822", true, true},
		{"fd12::5efe:a9fe:a9fe", false, false}, {"fe80::5efe:a00:1", false, true},
		{"64:ff9b:1::7f00:1", false, true}, {"64:ff9b:1:7f00:0:100::", false, false}, {"64:ff9b:1:0:7f:0:100:0", false, false},
		{"64:ff9b::5db8:d822", true, true}, {"64:ff9b:1::5db8:d822", true, true}, {"::ffff:0:7f00:1", false, true},
	}
	for _, c := range cases {
		a := netip.MustParseAddr(c.address)
		if got := checkAddress(a, false) == nil; got != c.public {
			t.Errorf("%s without private: %v", c.address, got)
		}
		if got := checkAddress(a, true) == nil; got != c.private {
			t.Errorf("%s with private: %v", c.address, got)
		}
	}
}

// TestPrivateAddressesNeedTheGrant checks the dialled address, not the name.
func TestPrivateAddressesNeedTheGrant(t *testing.T) {
	var reached atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer up.Close()
	port := up.URL[strings.LastIndex(up.URL, ":")+1:]
	h := NewHTTP(HTTPSettings{Resolver: names{"rebind.example.com": {"127.0.0.1"}, "mixed.example.com": {"93.184.216.34", "127.0.0.1"}}})
	for _, target := range []string{up.URL, "http://rebind.example.com:" + port, "http://mixed.example.com:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		g := grantOf(nil, target)
		g.Private = false
		_, err := get(t, h, session("{}", nil, g), target)
		if host.CodeOf(err) != host.CodeNotGranted || !strings.Contains(err.Error(), "private") {
			t.Errorf("%s gave %v", target, err)
		}
	}
	// A connection that a private grant left open must not be reused.
	if _, err := get(t, h, session("{}", nil, grantOf(nil, up.URL)), up.URL); err != nil {
		t.Fatal(err)
	}
	g := grantOf(nil, up.URL)
	g.Private = false
	if _, err := get(t, h, session("{}", nil, g), up.URL); host.CodeOf(err) != host.CodeNotGranted {
		t.Errorf("with a connection in the pool it gave %v", err)
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("the upstream was reached %d times", n)
	}
}

func TestRedirects(t *testing.T) {
	var got []http.Header
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Clone())
		fmt.Fprint(w, "second "+r.Method+" "+r.URL.RawQuery)
	}))
	defer second.Close()
	mux := http.NewServeMux()
	first := httptest.NewServer(mux)
	defer first.Close()
	to := func(code int, target string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Clone())
			w.Header().Set("Location", target)
			w.WriteHeader(code)
		}
	}
	mux.HandleFunc("/away", to(302, second.URL+"/x"))
	mux.HandleFunc("/stay", to(307, "/end"))
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Clone())
		fmt.Fprint(w, r.Method)
	})
	mux.HandleFunc("/metadata", to(302, "http://169.254.169.254/latest/meta-data"))
	mux.HandleFunc("/file", to(302, "file:///etc/passwd"))
	mux.HandleFunc("/loop", to(302, "/loop"))
	h := NewHTTP(HTTPSettings{})
	secrets := map[string]string{"token": "hunter2"}
	bearer := &manifestv1.Auth{Type: "bearer", Secret: "token"}
	one := func() *plugin.Session { return session("{}", secrets, grantOf(bearer, first.URL)) }
	both := func() *plugin.Session { return session("{}", secrets, grantOf(bearer, first.URL, second.URL)) }

	t.Run("ToAHostThatWasNotGranted", func(t *testing.T) {
		got = nil
		if r, err := get(t, h, one(), first.URL+"/away"); host.CodeOf(err) != host.CodeNotGranted || len(got) != 1 {
			t.Errorf("got %+v, %v after %d requests", r, err, len(got))
		}
	})
	t.Run("ToAGrantedHostWithoutTheCredential", func(t *testing.T) {
		got = nil
		if _, err := get(t, h, both(), first.URL+"/away"); err != nil || len(got) != 2 {
			t.Fatalf("%v after %d requests", err, len(got))
		}
		if got[0].Get("Authorization") != "Bearer hunter2" || got[1].Get("Authorization") != "" {
			t.Errorf("the upstreams saw %q and %q", got[0].Get("Authorization"), got[1].Get("Authorization"))
		}
	})
	t.Run("WithinTheOriginItKeepsMethodAndCredential", func(t *testing.T) {
		got = nil
		r, err := send(t, h, one(), httpv1.Request{Method: "POST", URL: first.URL + "/stay", Body: []byte("x")})
		if err != nil || string(r.Body) != "POST" || got[1].Get("Authorization") != "Bearer hunter2" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	for _, path := range []string{"/metadata", "/file", "/loop"} {
		t.Run("Refused"+path, func(t *testing.T) {
			if _, err := get(t, h, one(), first.URL+path); err == nil || host.CodeOf(err) == host.CodeInternal {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("ToMetadataEvenWhereItWasGranted", func(t *testing.T) {
		s := session("{}", nil, grantOf(nil, first.URL, "http://169.254.169.254"))
		if _, err := get(t, h, s, first.URL+"/metadata"); host.CodeOf(err) != host.CodeNotGranted {
			t.Errorf("got %v", err)
		}
	})
}

func TestAuthentication(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		_ = json.NewEncoder(w).Encode(map[string]string{"auth": r.Header.Get("Authorization"), "key": r.Header.Get("X-Api-Key"), "query": r.URL.RawQuery})
	}))
	defer up.Close()
	h := NewHTTP(HTTPSettings{})
	secrets := map[string]string{"token": "s3cret", "password": "pa ss"}
	cases := []struct {
		name  string
		auths []*manifestv1.Auth
		want  string
	}{
		{"Bearer", []*manifestv1.Auth{{Type: "bearer", Secret: "token"}}, `"auth":"Bearer s3cret"`},
		{"Basic", []*manifestv1.Auth{{Type: "basic", Secret: "password", Username: "ann"}}, `"auth":"Basic YW5uOnBhIHNz"`},
		{"BasicWithTheUserOfTheConfiguration", []*manifestv1.Auth{{Type: "basic", Secret: "password", Username: "${config.user}"}}, `"auth":"Basic Ym9iOnBhIHNz"`},
		{"Header", []*manifestv1.Auth{{Type: "header", Secret: "token", Name: "X-Api-Key"}}, `"key":"s3cret"`},
		{"Query", []*manifestv1.Auth{{Type: "query", Secret: "token", Name: "key"}}, `"query":"a=1\u0026key=s3cret"`},
		{"TheFirstThatHasAValue", []*manifestv1.Auth{{Type: "bearer", Secret: "unset"}, {Type: "basic", Secret: "password", Username: "ann"}}, `"auth":"Basic YW5uOnBhIHNz"`},
		{"NoneWithAValue", []*manifestv1.Auth{{Type: "bearer", Secret: "unset"}}, `"auth":""`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var grants []plugin.Grant
			for _, a := range c.auths {
				grants = append(grants, grantOf(a, up.URL))
			}
			r, err := get(t, h, session(`{"user":"bob"}`, secrets, grants...), up.URL+"/?a=1")
			if err != nil || !strings.Contains(string(r.Body), c.want) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if len(r.Header["Set-Cookie"]) != 0 {
				t.Error("the guest got the upstream's cookie")
			}
		})
	}
	t.Run("ABrokenBoxTellsNothing", func(t *testing.T) {
		s := session("{}", map[string]string{"token": "broken"}, grantOf(&manifestv1.Auth{Type: "bearer", Secret: "token"}, up.URL))
		if _, err := get(t, h, s, up.URL); host.CodeOf(err) != host.CodePluginNotReady || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("AFailureDoesNotTellTheQuery", func(t *testing.T) {
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		s := session("{}", secrets, grantOf(&manifestv1.Auth{Type: "query", Secret: "token", Name: "key"}, gone.URL))
		if _, err := get(t, h, s, gone.URL+"/path?x=1"); err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(fmt.Sprint(host.AsError(err).Err), "s3cret") {
			t.Errorf("got %v", err)
		}
	})
	for _, name := range []string{"Authorization", "cookie", "HOST", "Proxy-Authorization", "X-Forwarded-For", "Connection", "Transfer-Encoding", "bad name", "X\r\nY"} {
		t.Run("RefusedHeader", func(t *testing.T) {
			s := session("{}", nil, grantOf(nil, up.URL))
			_, err := send(t, h, s, httpv1.Request{URL: up.URL, Header: map[string][]string{name: {"x"}}})
			if err == nil {
				t.Errorf("%q was sent", name)
			}
		})
	}
	t.Run("RefusedHeaderValue", func(t *testing.T) {
		s := session("{}", nil, grantOf(nil, up.URL))
		if _, err := send(t, h, s, httpv1.Request{URL: up.URL, Header: map[string][]string{"X-A": {"a\r\nX-B: b"}}}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("got %v", err)
		}
	})
}

func TestCache(t *testing.T) {
	var hits, full atomic.Int32
	control := "no-cache"
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", control)
		w.Header().Set("X-Ratelimit-Remaining", fmt.Sprint(100-hits.Load()))
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		fmt.Fprint(w, "body")
	}))
	defer up.Close()
	now := time.Unix(1_800_000_000, 0)
	h := NewHTTP(HTTPSettings{Now: func() time.Time { return now }})
	s := func() *plugin.Session { return session("{}", nil, grantOf(nil, up.URL)) }
	step := func(name, path string, cached bool, wantHits, wantFull int32, sess *plugin.Session) *httpv1.Response {
		t.Helper()
		r, err := get(t, h, sess, up.URL+path)
		if err != nil || string(r.Body) != "body" || r.Status != 200 {
			t.Fatalf("%s: got %+v, %v", name, r, err)
		}
		if r.Cached != cached || hits.Load() != wantHits || full.Load() != wantFull {
			t.Errorf("%s: cached %v after %d requests, %d of them whole", name, r.Cached, hits.Load(), full.Load())
		}
		return r
	}
	step("first", "/a", false, 1, 1, s())
	if r := step("confirmed by 304", "/a", true, 2, 1, s()); r.Header["X-Ratelimit-Remaining"][0] != "98" {
		t.Errorf("the newer rate limit is lost: %v", r.Header)
	}
	control = "max-age=60"
	step("first of b", "/b", false, 3, 2, s())
	now = now.Add(30 * time.Second)
	if r := step("fresh", "/b", true, 3, 2, s()); r.AgeSeconds != 30 {
		t.Errorf("its age is %d", r.AgeSeconds)
	}
	now = now.Add(31 * time.Second)
	step("no longer fresh", "/b", true, 4, 2, s())
	other := s()
	other.Instance.ID = "i2"
	step("another instance", "/b", false, 5, 3, other)
	changed := s()
	changed.Instance.Revision = 7
	step("the instance after a change", "/b", false, 6, 4, changed)
	control = "no-store"
	step("not to be kept", "/c", false, 7, 5, s())
	step("and not kept", "/c", false, 8, 6, s())
}

func TestCacheIsBounded(t *testing.T) {
	c := newAnswerCache(10_000, 15_000)
	put := func(instance, key string) {
		c.put(&cached{instance: instance, key: key, header: http.Header{}, body: make([]byte, 3000)})
	}
	for i := range 10 {
		put("a", fmt.Sprint("a", i))
	}
	if c.used["a"] > 10_000 || c.get("a9") == nil || c.get("a0") != nil {
		t.Errorf("a uses %d bytes", c.used["a"])
	}
	for i := range 10 {
		put("b", fmt.Sprint("b", i))
	}
	if c.sum > 15_000 || c.sum != c.used["a"]+c.used["b"] || len(c.byKey) != c.order.Len() {
		t.Errorf("in all it is %d bytes of %v", c.sum, c.used)
	}
	c.put(&cached{instance: "a", key: "large", body: make([]byte, 9000)})
	if c.get("large") != nil {
		t.Error("one answer took all the room")
	}
}

func TestBudgets(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(make([]byte, 5000))
		case "/slow":
			<-r.Context().Done()
		default:
			_, _ = w.Write(make([]byte, 900))
		}
	}))
	defer up.Close()
	h := NewHTTP(HTTPSettings{MaxBody: 1000, MaxBytes: 2000, MaxCalls: 4, MaxRequest: 10})
	s := session("{}", nil, grantOf(nil, up.URL))
	check := func(name, path string, body string, want host.Code) {
		t.Helper()
		_, err := send(t, h, s, httpv1.Request{Method: "POST", URL: up.URL + path, Body: []byte(body)})
		if host.CodeOf(err) != want {
			t.Errorf("%s gave %v (%s)", name, err, host.CodeOf(err))
		}
	}
	check("an answer that is too large", "/large", "", host.CodeLimit)
	check("a request that is too large", "/", "01234567890", host.CodeTooLarge)
	check("the first answer", "/", "", "")
	check("the second answer", "/", "", "")
	check("a request too many", "/", "", host.CodeLimit)
	s = session("{}", nil, grantOf(nil, up.URL))
	check("answers", "/", "", "")
	check("more answers", "/", "", "")
	check("bytes too many", "/", "", host.CodeLimit)
	t.Run("SlowUpstream", func(t *testing.T) {
		hasty := NewHTTP(HTTPSettings{Timeout: 50 * time.Millisecond})
		if _, err := get(t, hasty, session("{}", nil, grantOf(nil, up.URL)), up.URL+"/slow"); host.CodeOf(err) != host.CodePluginTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("Methods", func(t *testing.T) {
		s := session("{}", nil, grantOf(nil, up.URL))
		if _, err := send(t, h, s, httpv1.Request{Method: "CONNECT", URL: up.URL}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("CONNECT gave %v", err)
		}
		if _, err := h.Serve(t.Context(), s, pluginv1.HostCall{Method: "explode"}); err == nil {
			t.Error("an unknown method was served")
		}
		if _, err := h.Serve(t.Context(), s, pluginv1.HostCall{Method: httpv1.MethodDo, Body: json.RawMessage("{")}); host.CodeOf(err) != host.CodeInvalid {
			t.Errorf("junk gave %v", err)
		}
	})
}

func TestFailuresSayWhatToDo(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	h := NewHTTP(HTTPSettings{Resolver: names{}})
	for target, says := range map[string]string{
		secure.URL: "certificate", gone.URL: "cannot be reached", "http://nowhere.example.com": "no addresses",
	} {
		_, err := get(t, h, session("{}", nil, grantOf(nil, target)), target)
		if host.CodeOf(err) != host.CodeUpstream || !strings.Contains(err.Error(), says) || host.AsError(err).Hint == "" {
			t.Errorf("%s gave %v", target, err)
		}
	}
}

func FuzzPermit(f *testing.F) {
	for _, s := range []string{"https://api.example.com", "http://*.example.com:80", "http://[::1]:9", "${config.url}", "https://a@b", "https://1.2.3.4/"} {
		f.Add(s, "https://api.example.com/x")
	}
	f.Fuzz(func(t *testing.T, pattern, target string) {
		u, err := url.Parse(target)
		if err != nil {
			return
		}
		e := &exchange{session: session("{}", nil), grants: []plugin.Grant{grantOf(nil, pattern)}}
		if a, err := e.permit(u); err == nil && (a == nil || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("%q was permitted by %q", target, pattern)
		}
	})
}
