package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// authenticator puts the credential of a grant on a request. The value is the
// secret's; it and what is made of it must not reach the guest.
type authenticator func(e *exchange, ctx context.Context, req *http.Request, body []byte, auth *manifestv1.Auth, value string) error

// authenticators are all kinds of authentication by their type in manifests.
var authenticators = map[string]authenticator{
	"bearer": func(_ *exchange, _ context.Context, req *http.Request, _ []byte, _ *manifestv1.Auth, value string) error {
		req.Header.Set("Authorization", "Bearer "+value)
		return nil
	},
	"basic": func(e *exchange, _ context.Context, req *http.Request, _ []byte, auth *manifestv1.Auth, value string) error {
		user := ""
		if names := lookup(auth.Username, e.config); len(names) > 0 {
			user = names[0]
		}
		req.SetBasicAuth(user, value)
		return nil
	},
	"header": func(_ *exchange, _ context.Context, req *http.Request, _ []byte, auth *manifestv1.Auth, value string) error {
		req.Header.Set(auth.Name, value)
		return nil
	},
	"query": func(_ *exchange, _ context.Context, req *http.Request, _ []byte, auth *manifestv1.Auth, value string) error {
		q := req.URL.Query()
		q.Set(auth.Name, value)
		req.URL.RawQuery = q.Encode()
		return nil
	},
	"oauth2":     bearerOf((*exchange).oauth2Token),
	"google":     bearerOf((*exchange).googleToken),
	"github-app": bearerOf((*exchange).githubToken),
	"aws":        (*exchange).signAWS,
}

// lookup reads a value, or what it refers to in the configuration.
func lookup(value string, config any) []string { return manifest.Lookup(value, config) }

// bearerOf fetches an access token, or takes the one that is known, and sends
// it as a bearer token.
func bearerOf(fetch func(e *exchange, ctx context.Context, auth *manifestv1.Auth, value string) (string, time.Duration, error)) authenticator {
	return func(e *exchange, ctx context.Context, req *http.Request, _ []byte, auth *manifestv1.Auth, value string) error {
		key := e.tokenKey(auth)
		token, fetched, err := e.http.tokens.get(ctx, key, func(ctx context.Context) (string, time.Duration, error) {
			return fetch(e, ctx, auth, value)
		})
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		if !fetched {
			e.known = func() { e.http.tokens.drop(key, token) }
		}
		return nil
	}
}

