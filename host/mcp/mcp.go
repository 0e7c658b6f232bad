// Package mcp is the portal's face for language models: every operation of the
// tenant, the core's and its plugins', is a tool of the Model Context Protocol
// at /mcp. The tools are made from the tenant's OpenAPI document and follow it:
// a plugin that is installed or switched off adds or removes its tools, and
// clients that listen are told. A tool's call is the operation's HTTP request,
// sent to the API with the caller's own token, so that authorization,
// validation, limits and the audit record are the API's and cannot differ.
//
// Only bearer tokens are accepted: a page in a browser cannot use somebody's
// session here. The transport is Streamable HTTP of the protocol's revision
// 2025-03-26 and later.
package mcp

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/callboard-dev/callboard/host"
)

// Documents gives the OpenAPI document of the caller's tenant. The tag changes
// whenever the document does.
type Documents interface {
	Document(ctx context.Context, c host.Caller) (doc []byte, etag string, err error)
}

// Settings are what the tools are made from and go to.
type Settings struct {
	// Authenticate finds who sent a request.
	Authenticate func(r *http.Request) (host.Caller, error)
	Documents    Documents
	// API serves the operations. It must not panic: nothing is around it here.
	API http.Handler
	// Fail writes a problem document.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
	// Version is the host's.
	Version string
	// Follow is how often open sessions look for changed operations; zero
	// means a second.
	Follow time.Duration
	// Idle is how long a session lives without a request; zero means 30 minutes.
	Idle time.Duration
	Log  *slog.Logger
}

// maxMessage is the largest message of a client, in bytes. An operation's body
// is at most 1 MiB.
const maxMessage = 2 << 20

// Server is the handler of /mcp.
type Server struct {
	s    Settings
	next http.Handler

	mu    sync.Mutex
	desks map[host.TenantID]*desk
}

// desk is one tenant's set of tools.
type desk struct {
	tenant host.Tenant
	server *mcp.Server
	used   time.Time

	mu    sync.Mutex
	etag  string
	tools map[string]*tool
}

var _ http.Handler = (*Server)(nil)

// New returns the handler. Run lets open sessions hear of changes.
func New(s Settings) *Server {
	if s.Follow <= 0 {
		s.Follow = time.Second
	}
	if s.Idle <= 0 {
		s.Idle = 30 * time.Minute
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	m := &Server{s: s, desks: map[host.TenantID]*desk{}}
	m.next = auth.RequireBearerToken(verified, nil)(mcp.NewStreamableHTTPHandler(m.deskOf, &mcp.StreamableHTTPOptions{
		SessionTimeout: s.Idle, MaxRequestBodyBytes: maxMessage, Logger: s.Log,
		// The token is what protects: a browser's page has none. Proxies on
		// the same machine send other host names.
		DisableLocalhostProtection: true,
	}))
	return m
}

// visit is a request's caller and what its tools are called with.
type visit struct {
	caller host.Caller
	token  string
}

type visitKey struct{}

// ServeHTTP authenticates and passes the message to the protocol.
func (m *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := bearer(r)
	if token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="callboard"`)
		m.s.Fail(w, r, host.Errorf(host.CodeUnauthenticated, "The Model Context Protocol needs an API token.").
			WithHint("Send the header Authorization: Bearer <token>; callboard token create makes one."))
		return
	}
	c, err := m.s.Authenticate(r)
	if err != nil {
		if host.CodeOf(err) == host.CodeUnauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="callboard", error="invalid_token"`)
		}
		m.s.Fail(w, r, err)
		return
	}
	m.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, visit{c, token})))
}

// verified tells the protocol's library who was authenticated. The id binds a
// session to its principal: another one cannot go on with it.
func verified(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	v, ok := ctx.Value(visitKey{}).(visit)
	if !ok {
		return nil, auth.ErrInvalidToken
	}
	p := v.caller.Principal()
	return &auth.TokenInfo{
		UserID:     string(v.caller.TenantID()) + "/" + string(p.Kind) + "/" + p.ID,
		Expiration: time.Now().Add(time.Hour), // checked anew with every request
		Extra:      map[string]any{"visit": v},
	}, nil
}

// visitOf returns who made a request of the protocol.
func visitOf(extra *mcp.RequestExtra) (visit, bool) {
	if extra == nil || extra.TokenInfo == nil {
		return visit{}, false
	}
	v, ok := extra.TokenInfo.Extra["visit"].(visit)
	return v, ok
}

// deskOf returns the tools of the request's tenant, as they are now.
func (m *Server) deskOf(r *http.Request) *mcp.Server {
	v, ok := r.Context().Value(visitKey{}).(visit)
	if !ok {
		return nil
	}
	m.mu.Lock()
	d := m.desks[v.caller.TenantID()]
	if d == nil {
		d = &desk{tenant: v.caller.Tenant(), server: m.newServer(), tools: map[string]*tool{}}
		m.desks[v.caller.TenantID()] = d
	}
	d.used = time.Now()
	m.mu.Unlock()
	if err := m.lay(r.Context(), d); err != nil {
		m.s.Log.Error("making tools from a tenant's document", "tenant", d.tenant.Slug, "error", err)
	}
	return d.server
}

func (m *Server) newServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "callboard", Title: "Callboard", Version: m.s.Version}, &mcp.ServerOptions{
		Instructions: "Tools are the operations of a developer portal: its catalog of services and owners, and what its plugins know of them. " +
			"Start with listEntities to find an entity. Answers are JSON; lists page with the parameter cursor.",
		// No pings: a client need not keep the stream open on which they would
		// come. Sessions end when nobody asks for a while (Settings.Idle).
		Logger: m.s.Log, PageSize: 200,
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}},
	})
	s.AddReceivingMiddleware(onlyTheirs)
	return s
}

// lay brings the tools of a desk up to date with the tenant's document.
func (m *Server) lay(ctx context.Context, d *desk) error {
	doc, etag, err := m.s.Documents.Document(ctx, host.System(d.tenant, "mcp"))
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if etag == d.etag {
		return nil
	}
	fresh, err := toolsOf(doc)
	if err != nil {
		return err
	}
	var gone []string
	for name := range d.tools {
		if fresh[name] == nil {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		d.server.RemoveTools(gone...)
	}
	for name, t := range fresh {
		if old := d.tools[name]; old == nil || old.digest != t.digest {
			if err := m.add(d.server, t); err != nil {
				m.s.Log.Warn("an operation is no tool", "tenant", d.tenant.Slug, "operation", name, "error", err)
			}
		}
	}
	d.tools, d.etag = fresh, etag
	return nil
}

// Run tells open sessions of changed operations and forgets tenants whom
// nobody asked for, until ctx ends.
func (m *Server) Run(ctx context.Context) {
	tick := time.NewTicker(m.s.Follow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			m.follow(ctx, now)
		}
	}
}

func (m *Server) follow(ctx context.Context, now time.Time) {
	m.mu.Lock()
	var open []*desk
	for id, d := range m.desks {
		if len(slices.Collect(d.server.Sessions())) > 0 {
			open = append(open, d)
		} else if now.Sub(d.used) > m.s.Idle {
			delete(m.desks, id)
		}
	}
	m.mu.Unlock()
	for _, d := range open {
		if err := m.lay(ctx, d); err != nil {
			m.s.Log.Error("making tools from a tenant's document", "tenant", d.tenant.Slug, "error", err)
		}
	}
}
