package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/plugin/stream"
)

// operationOf returns which plugin a request below pluginPrefix is for, and the
// escaped rest of its path.
func operationOf(r *http.Request) (short, path string) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), pluginPrefix)
	if !ok {
		return "", ""
	}
	short, path, _ = strings.Cut(rest, "/")
	return short, "/" + path
}

// streamed reports whether a request's body goes to a plugin in pieces. Such a
// request honours no Idempotency-Key: to compare two of them the whole body
// would have to be kept.
func (a *API) streamed(r *http.Request) bool {
	short, path := operationOf(r)
	return short != "" && !safe(r.Method) && a.s.Operations.Streams(caller(r), short, r.Method, path)
}

// source is a request's body of which the reading can be ended from outside.
type source struct {
	io.Reader
	control *http.ResponseController
}

var _ stream.Aborter = source{}

// Abort ends a Read that waits for the client.
func (s source) Abort() { _ = s.control.SetReadDeadline(time.Unix(1, 0)) } // best effort: not every connection can

// drainBytes and drainTime bound what is read of a body that a plugin left.
const (
	drainBytes = 256 << 10
	drainTime  = time.Second
)

// drain reads what a plugin left of a body, as net/http does for other requests
// before it answers. What is more than a little costs the connection.
func drain(body io.Reader, control *http.ResponseController) {
	_ = control.SetReadDeadline(time.Now().Add(drainTime))
	if _, err := io.CopyN(io.Discard, body, drainBytes); !errors.Is(err, io.EOF) {
		_ = control.SetReadDeadline(time.Unix(1, 0))
		return
	}
	_ = control.SetReadDeadline(time.Time{}) // the server sets that of the next request
}

// reply sends a streamed response.
type reply struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

var (
	_ extension.Reply = reply{}
	_ stream.Aborter  = reply{}
)

// Begin sends the head.
func (o reply) Begin(status int, header http.Header) error {
	for name, values := range header {
		o.w.Header()[name] = values
	}
	o.w.WriteHeader(status)
	return nil
}

// Write sends bytes at once: who streams wants them to arrive.
func (o reply) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err == nil {
		_ = o.control.Flush() // a writer that cannot flush sends when it is full
	}
	return n, err
}

// Abort ends a Write that waits for the client.
func (o reply) Abort() { _ = o.control.SetWriteDeadline(time.Unix(1, 0)) } // best effort: not every connection can
