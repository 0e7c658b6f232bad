package http_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/http"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing said":                 {http.Header{}, 0},
		"seconds":                      {http.Header{"Retry-After": {"120"}}, 2 * time.Minute},
		"seconds, in lower case":       {http.Header{"retry-after": {" 5 "}}, 5 * time.Second},
		"a date":                       {http.Header{"Retry-After": {"Sun, 01 Mar 2026 12:01:30 GMT"}}, 90 * time.Second},
		"a date that is past":          {http.Header{"Retry-After": {"Sun, 01 Mar 2026 11:00:00 GMT"}}, 0},
		"negative seconds":             {http.Header{"Retry-After": {"-3"}}, 0},
		"nonsense":                     {http.Header{"Retry-After": {"soon"}}, 0},
		"a budget that is used up":     {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1772366460"}}, time.Minute},
		"a budget that is left":        {http.Header{"X-Ratelimit-Remaining": {"7"}, "X-Ratelimit-Reset": {"1772366460"}}, 0},
		"a budget without its reset":   {http.Header{"X-Ratelimit-Remaining": {"0"}}, 0},
		"a reset that is past already": {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1"}}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := http.RetryAfter(tt.header, now); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestErr(t *testing.T) {
	long := strings.Repeat("é", 400)
	tests := map[string]struct {
		response http.Response
		code     sdk.Code
		words    string
	}{
		"200 is none":                     {http.Response{Status: 200}, "", ""},
		"204 is none":                     {http.Response{Status: 204}, "", ""},
		"404 is not found":                {http.Response{Status: 404}, sdk.CodeNotFound, "answered 404"},
		"429 is a rate limit":             {http.Response{Status: 429}, sdk.CodeRateLimited, "answered 429"},
		"403 is the upstream's":           {http.Response{Status: 403}, sdk.CodeUpstream, "403"},
		"403 of a used up budget":         {http.Response{Status: 403, Header: http.Header{"X-RateLimit-Remaining": {"0"}}}, sdk.CodeRateLimited, "403"},
		"a redirect that was not taken":   {http.Response{Status: 302}, sdk.CodeUpstream, "302"},
		"500 with a problem's detail":     {http.Response{Status: 500, Body: []byte(`{"title":"T","detail":"disk full"}`)}, sdk.CodeUpstream, "500: disk full"},
		"500 with a message":              {http.Response{Status: 500, Body: []byte(`{"message":"Bad\n credentials"}`)}, sdk.CodeUpstream, "500: Bad credentials"},
		"500 with a text":                 {http.Response{Status: 500, Body: []byte("out of\nmemory")}, sdk.CodeUpstream, "500: out of memory"},
		"500 with a page does not repeat": {http.Response{Status: 500, Body: []byte("<html>secret")}, sdk.CodeUpstream, "answered 500"},
		"500 with an object of no words":  {http.Response{Status: 500, Body: []byte(`{"a":1}`)}, sdk.CodeUpstream, "answered 500"},
		"500 with a long text is cut":     {http.Response{Status: 500, Body: []byte(long)}, sdk.CodeUpstream, "é…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.response.Method, tt.response.URL = "GET", "https://up.example/x?token=hidden#f"
			err := tt.response.Err()
			if sdk.CodeOf(err) != tt.code {
				t.Fatalf("got %v with the code %q, want %q", err, sdk.CodeOf(err), tt.code)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), tt.words) || !strings.HasPrefix(err.Error(), "GET https://up.example/x answered") {
				t.Errorf("got %q, want %q in it", err, tt.words)
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "secret") || len(err.Error()) > 400 {
				t.Errorf("%q tells too much", err)
			}
			var status *http.StatusError
			if !errors.As(err, &status) || status.Status != tt.response.Status {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	h := http.Header{"content-TYPE": {"a"}, "Empty": {}}
	if h.Get("Content-Type") != "a" || h.Get("Empty") != "" || h.Get("None") != "" {
		t.Errorf("got %q %q %q", h.Get("Content-Type"), h.Get("Empty"), h.Get("None"))
	}
	h.Set("Content-Type", "b")
	if len(h) != 2 || h.Get("content-type") != "b" {
		t.Errorf("after Set: %v", h)
	}
}