// oauth2Token fetches a token by client credentials (RFC 6749, 4.4).
func (e *exchange) oauth2Token(ctx context.Context, auth *manifestv1.Auth, secret string) (string, time.Duration, error) {
	id, err := e.setting("client id", auth.ClientID)
	if err != nil {
		return "", 0, err
	}
	address, err := e.setting("token URL", auth.TokenURL)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(auth.Scopes) > 0 {
		form.Set("scope", strings.Join(auth.Scopes, " "))
	}
	if auth.Audience != "" {
		form.Set("audience", auth.Audience)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if auth.Style == "body" {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	} else {
		// RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
		r := http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return e.grantedToken(ctx, address, header, form)
}

// grantedToken posts a form to a token endpoint and reads what RFC 6749, 5.1
// says that it answers.
func (e *exchange) grantedToken(ctx context.Context, address string, header http.Header, form url.Values) (string, time.Duration, error) {
	u, err := tokenURL(address)
	if err != nil {
		return "", 0, err
	}
	raw, err := e.askForToken(ctx, http.MethodPost, u, header, form.Encode())
	if err != nil {
		return "", 0, err
	}
	var out struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || !usableToken(out.AccessToken) || out.TokenType != "" && !strings.EqualFold(out.TokenType, "bearer") {
		return "", 0, host.Errorf(host.CodeUpstream, "the token endpoint of %s answers without a bearer token", originKey(u))
	}
	life := tokenLife
	if seconds, err := out.ExpiresIn.Int64(); err == nil && seconds > 0 {
		life = time.Duration(min(seconds, 86400)) * time.Second
	}
	return out.AccessToken, life, nil
}

// usableToken reports whether a token can stand in a header (RFC 6750, 2.1,
// widened to all that is visible).
func usableToken(s string) bool {
	return s != "" && len(s) <= 16<<10 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// tokenURL reads the address of a token endpoint.
func tokenURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, host.Errorf(host.CodePluginNotReady, "the token URL of the plugin's authentication cannot be used").
			WithHint("an admin can set it in the plugin's settings: https://host/path")
	}
	u.Fragment = ""
	return u, nil
}

// badKey says that a secret is not the key that it should be, and nothing of
// what it is.
func badKey(auth *manifestv1.Auth, what string) error {
	return host.Errorf(host.CodePluginNotReady, "the secret %q is not %s", auth.Secret, what).
		WithHint("an admin can set it again in the plugin's settings: the whole file, as it was downloaded")
}

// googleToken fetches a token for a service account by a signed JWT (RFC 7523,
// 2.1, as https://developers.google.com/identity/protocols/oauth2/service-account says).
func (e *exchange) googleToken(ctx context.Context, auth *manifestv1.Auth, secret string) (string, time.Duration, error) {
	var account struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		TokenURI string `json:"token_uri"`
	}
	const what = "the key file of a Google service account"
	if json.Unmarshal([]byte(secret), &account) != nil || account.Type != "service_account" || account.Email == "" {
		return "", 0, badKey(auth, what)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(account.Key))
	if err != nil {
		return "", 0, badKey(auth, what)
	}
	if account.TokenURI == "" {
		account.TokenURI = manifest.GoogleTokenURL
	}
	now := e.http.settings.Now()
	claims := jwt.MapClaims{
		"iss": account.Email, "scope": strings.Join(auth.Scopes, " "), "aud": account.TokenURI,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	assertion := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	assertion.Header["kid"] = account.KeyID
	signed, err := assertion.SignedString(key)
	if err != nil {
		return "", 0, badKey(auth, what)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	return e.grantedToken(ctx, account.TokenURI, header, form)
}

// githubID is the id of an app or an installation.
var githubID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// githubToken fetches the token of an installation for a JWT of the app, as
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app says.
func (e *exchange) githubToken(ctx context.Context, auth *manifestv1.Auth, secret string) (string, time.Duration, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(secret))
	if err != nil {
		return "", 0, badKey(auth, "the private key of a GitHub App")
	}
	app, err := e.setting("app id", auth.AppID)
	if err != nil {
		return "", 0, err
	}
	installation, err := e.setting("installation id", auth.InstallationID)
	if err != nil {
		return "", 0, err
	}
	if !githubID.MatchString(app) || !githubID.MatchString(installation) {
		return "", 0, host.Errorf(host.CodePluginNotReady, "the app id or the installation id of the plugin's authentication cannot be used").
			WithHint("an admin can set them in the plugin's settings: the numbers that GitHub shows")
	}
	api := manifest.GitHubAPI
	if auth.APIURL != "" {
		if api, err = e.setting("API URL", auth.APIURL); err != nil {
			return "", 0, err
		}
	}
	u, err := tokenURL(strings.TrimRight(api, "/") + "/app/installations/" + installation + "/access_tokens")
	if err != nil {
		return "", 0, err
	}
	now := e.http.settings.Now()
	// A minute back and less than the ten that are allowed, for clocks differ.
	claims := jwt.MapClaims{"iss": app, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		return "", 0, badKey(auth, "the private key of a GitHub App")
	}
	header := http.Header{"Authorization": {"Bearer " + signed}, "Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}}
	raw, err := e.askForToken(ctx, http.MethodPost, u, header, "")
	if err != nil {
		return "", 0, err
	}
	var out struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || !usableToken(out.Token) || !out.ExpiresAt.After(now) {
		return "", 0, host.Errorf(host.CodeUpstream, "%s answers without an installation token", originKey(u))
	}
	return out.Token, min(out.ExpiresAt.Sub(now), time.Hour), nil
}

// signAWS signs with AWS Signature Version 4. The guest's own headers of that
// protocol are dropped: what is signed is the host's to say.
func (e *exchange) signAWS(ctx context.Context, req *http.Request, body []byte, auth *manifestv1.Auth, secret string) error {
	id, err := e.setting("access key id", auth.AccessKeyID)
	if err != nil {
		return err
	}
	service, err := e.setting("service", auth.Service)
	if err != nil {
		return err
	}
	region, err := e.setting("region", auth.Region)
	if err != nil {
		return err
	}
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"} {
		req.Header.Del(name)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	options := func(*v4.SignerOptions) {}
	if service == "s3" {
		// S3 alone takes paths as they are, and wants the body's hash as a header.
		req.Header.Set("X-Amz-Content-Sha256", hash)
		options = func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	}
	credentials := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hash, service, region, e.http.settings.Now(), options); err != nil {
		return host.Errorf(host.CodePluginNotReady, "the request cannot be signed for AWS").WithHint("check region and service in the plugin's settings")
	}
	return nil
}
