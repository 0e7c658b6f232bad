package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

// Backstage's own paths, for clients that were written for it. They answer in
// its forms; what they mean is what /api/v1 means.

// backstageEntities answers GET /api/catalog/entities: an array, whole where
// no limit is asked for, as Backstage does.
func (a *API) backstageEntities(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	q, err := backstageQuery(params)
	if err != nil {
		Fail(w, r, err)
		return
	}
	offset, err1 := numberParam(params, "offset", 0, 1<<30)
	limit, err2 := numberParam(params, "limit", 0, 1<<30)
	if err := firstOf(err1, err2); err != nil {
		Fail(w, r, err)
		return
	}
	q.Cursor = params.Get("after")
	docs, next, _, err := a.collect(r, q, offset, limit)
	if err != nil {
		Fail(w, r, err)
		return
	}
	if next != "" {
		link := *r.URL
		params.Set("after", next)
		params.Del("offset")
		link.RawQuery = params.Encode()
		w.Header().Set("Link", "<"+link.RequestURI()+`>; rel="next"`)
	}
	writeJSON(w, r, http.StatusOK, project(docs, listParam(params, "fields")))
}

// collect reads pages until limit entities after offset are there; 0 reads all.
func (a *API) collect(r *http.Request, q catalog.Query, offset, limit int) (docs []json.RawMessage, next string, total int, err error) {
	docs = []json.RawMessage{}
	for {
		q.Limit = maxPage
		if limit > 0 {
			q.Limit = min(maxPage, offset+limit-len(docs))
		}
		page, err := a.s.Entities.List(r.Context(), caller(r), q)
		if err != nil {
			return nil, "", 0, err
		}
		total = page.Total
		for i := range page.Items {
			if offset > 0 {
				offset--
				continue
			}
			docs = append(docs, page.Items[i].Doc)
		}
		if page.Next == "" || limit > 0 && len(docs) >= limit {
			return docs, page.Next, total, nil
		}
		q.Cursor = page.Next
	}
}

// backstageQuery reads filter, order and full text.
func backstageQuery(params url.Values) (catalog.Query, error) {
	sets, err := parseFilters(params["filter"])
	if err != nil {
		return catalog.Query{}, err
	}
	q := catalog.Query{AnyOf: sets, Text: params.Get("fullTextFilterTerm")}
	if len(q.Text) > maxTextBytes {
		return q, fieldError("/query/fullTextFilterTerm", "The text has more than %d bytes.", maxTextBytes)
	}
	order := params.Get("orderField")
	if order == "" {
		// The older "order=asc:metadata.name".
		if dir, field, ok := strings.Cut(params.Get("order"), ":"); ok {
			order = field + "," + dir
		}
	}
	q.Sort = strings.TrimSuffix(order, ",asc")
	return q, nil
}

// backstageCursor is what a by-query cursor holds: the query and where it is.
type backstageCursor struct {
	Query  url.Values `json:"q"`
	Cursor string     `json:"c,omitempty"`
	Offset int        `json:"o"`
}

