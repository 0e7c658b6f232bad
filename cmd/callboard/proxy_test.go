package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// behind sends a form the way a proxy does that says for whom and how.
func behind(t *testing.T, target string, form url.Values, client string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", client)
	r.Header.Set("X-Forwarded-Proto", "https")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// What a proxy says counts where the operator trusts it: for the Secure mark of
// cookies and for the address by which guessing is slowed down.
func TestProxies(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		believed bool
	}{
		"TrustedIsBelieved": {[]string{"--trusted-proxies", "10.0.0.1,127.0.0.0/8"}, true},
		"StrangerIsNot":     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			s := start(t, data, tt.args...)
			s.cli("tenant", "create", "acme", "--data", data)
			made := s.cli("user", "create", "ann@example.com", "--tenant", "acme", "--role", "admin", "--data", data)
			token := regexp.MustCompile(`token=([\w-]+)`).FindStringSubmatch(made)
			if token == nil {
				t.Fatalf("there is no link in %s", made)
			}
			resp := behind(t, s.url+"/login/link", url.Values{"token": {token[1]}}, "198.51.100.1")
			if len(resp.Cookies()) != 1 || resp.Cookies()[0].Secure != tt.believed {
				t.Errorf("signing in answers %d with %v", resp.StatusCode, resp.Cookies())
			}
			slowed := false
			for i := range 60 {
				form := url.Values{"tenant": {"acme"}, "email": {fmt.Sprintf("user%d@example.com", i)}, "password": {"wrong"}}
				resp := behind(t, s.url+"/login", form, fmt.Sprintf("198.51.100.%d", i+2))
				slowed = slowed || resp.StatusCode == http.StatusTooManyRequests
			}
			if slowed == tt.believed {
				t.Errorf("60 guesses, each said to be for another client: slowed down %t", slowed)
			}
		})
	}
}
