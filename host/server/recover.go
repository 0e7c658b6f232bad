package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Recover is the ring that turns a panic of next into one log line with its
// stack and one answer: fail writes it, unless an answer is under way already;
// then the connection is cut, so that nobody takes half an answer for a whole.
func Recover(log *slog.Logger, fail func(http.ResponseWriter, *http.Request, error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &begun{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			log.ErrorContext(r.Context(), "panic while serving a request",
				"panic", fmt.Sprint(v), "method", r.Method, "path", r.URL.Path, "stack", string(debug.Stack()))
			if out.yes {
				panic(http.ErrAbortHandler)
			}
			fail(w, r, fmt.Errorf("panic: %v", v))
		}()
		next.ServeHTTP(out, r)
	})
}

// begun remembers whether an answer has begun.
type begun struct {
	http.ResponseWriter
	yes bool
}

// WriteHeader notes that the answer has begun.
func (w *begun) WriteHeader(status int) {
	w.yes = w.yes || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

// Write notes that the answer has begun.
func (w *begun) Write(p []byte) (int, error) {
	w.yes = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *begun) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is buffered, for streams.
func (w *begun) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
