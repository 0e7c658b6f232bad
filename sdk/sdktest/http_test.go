package sdktest_test

import (
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/http"
	"github.com/callboard-dev/callboard/sdk/roundtrip"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

// echo answers with what it was asked.
func echo(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, _ := io.ReadAll(r.Body) // a request of a test has a body that can be read
	fmt.Fprintf(w, `{"method":%q,"uri":%q,"auth":%q,"key":%q,"type":%q,"body":%q}`,
		r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("X-Key"), r.Header.Get("Content-Type"), body)
}

// echoed is what echo answers.
type echoed struct{ Method, URI, Auth, Key, Type, Body string }

func upstream(origin string, h nethttp.HandlerFunc) sdktest.Option {
	return sdktest.Upstream(origin, h)
}

func TestHTTPSendsWithinTheGrant(t *testing.T) {
	key := sdktest.Secret("key", "k&y")
	tests := map[string]struct {
		url     string
		options []sdktest.Option
		want    echoed
	}{
		"to an origin":                      {"https://api.example.com/a?b=c", nil, echoed{URI: "/a?b=c"}},
		"to an origin in another spelling":  {"HTTPS://API.example.com:443/", nil, echoed{URI: "/"}},
		"to the configured origin":          {"http://default.example:9090/x", nil, echoed{URI: "/x"}},
		"to each of a configured list":      {"https://two.example/x", []sdktest.Option{sdktest.Config(map[string]any{"more": []any{map[string]any{"url": "https://one.example"}, map[string]any{"url": "https://two.example/base"}}})}, echoed{URI: "/x"}},
		"to a host below a pattern":         {"https://deep.down.wild.example:8443/", nil, echoed{URI: "/"}},
		"with the bearer":                   {"https://api.example.com/", []sdktest.Option{sdktest.Secret("token", "t0k")}, echoed{URI: "/", Auth: "Bearer t0k"}},
		"with the password if there is one": {"https://api.example.com/", []sdktest.Option{sdktest.Secret("password", "pw")}, echoed{URI: "/", Auth: "Basic cm9ib3Q6cHc="}},
		"with a header":                     {"https://header.example/", []sdktest.Option{key}, echoed{URI: "/", Key: "k&y"}},
		"with a query parameter":            {"https://query.example/?a=b", []sdktest.Option{key}, echoed{URI: "/?a=b&key=k%26y"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			options := tt.options
			for _, origin := range []string{"https://api.example.com", "http://default.example:9090", "https://two.example", "https://deep.down.wild.example:8443", "https://header.example", "https://query.example"} {
				options = append(options, upstream(origin, echo))
			}
			var got echoed
			h, err := within(t, func(ctx *sdk.Context) error { _, err := http.GetJSON(ctx, tt.url, &got); return err }, options...)
			tt.want.Method = "GET"
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if requests := h.Requests(); len(requests) != 1 || requests[0].Status != 200 {
				t.Errorf("recorded %+v", requests)
			}
		})
	}
}

func TestHTTPRefuses(t *testing.T) {
	tests := map[string]struct {
		url     string
		options []sdktest.Option
		code    sdk.Code
	}{
		"another host":               {"https://evil.example/", nil, sdk.CodeNotGranted},
		"another port":               {"https://api.example.com:8443/", nil, sdk.CodeNotGranted},
		"another scheme":             {"http://api.example.com/", nil, sdk.CodeNotGranted},
		"the pattern's own domain":   {"https://wild.example:8443/", nil, sdk.CodeNotGranted},
		"a name that only ends so":   {"https://notwild.example:8443/", nil, sdk.CodeNotGranted},
		"a file":                     {"file:///etc/passwd", nil, sdk.CodeInvalid},
		"credentials in the URL":     {"https://u:p@api.example.com/", nil, sdk.CodeInvalid},
		"what is not a URL":          {"://", nil, sdk.CodeInvalid},
		"a method that is no word":   {"bad method", nil, sdk.CodeInvalid},
		"without the grant":          {"https://api.example.com/", []sdktest.Option{sdktest.Without("http/v1")}, sdk.CodeNotGranted},
		"without a required secret":  {"https://header.example/", nil, sdk.CodeNotReady},
		"an origin without upstream": {"https://api.example.com/", nil, sdk.CodeUpstream},
		"a redirect out of the grant": {"https://api.example.com/", []sdktest.Option{upstream("https://api.example.com", func(w nethttp.ResponseWriter, r *nethttp.Request) {
			nethttp.Redirect(w, r, "https://evil.example/", nethttp.StatusFound)
		})}, sdk.CodeNotGranted},
		"a redirect without end": {"https://api.example.com/", []sdktest.Option{upstream("https://api.example.com", func(w nethttp.ResponseWriter, r *nethttp.Request) {
			nethttp.Redirect(w, r, "/again", nethttp.StatusTemporaryRedirect)
		})}, sdk.CodeUpstream},
		"a redirect to nonsense": {"https://api.example.com/", []sdktest.Option{upstream("https://api.example.com", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Location", "://")
			w.WriteHeader(301)
		})}, sdk.CodeUpstream},
		"a bad status": {"https://api.example.com/", []sdktest.Option{upstream("https://api.example.com", nethttp.NotFound)}, sdk.CodeNotFound},
		"an answer that does not fit": {"https://api.example.com/", []sdktest.Option{upstream("https://api.example.com", func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			fmt.Fprint(w, "[]")
		})}, sdk.CodeUpstream},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := within(t, func(ctx *sdk.Context) error {
				if tt.url == "bad method" {
					_, err := http.Do(ctx, http.Request{Method: "B D", URL: "https://api.example.com/"})
					return err
				}
				var out struct{ A int }
				_, err := http.GetJSON(ctx, tt.url, &out)
				return err
			}, tt.options...)
			if sdk.CodeOf(err) != tt.code {
				t.Errorf("got %v (%s), want %s", err, sdk.CodeOf(err), tt.code)
			}
		})
	}
}

