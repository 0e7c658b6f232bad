package api

import (
	"io"
	"net/http"
	"strings"

	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/telemetry"
)

// pluginRoute is the label of every plugin operation: which one it was is told
// by the plugin's own metrics, so that labels stay bounded.
const pluginRoute = "/api/plugins/{plugin}/{path...}"

// pluginPrefix is where plugins' operations live.
const pluginPrefix = "/api/plugins/"

// pluginOperation passes a request to the plugin's operation that matches it.
// The extension room checks rights and schemas and calls the plugin.
func (a *API) pluginOperation(w http.ResponseWriter, r *http.Request) {
	telemetry.NoteRoute(r.Context(), pluginRoute)
	short := r.PathValue("plugin")
	path := strings.TrimPrefix(r.URL.EscapedPath(), pluginPrefix)
	_, path, _ = strings.Cut(path, "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		Fail(w, r, unreadable(err))
		return
	}
	res, err := a.s.Operations.Serve(r.Context(), caller(r), short, r.Method, "/"+path, extension.RouteRequest{
		Query: r.URL.Query(), Header: r.Header, Body: body, ContentType: r.Header.Get("Content-Type"),
	})
	if err != nil {
		Fail(w, r, err)
		return
	}
	for name, value := range res.Header { // none that speaks for the portal: extension sees to that
		w.Header().Set(name, value)
	}
	if res.Status == 0 {
		res.Status = http.StatusOK
	}
	if len(res.Body) > 0 {
		w.Header().Set("Content-Type", jsonType)
	}
	w.WriteHeader(res.Status)
	_, _ = w.Write(res.Body)
}
