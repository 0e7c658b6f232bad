package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api/replay"
)

// IdempotencyHeader names one unsafe request, so that a repetition is answered
// and not carried out again. Keys belong to one principal of one tenant and
// are remembered for a day.
const IdempotencyHeader = "Idempotency-Key"

// replayedHeader marks an answer from memory.
const replayedHeader = "Idempotent-Replayed"

const (
	maxKeyBytes    = 255
	maxAnswerBytes = 256 << 10
	// settleWithin bounds the storing of an answer, also where the client is gone.
	settleWithin = 10 * time.Second
)

// once carries out next for the first request with key, and answers the others
// as the first was answered.
func (a *API) once(w http.ResponseWriter, r *http.Request, c host.Caller, key string, next http.Handler) {
	if len(key) > maxKeyBytes {
		Fail(w, r, host.Errorf(host.CodeInvalid, "The %s has %d bytes, more than %d.", IdempotencyHeader, len(key), maxKeyBytes))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		Fail(w, r, err)
		return
	}
	stored, err := a.s.Replays.Begin(r.Context(), c, key, fingerprint(r, body))
	if err != nil {
		Fail(w, r, err)
		return
	}
	if stored != nil {
		answerAgain(w, r, stored)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	out := &copier{ResponseWriter: w}
	settled := false
	settle := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleWithin)
		defer cancel()
		settled = true
		if out.repeatable() {
			err = a.s.Replays.Finish(ctx, c, key, out.answer())
		} else {
			err = a.s.Replays.Abandon(ctx, c, key)
		}
		if err != nil {
			a.s.Log.WarnContext(ctx, "the answer of a request with an Idempotency-Key could not be remembered", "error", err)
		}
	}
	defer func() {
		if !settled { // a panic passes through: the key is given back
			out.status = http.StatusInternalServerError
			settle()
		}
	}()
	next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), secretKey{}, &out.secret)))
	settle()
}

// fingerprint tells two requests with one key apart.
func fingerprint(r *http.Request, body []byte) string {
	sum := sha256.New()
	for _, part := range []string{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type")} {
		_, _ = io.WriteString(sum, part+"\n")
	}
	_, _ = sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}

// answerAgain answers what was answered before.
func answerAgain(w http.ResponseWriter, r *http.Request, stored *replay.Answer) {
	w.Header().Set(replayedHeader, "true")
	if !stored.Kept {
		Fail(w, r, host.Errorf(host.CodeConflict, "This request was carried out before; its answer (HTTP %d) was not kept.", stored.Status).
			WithHint("It held a secret or was too large. Read the thing itself, or send a new %s.", IdempotencyHeader))
		return
	}
	for _, name := range keptHeaders {
		if v := stored.Header[name]; v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(stored.Status)
	_, _ = w.Write(stored.Body)
}

// keptHeaders are the headers of an answer that are remembered.
var keptHeaders = [...]string{"Content-Type", "Location", "Etag"}

type secretKey struct{}

// holdsSecret says that the answer to the request of ctx will hold a secret
// that is shown once, so that no copy of it is kept.
func holdsSecret(ctx context.Context) {
	if mark, ok := ctx.Value(secretKey{}).(*bool); ok {
		*mark = true
	}
}

// copier copies an answer while it is sent.
type copier struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	secret bool
	long   bool
}

// WriteHeader notes the status.
func (c *copier) WriteHeader(status int) {
	if c.status == 0 && status >= 200 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write keeps a copy, up to a size.
func (c *copier) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	if c.body.Len()+len(p) > maxAnswerBytes {
		c.long = true
	}
	if !c.secret && !c.long {
		c.body.Write(p)
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// repeatable reports whether the answer stands: a failure of the host's or
// "come back later" may be tried again with the same key.
func (c *copier) repeatable() bool {
	return c.status < 500 && c.status != http.StatusTooManyRequests && c.status != http.StatusRequestTimeout
}

// answer is what is remembered.
func (c *copier) answer() replay.Answer {
	status := c.status
	if status == 0 {
		status = http.StatusOK
	}
	out := replay.Answer{Status: status, Kept: !c.secret && !c.long, Header: map[string]string{}}
	if out.Kept {
		out.Body = bytes.Clone(c.body.Bytes())
		for _, name := range keptHeaders {
			if v := c.Header().Get(name); v != "" {
				out.Header[name] = v
			}
		}
	}
	return out
}