func TestHTTPFollowsRedirectsWithinTheGrant(t *testing.T) {
	for status, want := range map[int]string{302: "GET ", 307: "POST {\"n\":1}"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			moved := upstream("https://api.example.com", func(w nethttp.ResponseWriter, r *nethttp.Request) {
				nethttp.Redirect(w, r, "http://default.example:9090/there", status)
			})
			var got echoed
			h, err := within(t, func(ctx *sdk.Context) error {
				_, err := http.SendJSON(ctx, "POST", "https://api.example.com/here", map[string]int{"n": 1}, &got)
				return err
			}, moved, upstream("http://default.example:9090", echo))
			if err != nil || got.Method+" "+got.Body != want || got.URI != "/there" || len(h.Requests()) != 2 {
				t.Errorf("got %+v, %v; want %s", got, err, want)
			}
		})
	}
}

func TestHTTPConfirmsByETag(t *testing.T) {
	asked := upstream("https://api.example.com", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(nethttp.StatusNotModified)
			return
		}
		fmt.Fprint(w, `"fresh"`)
	})
	_, err := within(t, func(ctx *sdk.Context) error {
		for i := range 3 {
			var text string
			r, err := http.GetJSON(ctx, "https://api.example.com/", &text)
			if err = errors.Join(err, must("text", text, "fresh"), must("cached", r.Cached, i > 0), must("status", r.Status, 200)); err != nil {
				return err
			}
		}
		r, err := http.Do(ctx, http.Request{URL: "https://api.example.com/", Header: http.Header{"Accept": {"application/json"}, "if-none-match": {`"one"`}}})
		return errors.Join(err, must("own condition", r.Status, 304))
	}, asked)
	if err != nil {
		t.Error(err)
	}
}

func TestHTTPSendsJSON(t *testing.T) {
	var got echoed
	_, err := within(t, func(ctx *sdk.Context) error {
		if _, err := http.SendJSON(ctx, "PUT", "https://api.example.com/", make(chan int), nil); sdk.CodeOf(err) != sdk.CodeInternal {
			return fmt.Errorf("a value that is no JSON: %w", err)
		}
		if _, err := http.SendJSON(ctx, "DELETE", "https://api.example.com/", nil, nil); err != nil {
			return err
		}
		if _, err := http.Get(ctx, "https://api.example.com/"); err != nil {
			return err
		}
		_, err := http.SendJSON(ctx, "PUT", "https://api.example.com/", []int{1}, &got)
		return err
	}, upstream("https://api.example.com", echo))
	if want := (echoed{Method: "PUT", URI: "/", Type: "application/json", Body: "[1]"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNetworkReachesARealUpstream(t *testing.T) {
	server := httptest.NewServer(nethttp.HandlerFunc(echo))
	defer server.Close()
	var got echoed
	ask := func(ctx *sdk.Context) error { _, err := http.GetJSON(ctx, server.URL+"/real", &got); return err }
	options := []sdktest.Option{sdktest.Config(map[string]string{"url": server.URL}), sdktest.Network(server.Client())}
	if _, err := within(t, ask, options...); err != nil || got.URI != "/real" {
		t.Errorf("got %+v, %v", got, err)
	}
	server.Close()
	if _, err := within(t, ask, options...); sdk.CodeOf(err) != sdk.CodeUpstream {
		t.Errorf("a server that is gone gives %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	_, err := within(t, func(ctx *sdk.Context) error {
		client := roundtrip.Client()
		r, err := nethttp.NewRequestWithContext(ctx, "POST", "https://api.example.com/x", strings.NewReader("hello"))
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return errors.Join(err, must("status", answer.Status, "200 OK"), must("length", answer.ContentLength, int64(len(body))),
			must("echo", strings.Contains(string(body), `"body":"hello"`), true), must("header", answer.Header.Get("X-Answer"), "yes"))
	}, upstream("https://api.example.com", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("X-Answer", "yes")
		echo(w, r)
	}))
	if err != nil {
		t.Error(err)
	}
	t.Run("keeps the refusal", func(t *testing.T) {
		_, err := within(t, func(ctx *sdk.Context) error {
			r, err := nethttp.NewRequestWithContext(ctx, "GET", "https://evil.example/", nil)
			if err != nil {
				return err
			}
			_, err = roundtrip.Client().Do(r) //nolint:bodyclose // there is no answer
			return err
		})
		if sdk.CodeOf(err) != sdk.CodeNotGranted {
			t.Errorf("got %v", err)
		}
	})
	t.Run("needs a body that can be read", func(t *testing.T) {
		_, err := within(t, func(ctx *sdk.Context) error {
			r, err := nethttp.NewRequestWithContext(ctx, "POST", "https://api.example.com/", io.MultiReader(brokenReader{}))
			if err != nil {
				return err
			}
			_, err = roundtrip.Client().Do(r) //nolint:bodyclose // there is no answer
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "reading the request body") {
			t.Errorf("got %v", err)
		}
	})
}

// brokenReader fails.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) {
	return 0, errors.New("broken at " + time.Unix(0, 0).UTC().String())
}
