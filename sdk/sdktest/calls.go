package sdktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	schedulev1 "github.com/callboard-dev/callboard/schemas/capability/schedule/v1"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/view"
)

// Route calls an operation. Method, path and the defaults of query parameters
// are filled from the manifest; values are not checked against its schemas. The
// test fails where the manifest does not declare the operation or the status
// that it answers. The error is the *sdk.Error that the caller would get.
func (h *Host) Route(r route.Request) (route.Response, error) {
	h.tb.Helper()
	op, ok := h.routes[r.OperationID]
	if !ok {
		h.tb.Fatalf("sdktest: %s declares no operation %q", h.file, r.OperationID)
		return route.Response{}, nil
	}
	r.Method, r.Path, r.Query = op.method, op.path, op.withDefaults(r.Query)
	var out route.Response
	if err := h.call(routev1.Name, routev1.MethodHandle, r, &out); err != nil {
		return route.Response{}, err
	}
	if !op.declares(out.Status) {
		h.tb.Errorf("sdktest: operation %q answers %d, which its responses in %s do not declare (they declare %v)",
			r.OperationID, out.Status, h.file, op.statuses)
	}
	return out, nil
}

// withDefaults adds the defaults of query parameters that are not given.
func (o operation) withDefaults(query map[string][]string) map[string][]string {
	if len(o.defaults) == 0 {
		return query
	}
	out := maps.Clone(query)
	if out == nil {
		out = map[string][]string{}
	}
	for name, value := range o.defaults {
		if _, given := out[name]; !given {
			out[name] = []string{value}
		}
	}
	return out
}

// RouteJSON calls an operation and decodes its answer into out.
func (h *Host) RouteJSON(r route.Request, out any) error {
	h.tb.Helper()
	response, err := h.Route(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(response.Body, out); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", r.OperationID, err)
	}
	return nil
}

// View renders a view. The slot is filled from the manifest. The test fails
// where the manifest does not name the view, or the tree could not be shown.
func (h *Host) View(r view.Request) (view.Tree, error) {
	h.tb.Helper()
	declared := h.view(r.View)
	if declared == "" {
		h.tb.Fatalf("sdktest: %s names no view %q", h.file, r.View)
		return view.Tree{}, nil
	}
	if r.Slot == "" {
		r.Slot = declared
	}
	var out view.Tree
	if err := h.call(viewv1.Name, viewv1.MethodRender, r, &out); err != nil {
		return view.Tree{}, err
	}
	if err := h.checkTree(out); err != nil {
		h.tb.Errorf("sdktest: view %q: %v", r.View, err)
	}
	return out, nil
}

// EntityView renders a view on the page of an entity of the catalog.
func (h *Host) EntityView(id, ref string, params map[string]string) (view.Tree, error) {
	h.tb.Helper()
	doc := h.entityDoc(ref)
	if doc == nil {
		h.tb.Fatalf("sdktest: the catalog has no %s; give it with sdktest.Entities", ref)
		return view.Tree{}, nil
	}
	return h.View(view.Request{View: id, Entity: doc, Params: params})
}

// view returns the slot of a view of the manifest, or "".
func (h *Host) view(id string) string {
	for _, c := range h.manifest.Capabilities {
		for _, v := range c.Views {
			if v.ID == id {
				return v.Slot
			}
		}
	}
	return ""
}

// Schedule runs a schedule that is due now and returns its message. The test
// fails where the manifest does not name it.
func (h *Host) Schedule(id string) (message string, err error) {
	h.tb.Helper()
	if !slices.Contains(h.declared(), sdk.Offered{Capability: schedulev1.Name, Name: id}) {
		h.tb.Fatalf("sdktest: %s names no schedule %q", h.file, id)
		return "", nil
	}
	var out schedulev1.Response
	err = h.call(schedulev1.Name, schedulev1.MethodRun, schedulev1.Request{Schedule: id, Due: h.Now()}, &out)
	return out.Message, err
}

// Now returns the portal's time; it starts at the real time.
func (h *Host) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Advance moves the portal's time on: what is stored with a time to live
// expires. The plugin's own clock is the real one.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}
