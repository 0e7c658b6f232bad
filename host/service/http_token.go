package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

const (
	// tokenWait bounds fetching a token, whoever waits for it.
	tokenWait = 10 * time.Second
	// tokenBody bounds what a token endpoint answers.
	tokenBody = 64 << 10
	// tokenLife is taken where the endpoint does not say (RFC 6749, 5.1 leaves
	// it open).
	tokenLife = 5 * time.Minute
	// tokenPause is how long a failure stands before the endpoint is asked again.
	tokenPause = 3 * time.Second
	// maxTokens bounds what is remembered; a token of an instance is a few KiB.
	maxTokens = 10_000
)

// token is an access token that the host fetched for an instance.
type token struct {
	value string
	// renew is when it is fetched anew, until is when it ends.
	renew, until time.Time
}

// fetchToken gets a token from where it is issued.
type fetchToken func(ctx context.Context) (value string, life time.Duration, err error)

// tokens remembers access tokens by instance and grant. Of several callers
// that need the same one, one fetches it and the others wait.
type tokens struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*tokenSlot
}

// tokenSlot is one token: what is known, and who is fetching.
type tokenSlot struct {
	token
	failed  error
	again   time.Time     // not before, after a failure
	pending chan struct{} // closed when the fetch under way has ended
}

func newTokens(now func() time.Time) *tokens {
	return &tokens{now: now, byKey: map[string]*tokenSlot{}}
}

// get returns the token of key, fetched is true where it is new.
func (t *tokens) get(ctx context.Context, key string, fetch fetchToken) (value string, fetched bool, err error) {
	for {
		t.mu.Lock()
		s := t.slot(key)
		now := t.now()
		switch {
		case s.value != "" && now.Before(s.renew), s.value != "" && now.Before(s.until) && now.Before(s.again):
			defer t.mu.Unlock()
			return s.value, false, nil
		case s.failed != nil && now.Before(s.again):
			defer t.mu.Unlock()
			return "", false, s.failed
		case s.pending == nil:
			s.pending = make(chan struct{})
			t.mu.Unlock()
			t.fetch(ctx, s, fetch)
			t.mu.Lock()
			defer t.mu.Unlock()
			if s.value != "" && t.now().Before(s.until) {
				return s.value, s.failed == nil, nil
			}
			return "", false, s.failed
		}
		pending := s.pending
		t.mu.Unlock()
		select {
		case <-pending:
		case <-ctx.Done():
			return "", false, host.Errorf(host.CodePluginTimeout, "the call ended while its access token was fetched")
		}
	}
}

// slot returns the slot of key, after making room; t.mu is held.
func (t *tokens) slot(key string) *tokenSlot {
	s := t.byKey[key]
	if s == nil {
		if len(t.byKey) >= maxTokens {
			for k, old := range t.byKey {
				if old.pending == nil && t.now().After(old.until) || len(t.byKey) > 2*maxTokens {
					delete(t.byKey, k)
				}
			}
		}
		s = &tokenSlot{}
		t.byKey[key] = s
	}
	return s
}

// fetch runs the fetch outside of the lock and of the caller's cancellation:
// others may wait for what it brings.
func (t *tokens) fetch(ctx context.Context, s *tokenSlot, fetch fetchToken) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWait)
	defer cancel()
	value, life, err := fetch(within)
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	close(s.pending)
	s.pending = nil
	if err != nil {
		s.failed, s.again = err, now.Add(tokenPause)
		if host.Permanent(err) {
			s.token = token{} // it was taken away: what is left must not be used
		}
		return
	}
	s.failed, s.again = nil, time.Time{}
	s.token = token{value: value, renew: now.Add(life - min(life/10+time.Second, time.Minute)), until: now.Add(life)}
}

// drop forgets a token that an upstream did not accept.
func (t *tokens) drop(key, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byKey[key]; s != nil && s.value == value {
		s.token = token{}
	}
}

// tokenKey names the token of a grant. The instance's revision is part of it:
// another secret or configuration is another token.
func (e *exchange) tokenKey(auth *manifestv1.Auth) string {
	raw, _ := json.Marshal(auth) // strings alone: it cannot fail
	sum := sha256.Sum256(raw)
	in := e.session.Instance
	return fmt.Sprintf("%s/%s/%d/%s", in.Tenant, in.ID, in.Revision, hex.EncodeToString(sum[:12]))
}

// setting reads a field of auth that may come from the configuration.
func (e *exchange) setting(field, value string) (string, error) {
	if found := lookup(value, e.config); len(found) > 0 && found[0] != "" {
		return found[0], nil
	}
	return "", host.Errorf(host.CodePluginNotReady, "the %s of the plugin's authentication is not configured", field).
		WithHint("an admin can set it in the plugin's settings; numbers must be in quotes")
}

// askForToken sends one request to a token endpoint. The endpoint is egress
// like any other: its origin must be granted, and it is never redirected.
func (e *exchange) askForToken(ctx context.Context, method string, u *url.URL, header http.Header, body string) ([]byte, error) {
	right, err := e.permit(u)
	if err != nil {
		he := *host.AsError(err)
		he.Message = "access tokens cannot be fetched: " + he.Message
		return nil, &he
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the request for an access token cannot be made")
	}
	req.Header = header
	req.Header.Set("User-Agent", "Callboard/"+host.Version)
	c := e.http.public
	if right.private {
		c = e.http.private
	}
	e.session.Reached(httpv1.Name, originKey(u))
	resp, err := c.Do(req)
	if err != nil {
		return nil, unreachable(originKey(u), err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, tokenBody+1))
	if err != nil {
		return nil, unreachable(originKey(u), err)
	}
	if len(raw) > tokenBody {
		return nil, host.Errorf(host.CodeUpstream, "the token endpoint of %s answers with more than %d bytes", originKey(u), tokenBody)
	}
	if resp.StatusCode/100 != 2 {
		return nil, tokenRefused(originKey(u), resp, raw, e.http.settings.Now())
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "" && !strings.HasSuffix(media, "json") {
		return nil, host.Errorf(host.CodeUpstream, "the token endpoint of %s answers with %s, not with JSON", originKey(u), clip(media, 60))
	}
	return raw, nil
}

// oauthError is an error code of RFC 6749, 5.2; nothing else of the answer is
// shown, for it may repeat what was sent.
var oauthError = regexp.MustCompile(`^[a-z_]{1,40}$`)

// tokenRefused types the failure of a token endpoint.
func tokenRefused(origin string, resp *http.Response, raw []byte, now time.Time) error {
	var said struct {
		Error string `json:"error"`
	}
	why := "status " + strconv.Itoa(resp.StatusCode)
	if json.Unmarshal(raw, &said) == nil && oauthError.MatchString(said.Error) {
		why += ", " + said.Error
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		e := host.Errorf(host.CodeRateLimited, "the token endpoint of %s asks to come back later (%s)", origin, why)
		e.RetryAfter = retryAfter(resp.Header, now)
		return e
	case resp.StatusCode >= 500 || resp.StatusCode/100 == 3:
		return host.Errorf(host.CodeUpstream, "the token endpoint of %s failed (%s)", origin, why)
	}
	return host.Errorf(host.CodeUnauthorised, "the token endpoint of %s does not accept the credential (%s)", origin, why).
		WithHint("an admin can check the secret, and what it may do, in the plugin's settings")
}

// retryAfter reads the header Retry-After, between a second and an hour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 1), 3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), time.Second), time.Hour)
	}
	return 0
}
