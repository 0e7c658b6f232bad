package service

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
)

// issuer is an authorization server and the API that takes its tokens.
type issuer struct {
	*httptest.Server
	issued  atomic.Int64
	life    int                                    // expires_in
	status  int                                    // of the token endpoint, where not 200
	answer  string                                 // of the token endpoint, where not a token
	refuse  atomic.Value                           // a token that the API does not accept any more
	release chan struct{}                          // the token endpoint waits for it, where set
	check   func(r *http.Request, f []byte) string // what is wrong with a token request, or ""
}

func newIssuer(t *testing.T, check func(r *http.Request, form []byte) string) *issuer {
	t.Helper()
	s := &issuer{life: 3600, check: check}
	s.refuse.Store("")
	token := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if s.release != nil {
			<-s.release
		}
		n := s.issued.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if s.status != 0 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(s.status)
			fmt.Fprint(w, s.answer)
			return
		}
		if s.answer != "" {
			fmt.Fprint(w, s.answer)
			return
		}
		if fault := s.check(r, body); fault != "" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, fault)
			t.Log(fault)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/app/") {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"ghs_%d","expires_at":%q}`, n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			return
		}
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":%d}`, n, s.life)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", token)
	mux.HandleFunc("POST /app/installations/42/access_tokens", token)
	mux.HandleFunc("/api", func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		if got == "" || got == "Bearer "+s.refuse.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, got)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func rsaKey(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func oauthCheck(r *http.Request, form []byte) string {
	id, secret, ok := r.BasicAuth()
	if !ok || id != "client%3Aone" || secret != "s%26cret" {
		return "wrong client " + id
	}
	if string(form) != "audience=api&grant_type=client_credentials&scope=read+write" {
		return "wrong form " + string(form)
	}
	return ""
}

func TestOAuth2(t *testing.T) {
	s := newIssuer(t, oauthCheck)
	auth := &manifestv1.Auth{Type: "oauth2", Secret: "client", ClientID: "${config.client}", TokenURL: "${config.issuer}", Scopes: []string{"read", "write"}, Audience: "api"}
	config := fmt.Sprintf(`{"client":"client:one","issuer":%q}`, s.URL+"/token")
	var now atomic.Int64
	now.Store(time.Now().Unix())
	h := NewHTTP(HTTPSettings{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	ask := func(t *testing.T, want string) {
		t.Helper()
		out, err := get(t, h, session(config, map[string]string{"client": "s&cret"}, grantOf(auth, s.URL)), s.URL+"/api")
		if err != nil || string(out.Body) != want {
			t.Fatalf("got %+v, %v, want %q", out, err, want)
		}
	}
	ask(t, "Bearer t1")
	ask(t, "Bearer t1") // remembered
	now.Add(3600 - 30)  // before its end
	ask(t, "Bearer t2")
	s.refuse.Store("t2") // taken back: once more with a new one
	ask(t, "Bearer t3")
	s.status, s.answer = 503, "" // renewal fails before the end: the old one serves
	now.Add(3600 - 30)
	ask(t, "Bearer t3")
	now.Add(60)
	_, err := get(t, h, session(config, map[string]string{"client": "s&cret"}, grantOf(auth, s.URL)), s.URL+"/api")
	if host.CodeOf(err) != host.CodeRateLimited || host.AsError(err).RetryAfter != 7*time.Second {
		t.Errorf("after its end: %v", err)
	}
}

func TestOAuth2Failures(t *testing.T) {
	elsewhere := newIssuer(t, oauthCheck)
	for name, c := range map[string]struct {
		status int
		answer string
		config string
		code   host.Code
		says   string
	}{
		"Refused":       {status: 400, answer: `{"error":"invalid_client","error_description":"s&cret is wrong"}`, code: host.CodeUnauthorised, says: "invalid_client"},
		"Forbidden":     {status: 403, answer: `<s&cret>`, code: host.CodeUnauthorised, says: "status 403"},
		"Busy":          {status: 429, answer: ``, code: host.CodeRateLimited},
		"Broken":        {status: 500, answer: `s&cret`, code: host.CodeUpstream},
		"Redirected":    {status: 302, answer: ``, code: host.CodeUpstream},
		"NotJSON":       {answer: `s&cret`, code: host.CodeUpstream},
		"NoToken":       {answer: `{}`, code: host.CodeUpstream},
		"BrokenToken":   {answer: `{"access_token":"a\r\nX-Evil: 1","token_type":"bearer"}`, code: host.CodeUpstream},
		"OtherType":     {answer: `{"access_token":"a","token_type":"mac"}`, code: host.CodeUpstream},
		"Huge":          {answer: `{"access_token":"` + strings.Repeat("a", tokenBody) + `"}`, code: host.CodeUpstream, says: "more than"},
		"NotGranted":    {config: fmt.Sprintf(`{"client":"x","issuer":%q}`, elsewhere.URL+"/token"), code: host.CodeNotGranted, says: "access tokens"},
		"NotConfigured": {config: `{"client":"x"}`, code: host.CodePluginNotReady, says: "token URL"},
		"NotAnAddress":  {config: `{"client":"x","issuer":"ftp://x/"}`, code: host.CodePluginNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			s := newIssuer(t, oauthCheck)
			s.status, s.answer = c.status, c.answer
			if c.config == "" {
				c.config = fmt.Sprintf(`{"client":"x","issuer":%q}`, s.URL+"/token")
			}
			auth := &manifestv1.Auth{Type: "oauth2", Secret: "client", ClientID: "${config.client}", TokenURL: "${config.issuer}", Style: "body"}
			h := NewHTTP(HTTPSettings{})
			ask := func() error {
				_, err := get(t, h, session(c.config, map[string]string{"client": "s&cret"}, grantOf(auth, s.URL)), s.URL+"/api")
				return err
			}
			err := ask()
			if host.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s&cret") {
				t.Errorf("got %v (%s)", err, host.CodeOf(err))
			}
			before := s.issued.Load()
			if err := ask(); host.CodeOf(err) != c.code || s.issued.Load() != before {
				t.Errorf("asked again at once: %v, %d more", err, s.issued.Load()-before)
			}
		})
	}
	if elsewhere.issued.Load() != 0 {
		t.Error("an origin that is not granted was asked for a token")
	}
}

func TestOneFetchForMany(t *testing.T) {
	s := newIssuer(t, func(*http.Request, []byte) string { return "" })
	s.release = make(chan struct{})
	auth := &manifestv1.Auth{Type: "oauth2", Secret: "client", ClientID: "x", TokenURL: s.URL + "/token"}
	h := NewHTTP(HTTPSettings{})
	// One gives up while it waits, and takes the token from nobody.
	gone, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = gone
			}
			raw, _ := json.Marshal(httpv1.Request{URL: s.URL + "/api"})
			_, err := h.Serve(ctx, session(`{}`, map[string]string{"client": "x"}, grantOf(auth, s.URL)), pluginv1.HostCall{Method: httpv1.MethodDo, Body: raw})
			if err != nil && i != 0 {
				t.Error(err)
			}
		})
	}
	cancel()
	close(s.release)
	wait.Wait()
	if n := s.issued.Load(); n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
}

