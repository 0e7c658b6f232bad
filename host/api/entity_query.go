package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/filter"
)

// Bounds of a query that a stranger writes.
const (
	maxPage       = 1000
	maxQueryBytes = 16 << 10
	maxTextBytes  = 500
)

// EntityFilters are the shorthands of the list: what most people filter by.
type EntityFilters struct {
	Kind      []string `query:"kind,explode" doc:"Kinds of which one must match, for example component."`
	Type      []string `query:"type,explode" doc:"Values of spec.type of which one must match."`
	Owner     []string `query:"owner,explode" doc:"Owners of which one must match, as references or as written."`
	Lifecycle []string `query:"lifecycle,explode" doc:"Values of spec.lifecycle of which one must match."`
	Tag       []string `query:"tag,explode" doc:"Tags of which one must match."`
	Filter    []string `query:"filter,explode" doc:"Backstage's filter: conditions key=value or key, joined by commas, must all hold; of several filters one must." example:"kind=component,spec.type=service"`
	Text      string   `query:"q" maxLength:"500" doc:"Words that must all occur, as beginnings of words."`
}

// query turns the parameters into the catalog's query.
func (f EntityFilters) query() (catalog.Query, error) {
	q := catalog.Query{Text: f.Text, Filter: map[string][]string{}}
	for key, values := range map[string][]string{"kind": f.Kind, "spec.type": f.Type,
		"spec.lifecycle": f.Lifecycle, "metadata.tags": f.Tag} {
		if len(values) > 0 {
			q.Filter[key] = values
		}
	}
	if len(f.Owner) > 0 {
		q.Filter["relations.ownedBy"] = ownerRefs(f.Owner)
	}
	var err error
	q.AnyOf, err = parseFilters(f.Filter)
	return q, err
}

// ownerRefs completes owners to references of groups, which is what a bare
// name means.
func ownerRefs(owners []string) []string {
	var out []string
	for _, o := range owners {
		ref, err := catalog.ParseRef(o, catalog.Ref{Kind: "group", Namespace: "default"})
		if err != nil {
			out = append(out, o)
			continue
		}
		out = append(out, ref.String())
	}
	return out
}

// parseFilters reads Backstage's repeated filter parameter.
func parseFilters(values []string) ([]map[string][]string, error) {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	if size > maxQueryBytes {
		return nil, fieldError("/query/filter", "The filters have %d bytes, more than %d.", size, maxQueryBytes)
	}
	sets, err := filter.Parse(values)
	if err != nil {
		return nil, fieldError("/query/filter", "%s", host.AsError(err).Message)
	}
	return sets, nil
}

// fieldError is an invalid-request that names one field.
func fieldError(pointer, format string, args ...any) *host.Error {
	e := host.Errorf(host.CodeInvalid, format, args...)
	e.Fields = []host.FieldError{{Pointer: pointer, Message: e.Message}}
	return e
}

// numberParam reads a whole number from 0 to most; absent is def.
func numberParam(q url.Values, name string, def, most int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fieldError("/query/"+name, "%s=%q is not a whole number from 0 to %d.", name, clip(s), most)
	}
	return min(n, most), nil
}

// listParam reads a parameter that is a comma list, repeated or both.
func listParam(q url.Values, name string) []string {
	var out []string
	for _, v := range q[name] {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" && !slices.Contains(out, item) {
				out = append(out, item)
			}
		}
	}
	return out
}

// clip shortens what a stranger wrote before it is quoted.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
