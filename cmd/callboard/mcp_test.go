package main

import (
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearing sends the test's token with every request.
type bearing struct{ token string }

// RoundTrip adds the token.
func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// model connects a client of the Model Context Protocol.
func (s *served) model() *mcp.ClientSession {
	s.t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "journey", Version: "1"}, nil)
	session, err := client.Connect(s.t.Context(), &mcp.StreamableClientTransport{
		Endpoint: s.url + "/mcp", HTTPClient: &http.Client{Transport: bearing{s.token}},
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = session.Close() })
	return session
}

// hasTool reports whether the session is offered a tool.
func (s *served) hasTool(session *mcp.ClientSession, name string) bool {
	s.t.Helper()
	for tool, err := range session.Tools(s.t.Context(), nil) {
		if err != nil {
			s.t.Fatal(err)
		}
		if tool.Name == name {
			return true
		}
	}
	return false
}

// ask calls a tool and returns its text, and whether it is an error.
func (s *served) ask(session *mcp.ClientSession, name string, args map[string]any) (string, bool) {
	s.t.Helper()
	res, err := session.CallTool(s.t.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		return err.Error(), true
	}
	var text strings.Builder
	for _, c := range res.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	return text.String(), res.IsError
}
