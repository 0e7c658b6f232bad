package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	streamv1 "github.com/callboard-dev/callboard/schemas/service/stream/v1"
)

// mover is the manifest of a plugin whose operations stream.
const mover = `name: acme/mover
version: 1.0.0
title: Mover
description: Moves bytes.
callboard: ">=0.1.0"
runtime: wasm
capabilities:
  - type: route/v1
    openapi:
      paths:
        /echo:
          post:
            operationId: echo
            x-callboard-stream: both
            requestBody: {content: {text/*: {}}}
            responses:
              "200": {description: The same in capitals., content: {text/plain: {}, application/json: {schema: {type: object}}}}
        /export:
          get:
            operationId: export
            x-callboard-stream: response
            responses: {"200": {description: Rows., content: {text/csv: {}}}}
`

// guest is what a guest function of these tests works with.
type guest struct {
	ctx context.Context
	w   plugin.Work
	t   *testing.T
}

func (g guest) ask(method string, in any, data []byte) pluginv1.Result {
	body, err := json.Marshal(in)
	if err != nil {
		g.t.Error(err)
	}
	return g.w.World.Host(g.ctx, pluginv1.HostCall{Service: streamv1.Name, Method: method, Body: body, Data: data})
}

// echo writes what it reads, in capitals, until fail says otherwise.
func (g guest) echo(fail func(piece []byte) bool) pluginv1.Result {
	for {
		got := g.ask(streamv1.MethodRead, streamv1.ReadRequest{Handle: streamv1.HandleRequest, Max: streamv1.MaxChunk}, nil)
		if got.Error != nil {
			return got
		}
		if len(got.Data) > 0 {
			if wrote := g.ask(streamv1.MethodWrite, streamv1.WriteRequest{Handle: streamv1.HandleResponse}, bytes.ToUpper(got.Data)); wrote.Error != nil {
				return wrote
			}
		}
		if fail(got.Data) {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInvalid, Message: "I cannot go on"}}
		}
		var read streamv1.ReadResponse
		if err := json.Unmarshal(got.Body, &read); err != nil {
			g.t.Error(err)
		}
		if read.EOF {
			return pluginv1.Result{Body: json.RawMessage(`{"status":200,"streamed":true}`)}
		}
	}
}

// newMover starts a server with the plugin installed.
func newMover(t *testing.T, work func(g guest) pluginv1.Result) (*httptest.Server, person) {
	t.Helper()
	h := newHouse(t)
	p := h.admin()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "plugin.yaml"), []byte(mover), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "plugin.wasm"), []byte("\x00asm\x01\x00\x00\x00"), 0o644))
	var pack bytes.Buffer
	_, err := manifest.WritePackage(dir, &pack)
	must(t, err)
	p.want(http.StatusCreated, "POST", "/api/v1/plugins?acceptPermissions=true", "", upload(pack.Bytes()))
	h.guests.work = func(ctx context.Context, w plugin.Work) pluginv1.Result { return work(guest{ctx, w, t}) }
	server := httptest.NewServer(h.handler)
	t.Cleanup(server.Close)
	return server, p
}

func never([]byte) bool { return false }

// send sends a request with a body of unknown length.
func (p person) stream(t *testing.T, server *httptest.Server, method, path, contentType string, body io.Reader) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/plugins/mover"+path, body)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Idempotency-Key", "k")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return server.Client().Do(req)
}

