package api

import (
	"errors"
	"net/http"

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
	_, path := operationOf(r)
	control := http.NewResponseController(w)
	if a.streamed(r) {
		// Otherwise the first byte of the response would wait for the last of
		// the request. HTTP/2 does so anyway.
		_ = control.EnableFullDuplex()
		defer drain(r.Body, control)
	}
	res, err := a.s.Operations.Serve(r.Context(), caller(r), short, r.Method, path, extension.RouteRequest{
		Query: r.URL.Query(), Header: r.Header, ContentType: r.Header.Get("Content-Type"),
		Source: source{r.Body, control}, Reply: reply{w, control},
	})
	switch {
	case errors.Is(err, extension.ErrBrokenOff):
		a.s.Log.WarnContext(r.Context(), "a plugin broke its streamed response off", "plugin", short, "error", err)
		panic(http.ErrAbortHandler) // the client must not take half a body for a whole one
	case err != nil:
		Fail(w, r, err)
		return
	case res.Streamed:
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
