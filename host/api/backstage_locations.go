package api

import (
	"encoding/json"
	"net/http"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

// backstageLocation is a location in Backstage's form.
type backstageLocation struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Target string `json:"target"`
}

func toBackstage(l catalog.Location) backstageLocation {
	return backstageLocation{ID: l.ID, Type: l.Type, Target: l.Target}
}

// backstageListLocations answers GET /api/catalog/locations.
func (a *API) backstageListLocations(w http.ResponseWriter, r *http.Request) {
	all, err := a.s.Locations.Locations(r.Context(), caller(r))
	if err != nil {
		Fail(w, r, err)
		return
	}
	out := make([]map[string]backstageLocation, 0, len(all))
	for _, l := range all {
		out = append(out, map[string]backstageLocation{"data": toBackstage(l)})
	}
	writeJSON(w, r, http.StatusOK, out)
}

// backstageGetLocation answers GET /api/catalog/locations/{id}.
func (a *API) backstageGetLocation(w http.ResponseWriter, r *http.Request) {
	l, err := a.s.Locations.Location(r.Context(), caller(r), r.PathValue("id"))
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, toBackstage(l))
}

// backstageDeleteLocation answers DELETE /api/catalog/locations/{id}.
func (a *API) backstageDeleteLocation(w http.ResponseWriter, r *http.Request) {
	if err := a.s.Locations.Unregister(r.Context(), caller(r), r.PathValue("id")); err != nil {
		Fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// backstageRegister answers POST /api/catalog/locations, with dryRun too.
func (a *API) backstageRegister(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Type   string `json:"type"`
		Target string `json:"target"`
	}
	if err := decodeLoose(r.Body, &body); err != nil {
		Fail(w, r, err)
		return
	}
	if body.Target == "" {
		Fail(w, r, fieldError("/body/target", "target is missing."))
		return
	}
	if body.Type == "" {
		body.Type = "url"
	}
	dryRun := r.URL.Query().Get("dryRun") == "true"
	rep, err := a.s.Locations.Register(r.Context(), caller(r), body.Type, body.Target, dryRun)
	if err != nil {
		Fail(w, r, err)
		return
	}
	if dryRun && len(rep.Problems) > 0 {
		p := rep.Problems[0]
		Fail(w, r, host.Errorf(host.CodeInvalid, "%s", p.Message).At(p.Where).WithHint("%s", p.Hint))
		return
	}
	out := map[string]any{"location": toBackstage(rep.Location), "entities": docsOf(rep.Entities)}
	if dryRun {
		out["exists"] = rep.Location.ID != ""
	}
	writeJSON(w, r, http.StatusCreated, out)
}

// docsOf returns the documents of entities.
func docsOf(entities []catalog.Entity) []json.RawMessage {
	out := make([]json.RawMessage, 0, len(entities))
	for _, e := range entities {
		out = append(out, e.Doc)
	}
	return out
}

// backstageRefresh answers POST /api/catalog/refresh.
func (a *API) backstageRefresh(w http.ResponseWriter, r *http.Request) {
	var body struct {
		EntityRef string `json:"entityRef"`
	}
	if err := decodeLoose(r.Body, &body); err != nil {
		Fail(w, r, err)
		return
	}
	ref, err := catalog.ParseRef(body.EntityRef, catalog.Ref{})
	if err == nil {
		_, err = a.s.Entities.Refresh(r.Context(), caller(r), ref.String())
	}
	if err != nil {
		Fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// backstageValidate answers POST /api/catalog/validate-entity: 200, or 400
// with what is wrong.
func (a *API) backstageValidate(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Location string          `json:"location"`
		Entity   json.RawMessage `json:"entity"`
	}
	if err := decodeLoose(r.Body, &body); err != nil {
		Fail(w, r, err)
		return
	}
	if len(body.Entity) == 0 {
		Fail(w, r, fieldError("/body/entity", "entity is missing."))
		return
	}
	// JSON is YAML, so one check serves both.
	problems := a.s.Inspector.Validate(r.Context(), body.Entity, body.Location)
	if len(problems) == 0 {
		w.WriteHeader(http.StatusOK)
		return
	}
	errs := make([]map[string]string, 0, len(problems))
	for _, p := range problems {
		errs = append(errs, map[string]string{"name": "InputError", "message": p.Message})
	}
	writeJSON(w, r, http.StatusBadRequest, map[string]any{"errors": errs})
}
