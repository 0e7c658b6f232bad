package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// The helpers here describe operations that Huma does not carry.

// entityRef is the schema of an entity, which openapi_fixed.go holds.
func entityRef() *huma.Schema { return &huma.Schema{Ref: "#/components/schemas/Entity"} }

func stringSchema() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }

// arrayOf is an array of items.
func arrayOf(items *huma.Schema) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: items}
}

// objectOf is an object with properties; those without default are required.
func objectOf(properties map[string]*huma.Schema, required ...string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: required}
}

// created makes 201 the status of success.
func created() describe { return func(op *huma.Operation) { op.DefaultStatus = http.StatusCreated } }

// pathParams adds required path parameters.
func pathParams(names ...string) describe {
	return func(op *huma.Operation) {
		for _, n := range names {
			op.Parameters = append(op.Parameters, &huma.Param{Name: n, In: "path", Required: true, Schema: stringSchema()})
		}
	}
}

// queryParams adds optional query parameters with their descriptions.
func queryParams(params map[string]string) describe {
	return func(op *huma.Operation) {
		for _, n := range slices.Sorted(maps.Keys(params)) {
			op.Parameters = append(op.Parameters, &huma.Param{Name: n, In: "query", Description: params[n], Schema: stringSchema()})
		}
	}
}

// filterParam adds Backstage's repeated filter.
func filterParam() describe {
	return func(op *huma.Operation) {
		explode := true
		op.Parameters = append(op.Parameters, &huma.Param{Name: "filter", In: "query", Explode: &explode,
			Description: "Conditions key=value or key, joined by commas, must all hold; of several filters one must.",
			Schema:      arrayOf(stringSchema())})
	}
}

// answers adds a response with a JSON body; no schema means no body.
func answers(status int, what string, schema *huma.Schema) describe {
	return func(op *huma.Operation) {
		res := &huma.Response{Description: what}
		if schema != nil {
			res.Content = map[string]*huma.MediaType{jsonType: {Schema: schema}}
		}
		op.Responses[strconv.Itoa(status)] = res
	}
}

// tagged says that the answer has an ETag and 304 is one of the answers.
func tagged(contentType string, schema *huma.Schema) describe {
	return func(op *huma.Operation) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "If-None-Match", In: "header",
			Description: "The ETag that the client has.", Schema: stringSchema()})
		etag := map[string]*huma.Header{"ETag": {Description: "Changes with the content.", Schema: stringSchema()}}
		op.Responses["200"] = &huma.Response{Description: "Found.", Headers: etag,
			Content: map[string]*huma.MediaType{contentType: {Schema: schema}}}
		op.Responses["304"] = &huma.Response{Description: "The client has it already.", Headers: etag}
	}
}

// takes adds a JSON request body.
func takes(schema *huma.Schema) describe {
	return func(op *huma.Operation) {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{jsonType: {Schema: schema}}}
	}
}

// takesRelease adds the three forms in which a release is named or sent.
func (a *API) takesRelease(op *huma.Operation) {
	registry := a.huma.OpenAPI().Components.Schemas
	file := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	options := huma.SchemaFromType(registry, typeOf[installRequest]())
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		jsonType:      {Schema: options},
		packageType:   {Schema: file},
		multipartType: {Schema: objectOf(map[string]*huma.Schema{"package": file, "options": options}, "package")},
	}}
	yes := &huma.Schema{Type: huma.TypeBoolean}
	op.Parameters = append(op.Parameters,
		&huma.Param{Name: "acceptPermissions", In: "query", Description: "As in the JSON form, for a bare upload.", Schema: yes},
		&huma.Param{Name: "enable", In: "query", Description: "As in the JSON form, for a bare upload.", Schema: yes})
}

// answersWith adds a response whose body is described by a Go type.
func answersWith[T any](a *API, status int, what string) describe {
	return func(op *huma.Operation) {
		answers(status, what, a.huma.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, ""))(op)
	}
}