// backstageByQuery answers GET /api/catalog/entities/by-query.
func (a *API) backstageByQuery(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	at := backstageCursor{Query: url.Values{}}
	if c := params.Get("cursor"); c != "" {
		if err := decodeCursor(c, &at); err != nil {
			Fail(w, r, err)
			return
		}
	} else {
		for _, name := range []string{"filter", "orderField", "order", "fullTextFilterTerm"} {
			if v, ok := params[name]; ok {
				at.Query[name] = v
			}
		}
	}
	q, err := backstageQuery(at.Query)
	limit, err1 := numberParam(params, "limit", 20, maxPage)
	offset, err2 := numberParam(params, "offset", 0, 1<<30)
	if err := firstOf(err, err1, err2); err != nil {
		Fail(w, r, err)
		return
	}
	if params.Get("cursor") != "" {
		offset = 0
	}
	q.Cursor = at.Cursor
	var docs []json.RawMessage
	var next string
	total := 0
	if limit == 0 { // Backstage's way to ask for the count alone
		q.Limit = 1
		page, err := a.s.Entities.List(r.Context(), caller(r), q)
		if err != nil {
			Fail(w, r, err)
			return
		}
		docs, total = []json.RawMessage{}, page.Total
	} else if docs, next, total, err = a.collect(r, q, offset, limit); err != nil {
		Fail(w, r, err)
		return
	}
	info := map[string]string{}
	if next != "" {
		info["nextCursor"] = encodeCursor(backstageCursor{Query: at.Query, Cursor: next, Offset: at.Offset + offset + len(docs)})
	}
	writeJSON(w, r, http.StatusOK, map[string]any{
		"items": project(docs, listParam(params, "fields")), "totalItems": total, "pageInfo": info})
}

func encodeCursor(c backstageCursor) string {
	raw, _ := json.Marshal(c) // strings and a number
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeCursor(s string, into *backstageCursor) error {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fieldError("/query/cursor", "The cursor is not one of this list.")
	}
	return nil
}

// backstageByName answers one entity by kind, namespace and name.
func (a *API) backstageByName(w http.ResponseWriter, r *http.Request) { a.readEntity(w, r) }

// backstageByUID answers one entity by uid.
func (a *API) backstageByUID(w http.ResponseWriter, r *http.Request) {
	e, err := a.s.Entities.GetByUID(r.Context(), caller(r), r.PathValue("uid"))
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeTagged(w, r, jsonType, e.ETag, e.Doc)
}

// backstageDelete removes an entity that nothing provides any more.
func (a *API) backstageDelete(w http.ResponseWriter, r *http.Request) {
	e, err := a.s.Entities.GetByUID(r.Context(), caller(r), r.PathValue("uid"))
	if err == nil {
		err = a.s.Locations.Delete(r.Context(), caller(r), e.Ref)
	}
	if err != nil {
		Fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// backstageByRefs answers entities in the order of their references, null for
// each that is not there.
func (a *API) backstageByRefs(w http.ResponseWriter, r *http.Request) {
	var body struct {
		EntityRefs []string `json:"entityRefs"`
		Fields     []string `json:"fields"`
	}
	if err := decodeLoose(r.Body, &body); err != nil {
		Fail(w, r, err)
		return
	}
	if len(body.EntityRefs) > maxPage {
		Fail(w, r, fieldError("/body/entityRefs", "There are %d references, more than %d.", len(body.EntityRefs), maxPage))
		return
	}
	items := make([]any, 0, len(body.EntityRefs))
	for _, s := range body.EntityRefs {
		ref, err := catalog.ParseRef(s, catalog.Ref{})
		if err != nil {
			Fail(w, r, err)
			return
		}
		doc, _, err := a.s.Entities.GetJSON(r.Context(), caller(r), ref)
		switch host.CodeOf(err) {
		case "":
			items = append(items, project([]json.RawMessage{doc}, body.Fields)[0])
		case host.CodeNotFound:
			items = append(items, nil)
		default:
			Fail(w, r, err)
			return
		}
	}
	writeJSON(w, r, http.StatusOK, map[string]any{"items": items})
}

// backstageFacets answers GET /api/catalog/entity-facets.
func (a *API) backstageFacets(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	q, err := backstageQuery(params)
	keys := listParam(params, "facet")
	if err == nil && (len(keys) == 0 || len(keys) > 20) {
		err = fieldError("/query/facet", "Name 1 to 20 facets, not %s.", strconv.Itoa(len(keys)))
	}
	if err != nil {
		Fail(w, r, err)
		return
	}
	counts, err := a.s.Entities.Facets(r.Context(), caller(r), q, keys)
	if err != nil {
		Fail(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, map[string]any{"facets": counts})
}

// firstOf returns the first error there is.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
