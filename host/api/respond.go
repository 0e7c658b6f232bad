package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// jsonType is the media type of our answers.
const jsonType = "application/json"

// secure puts the headers that every answer of the API carries. Pages are not
// served here, so nothing may be loaded, framed or guessed from an answer.
func secure(h http.Header) {
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Security-Policy"] = []string{"default-src 'none'; frame-ancestors 'none'"}
	h["Referrer-Policy"] = []string{"no-referrer"}
	h["Cross-Origin-Resource-Policy"] = []string{"same-origin"}
	h["Cache-Control"] = []string{"no-store"}
	h["Vary"] = []string{"Authorization, Cookie, Callboard-Tenant"}
}

// writeJSON answers v.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}

// writeTagged answers bytes that have an entity tag: 304 where the client has
// them already. They may be kept by the client alone, and only if it asks
// again each time.
func writeTagged(w http.ResponseWriter, r *http.Request, contentType, etag string, body []byte) {
	h := w.Header()
	quoted := `"` + etag + `"`
	h["Etag"] = []string{quoted}
	h["Cache-Control"] = []string{"private, no-cache"}
	if known := r.Header.Get("If-None-Match"); known != "" && matches(known, quoted) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"] = []string{contentType}
	_, _ = w.Write(body)
}

// matches implements If-None-Match: a list of tags compared weakly, or "*".
func matches(list, etag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == etag || item == "*" {
			return true
		}
	}
	return false
}