func TestStreamedBodiesPassThroughInPieces(t *testing.T) {
	server, p := newMover(t, func(g guest) pluginv1.Result { return g.echo(never) })
	reader, writer := io.Pipe()
	go func() { _, _ = writer.Write([]byte("first ")) }()
	res, err := p.stream(t, server, "POST", "/echo", "text/csv; charset=utf-8", reader)
	must(t, err)
	defer res.Body.Close()
	// The first piece comes back while the request is still being sent.
	piece := make([]byte, 6)
	if _, err := io.ReadFull(res.Body, piece); err != nil || string(piece) != "FIRST " {
		t.Fatalf("the first piece is %q, %v", piece, err)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	go func() {
		_, err := writer.Write(want)
		_ = writer.CloseWithError(err)
	}()
	rest, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(rest, bytes.ToUpper(want)) {
		t.Errorf("%d bytes came back of %d, %v", len(rest), len(want), err)
	}
	for name, value := range map[string]string{"Content-Type": "text/plain", "Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"} {
		if got := res.Header.Get(name); !strings.HasPrefix(got, value) && !strings.Contains("application/json text/plain", got) {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

func TestAStreamThatFailsIsNoWholeAnswer(t *testing.T) {
	for _, c := range []struct {
		name, path, contentType string
		work                    func(g guest) pluginv1.Result
		status                  int
		broken                  bool
	}{
		{"BeforeTheFirstByte", "/echo", "text/csv", func(guest) pluginv1.Result {
			return pluginv1.Result{Error: &pluginv1.Error{Code: pluginv1.CodeInvalid, Message: "no"}}
		}, 400, false},
		{"AfterTheFirstByte", "/echo", "text/csv", func(g guest) pluginv1.Result {
			return g.echo(func(piece []byte) bool { return len(piece) > 0 })
		}, 200, true},
		{"WithoutSayingSo", "/export", "", func(g guest) pluginv1.Result {
			g.ask(streamv1.MethodWrite, streamv1.WriteRequest{Handle: streamv1.HandleResponse}, []byte("a"))
			return pluginv1.Result{Body: json.RawMessage(`{"status":200}`)}
		}, 200, true},
		{"WithAnAnswerLikeAnyOther", "/echo", "text/csv", func(guest) pluginv1.Result {
			return pluginv1.Result{Body: json.RawMessage(`{"status":200,"body":{"rows":0}}`)}
		}, 200, false},
		{"WithNothing", "/export", "", func(guest) pluginv1.Result {
			return pluginv1.Result{Body: json.RawMessage(`{"status":200,"streamed":true}`)}
		}, 200, false},
		{"OfAMediaTypeThatIsNotTaken", "/echo", "application/zip", func(guest) pluginv1.Result { return pluginv1.Result{} }, 400, false},
		{"WithAStatusThatIsNotDeclared", "/export", "", func(g guest) pluginv1.Result {
			return g.ask(streamv1.MethodBegin, streamv1.BeginRequest{Handle: streamv1.HandleResponse, Status: 201}, nil)
		}, 502, false},
		{"WithAnotherContentType", "/export", "", func(g guest) pluginv1.Result {
			return g.ask(streamv1.MethodBegin, streamv1.BeginRequest{Handle: streamv1.HandleResponse, Status: 200, ContentType: "text/html"}, nil)
		}, 502, false},
		{"WithAHeaderOfTheHosts", "/export", "", func(g guest) pluginv1.Result {
			return g.ask(streamv1.MethodBegin, streamv1.BeginRequest{Handle: streamv1.HandleResponse, Status: 200, Header: map[string]string{"Set-Cookie": "a=b"}}, nil)
		}, 502, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, p := newMover(t, c.work)
			method, body := "GET", io.Reader(nil)
			if c.path == "/echo" {
				method, body = "POST", io.MultiReader(strings.NewReader("one"), iotest{}, strings.NewReader("two"))
			}
			res, err := p.stream(t, server, method, c.path, c.contentType, body)
			must(t, err)
			defer res.Body.Close()
			_, err = io.ReadAll(res.Body)
			if res.StatusCode != c.status || errors.Is(err, io.ErrUnexpectedEOF) != c.broken {
				t.Errorf("got %d, %v", res.StatusCode, err)
			}
		})
	}
}

// iotest is a reader that gives nothing, so that what stands around it comes in
// two reads.
type iotest struct{}

func (iotest) Read([]byte) (int, error) { return 0, io.EOF }

func TestADownloadKeepsItsNameAndNothingElse(t *testing.T) {
	server, p := newMover(t, func(g guest) pluginv1.Result {
		begun := g.ask(streamv1.MethodBegin, streamv1.BeginRequest{
			Handle: streamv1.HandleResponse, Status: 200, Header: map[string]string{"Content-Disposition": `inline; filename="costs.csv"`, "X-Rows": "7"},
		}, nil)
		if begun.Error != nil {
			return begun
		}
		return pluginv1.Result{Body: json.RawMessage(`{"status":200,"streamed":true}`)}
	})
	res, err := p.stream(t, server, "GET", "/export", "", nil)
	must(t, err)
	defer res.Body.Close()
	if res.Header.Get("Content-Disposition") != "attachment; filename=costs.csv" || res.Header.Get("Content-Type") != "text/csv" || res.Header.Get("X-Rows") != "7" {
		t.Errorf("the header is %v", res.Header)
	}
}
