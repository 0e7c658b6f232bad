package http

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callboard-dev/callboard/sdk"
)

// maxDetail is how much of an upstream's own message a StatusError repeats.
const maxDetail = 300

// StatusError is an answer with a status that says no. It wraps an *sdk.Error
// with the code, hint and time to wait that fit the status, so a handler can
// return it as it is.
type StatusError struct {
	Status     int
	Method     string
	URL        string // without its query
	Detail     string // the upstream's own words, shortened; may be empty
	RetryAfter time.Duration
	err        *sdk.Error
}

// Error says which request failed and what the upstream said.
func (e *StatusError) Error() string { return e.err.Message }

// Unwrap returns the *sdk.Error.
func (e *StatusError) Unwrap() error { return e.err }

func statusError(r Response) *StatusError {
	e := &StatusError{
		Status: r.Status, Method: r.Method, URL: withoutQuery(r.URL),
		Detail: detail(r.Body), RetryAfter: RetryAfter(r.Header, time.Now()),
	}
	message := fmt.Sprintf("%s %s answered %d", e.Method, e.URL, e.Status)
	if e.Detail != "" {
		message += ": " + e.Detail
	}
	code, hint := verdict(e.Status, r.Header.Get("X-RateLimit-Remaining") == "0")
	e.err = &sdk.Error{Code: code, Message: message, Hint: hint, RetryAfter: e.RetryAfter}
	return e
}

// verdict says what a status means for the plugin's caller. A 403 of an
// upstream whose budget is used up is a rate limit in other words.
func verdict(status int, budgetUsedUp bool) (code sdk.Code, hint string) {
	switch {
	case status == 429 || status == 403 && budgetUsedUp:
		return sdk.CodeRateLimited, "The upstream asks to come back later."
	case status == 401 || status == 403:
		return sdk.CodeUpstream, "Check the credential in the plugin's settings and what it may read."
	case status == 404 || status == 410:
		return sdk.CodeNotFound, ""
	case status >= 300 && status < 400:
		return sdk.CodeUpstream, "The upstream redirects to a place outside the plugin's grant; use its final address."
	default:
		return sdk.CodeUpstream, ""
	}
}

// RetryAfter returns how long the header asks to wait from now: Retry-After in
// seconds or as a date, else, where X-RateLimit-Remaining is 0, until
// X-RateLimit-Reset (seconds since 1970). Zero where it does not say.
func RetryAfter(h Header, now time.Time) time.Duration {
	if value := strings.TrimSpace(h.Get("Retry-After")); value != "" {
		if seconds, err := strconv.Atoi(value); err == nil {
			return max(0, time.Duration(seconds)*time.Second)
		}
		if at, err := time.Parse(time.RFC1123, value); err == nil {
			return max(0, at.Sub(now))
		}
	}
	if h.Get("X-RateLimit-Remaining") != "0" {
		return 0
	}
	reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, time.Unix(reset, 0).Sub(now))
}

// detail finds the words of an error body: the usual members of a JSON object,
// else a short plain text.
func detail(body []byte) string {
	var object map[string]any
	if json.Unmarshal(body, &object) == nil {
		for _, member := range []string{"detail", "message", "error_description", "error", "title"} {
			if text, ok := object[member].(string); ok && text != "" {
				return shorten(text)
			}
		}
		return ""
	}
	if !utf8.Valid(body) || strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		return ""
	}
	return shorten(string(body))
}

// shorten makes one line of at most maxDetail bytes.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxDetail {
		return s
	}
	cut := maxDetail
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// withoutQuery drops query and fragment, in which secrets and noise travel.
func withoutQuery(url string) string {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		return url[:i]
	}
	return url
}