func TestGoogle(t *testing.T) {
	key, private := rsaKey(t)
	s := newIssuer(t, nil)
	s.check = func(_ *http.Request, form []byte) string {
		assertion, ok := strings.CutPrefix(string(form), "assertion=")
		assertion, grant, _ := strings.Cut(assertion, "&")
		if !ok || grant != "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" {
			return "wrong form"
		}
		claims := jwt.MapClaims{}
		token, err := jwt.ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(s.URL+"/token"), jwt.WithIssuer("robot@acme.test"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil || token.Header["kid"] != "k1" || claims["scope"] != "https://scope.test/a https://scope.test/b" {
			return fmt.Sprint(err, token.Header, claims)
		}
		return ""
	}
	file, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": "robot@acme.test", "private_key_id": "k1", "private_key": private, "token_uri": s.URL + "/token"})
	auth := &manifestv1.Auth{Type: "google", Secret: "key", Scopes: []string{"https://scope.test/a", "https://scope.test/b"}}
	h := NewHTTP(HTTPSettings{})
	for range 2 {
		out, err := get(t, h, session(`{}`, map[string]string{"key": string(file)}, grantOf(auth, s.URL)), s.URL+"/api")
		if err != nil || string(out.Body) != "Bearer t1" {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	for name, secret := range map[string]string{"NotJSON": private, "NoKey": `{"type":"service_account","client_email":"x","private_key":"hunter2"}`, "OtherKind": `{"type":"authorized_user"}`} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, NewHTTP(HTTPSettings{}), session(`{}`, map[string]string{"key": secret}, grantOf(auth, s.URL)), s.URL+"/api")
			if host.CodeOf(err) != host.CodePluginNotReady || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}

func TestGitHubApp(t *testing.T) {
	key, private := rsaKey(t)
	s := newIssuer(t, func(r *http.Request, _ []byte) string {
		signed, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(signed, claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("7"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil {
			return err.Error()
		}
		if claims["exp"].(float64)-claims["iat"].(float64) > 600 {
			return "GitHub takes ten minutes at most"
		}
		return ""
	})
	auth := &manifestv1.Auth{Type: "github-app", Secret: "key", AppID: "${config.app}", InstallationID: "${config.installation}", APIURL: s.URL + "/"}
	h := NewHTTP(HTTPSettings{})
	secrets := map[string]string{"key": private}
	for range 2 {
		out, err := get(t, h, session(`{"app":"7","installation":"42"}`, secrets, grantOf(auth, s.URL)), s.URL+"/api")
		if err != nil || string(out.Body) != "Bearer ghs_1" {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	for name, c := range map[string]struct {
		config, secret string
		code           host.Code
	}{
		"OtherKey":      {`{"app":"7","installation":"42"}`, func() string { _, p := rsaKey(t); return p }(), host.CodeUnauthorised},
		"NotAKey":       {`{"app":"7","installation":"42"}`, "hunter2", host.CodePluginNotReady},
		"PathInTheID":   {`{"app":"7","installation":"../../users"}`, private, host.CodePluginNotReady},
		"NotConfigured": {`{"app":"7"}`, private, host.CodePluginNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, NewHTTP(HTTPSettings{}), session(c.config, map[string]string{"key": c.secret}, grantOf(auth, s.URL)), s.URL+"/api")
			if host.CodeOf(err) != c.code || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v (%s)", err, host.CodeOf(err))
			}
		})
	}
}

func TestAWS(t *testing.T) {
	const id, secret = "AKID", "topsecret"
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || time.Since(at).Abs() > 5*time.Minute {
			t.Errorf("date %q", r.Header.Get("X-Amz-Date"))
		}
		again, _ := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.RequestURI, strings.NewReader(string(body)))
		for _, name := range strings.Split(strings.SplitN(strings.SplitN(r.Header.Get("Authorization"), "SignedHeaders=", 2)[1], ",", 2)[0], ";") {
			if name != "host" && name != "content-length" {
				again.Header[http.CanonicalHeaderKey(name)] = r.Header[http.CanonicalHeaderKey(name)]
			}
		}
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, again, hex.EncodeToString(sum[:]), "ce", "eu-central-1", at); err != nil {
			t.Error(err)
		}
		if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer up.Close()
	auth := &manifestv1.Auth{Type: "aws", Secret: "key", AccessKeyID: id, Service: "ce", Region: "${config.region}"}
	ask := func(secret, region string) int {
		in := httpv1.Request{Method: "POST", URL: up.URL + "/a%20b/?z=1&a=%2F", Body: []byte(`{"TimePeriod":{}}`), Header: map[string][]string{
			"X-Amz-Target": {"AWSInsightsIndexService.GetCostAndUsage"}, "Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Date": {"20010101T000000Z"},
		}}
		out, err := send(t, NewHTTP(HTTPSettings{}), session(fmt.Sprintf(`{"region":%q}`, region), map[string]string{"key": secret}, grantOf(auth, up.URL)), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.Status
	}
	if ask(secret, "eu-central-1") != 200 {
		t.Error("the signature is refused")
	}
	if ask("other", "eu-central-1") != 403 || ask(secret, "us-east-1") != 403 {
		t.Error("a wrong signature is accepted")
	}
}

func TestTokensStayAtTheirOrigin(t *testing.T) {
	s := newIssuer(t, func(*http.Request, []byte) string { return "" })
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.Header.Get("Authorization")) }))
	defer other.Close()
	from := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			t.Error("the request has no token")
		}
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer from.Close()
	for _, auth := range []*manifestv1.Auth{
		{Type: "oauth2", Secret: "k", ClientID: "x", TokenURL: s.URL + "/token"},
		{Type: "aws", Secret: "k", AccessKeyID: "x", Service: "ce", Region: "r"},
	} {
		if _, err := get(t, NewHTTP(HTTPSettings{}), session(`{}`, map[string]string{"k": "v"}, grantOf(auth, from.URL, s.URL, other.URL)), from.URL); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[0] != "" || seen[1] != "" {
		t.Errorf("%q", seen)
	}
}
