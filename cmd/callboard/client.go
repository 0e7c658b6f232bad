package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

const (
	defaultServer = "http://127.0.0.1:8080"
	// maxAnswer bounds what the client reads of one answer.
	maxAnswer = 64 << 20
	// answerWithin bounds one request: an upload with its checks is the longest.
	answerWithin = 3 * time.Minute
)

// client talks to a server's API as the owner of a token.
type client struct {
	base          *url.URL
	token, tenant string
	http          *http.Client
}

// adminCommands are the commands that talk to a server.
func adminCommands() []*cobra.Command {
	return []*cobra.Command{newCatalogCommand(), newAPICommand()}
}

// addServerFlags adds the flags of every command that talks to a server.
func addServerFlags(cmd *cobra.Command) {
	cmd.Flags().String("server", "", "URL of the server (env CALLBOARD_SERVER; default "+defaultServer+")")
	cmd.Flags().String("tenant", "", "the tenant's slug, where token and host name do not say it (env CALLBOARD_TENANT)")
}

// serverCommand returns a command that talks to a server and prints.
func serverCommand(use, short string, args cobra.PositionalArgs, run func(context.Context, *cobra.Command, []string, *client) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		if _, err := outputOf(cmd); err != nil {
			return err
		}
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cmd, args, c)
	}}
	addServerFlags(cmd)
	addOutputFlag(cmd)
	return cmd
}

// newClient reads flags and environment.
func newClient(cmd *cobra.Command) (*client, error) {
	server := flagOrEnv(cmd, "server", "CALLBOARD_SERVER")
	if server == "" {
		server = defaultServer
	}
	base, err := url.Parse(strings.TrimRight(server, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usageError{fmt.Errorf("--server %q is not an http or https URL, for example %s", server, defaultServer)}
	}
	return &client{base: base, token: os.Getenv("CALLBOARD_TOKEN"), tenant: flagOrEnv(cmd, "tenant", "CALLBOARD_TENANT"),
		http: &http.Client{Timeout: answerWithin, CheckRedirect: sameHost}}, nil
}

// sameHost follows redirects within one host only: a token goes nowhere else.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 || req.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

func flagOrEnv(cmd *cobra.Command, flag, env string) string {
	if f := cmd.Flags().Lookup(flag); f != nil && f.Changed {
		return f.Value.String()
	}
	return os.Getenv(env)
}

// request is one request of the client.
type request struct {
	method, path string
	query        url.Values
	contentType  string
	body         []byte
	header       map[string]string
}

// response is an answer that is not a problem.
type response struct {
	status      int
	contentType string
	body        []byte
}

// send sends r and returns the answer; a problem document becomes its error.
func (c *client) send(ctx context.Context, r request) (*response, error) {
	u := *c.base
	u.Path, u.RawPath = "", ""
	target := strings.TrimRight(c.base.EscapedPath(), "/") + r.path
	full, err := url.Parse(u.String() + target)
	if err != nil {
		return nil, fmt.Errorf("making the request's URL: %w", err)
	}
	full.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, full.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "callboard/"+host.Version)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.tenant != "" {
		req.Header.Set("Callboard-Tenant", c.tenant)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, c.unreachable(err)
	}
	out := &response{status: res.StatusCode, contentType: res.Header.Get("Content-Type"), body: body}
	if res.StatusCode >= 300 {
		return nil, c.problem(res, body)
	}
	return out, nil
}

// unreachable says that no answer came, and what to check.
func (c *client) unreachable(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return host.Errorf(host.CodeUnavailable, "No answer from %s: %w", c.base, err).
		WithHint("Is the server running? Name another one with --server or CALLBOARD_SERVER.")
}

// problem reads what the server says went wrong, in either of its forms.
func (c *client) problem(res *http.Response, body []byte) error {
	var p struct {
		Type   string            `json:"type"`
		Title  string            `json:"title"`
		Detail string            `json:"detail"`
		Hint   string            `json:"hint"`
		Where  string            `json:"where"`
		Trace  string            `json:"traceId"`
		Errors []host.FieldError `json:"errors"`
		Error  struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if !strings.HasSuffix(mediaType, "json") || json.Unmarshal(body, &p) != nil || p.Type == "" && p.Error.Message == "" {
		return host.Errorf(host.CodeUpstream, "%s answered %s, which is not an answer of Callboard.", c.base, res.Status).
			WithHint("Check --server: it names the portal's address, without a path.")
	}
	e := &host.Error{Code: host.Code(strings.TrimPrefix(p.Type, "/problems/")), Message: p.Detail, Hint: p.Hint, Where: p.Where, Fields: p.Errors}
	if e.Message == "" {
		e.Message = p.Title + p.Error.Message
	}
	if e.Code == host.CodeUnauthenticated && c.token == "" {
		e.Hint = "Set CALLBOARD_TOKEN; an operator makes a token with: callboard token create --tenant T --role admin"
	}
	if e.Code == host.CodeInternal && p.Trace != "" {
		e.Hint = strings.TrimSpace(e.Hint + " Trace id: " + p.Trace)
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
		e.Hint = strings.TrimSpace(fmt.Sprintf("%s Try again in %s.", e.Hint, e.RetryAfter))
	}
	return e
}

// get reads path as JSON into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, request{method: http.MethodGet, path: path, query: query}, nil, out)
}

// do sends in as JSON, where there is any, and reads the answer into out,
// where one is wanted.
func (c *client) do(ctx context.Context, r request, in, out any) error {
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("writing the request: %w", err)
		}
		r.body, r.contentType = raw, "application/json"
	}
	res, err := c.send(ctx, r)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(res.body, out); err != nil {
		return host.Errorf(host.CodeUpstream, "%s answered something that is not JSON.", c.base).
			WithHint("Check --server: it names the portal's address.")
	}
	return nil
}
