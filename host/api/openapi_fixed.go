package api

import "github.com/danielgtaylor/huma/v2"

// apiInfo is the document's head.
func apiInfo(version string) *huma.Info {
	return &huma.Info{
		Title: "Callboard", Version: version,
		Description: "The operations of one tenant: the portal's own, and those of the plugins that are enabled now. " +
			"Errors are problem documents (RFC 9457); lists page by cursor; unsafe requests honour Idempotency-Key.",
		Contact: &huma.Contact{Name: "Callboard", URL: "https://github.com/callboard-dev/callboard"},
		License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
	}
}

// The tags of the core's operations.
const (
	tagMe        = "Me"
	tagCatalog   = "Catalog"
	tagLocations = "Locations"
	tagPlugins   = "Plugins"
	tagPeople    = "People and tokens"
	tagAudit     = "Audit"
	tagBackstage = "Backstage's paths"
	tagDocument  = "Document"
)

func apiTags() []*huma.Tag {
	return []*huma.Tag{
		{Name: tagMe, Description: "Who asks."},
		{Name: tagCatalog, Description: "The tenant's entities."},
		{Name: tagLocations, Description: "Where entities come from."},
		{Name: tagPlugins, Description: "Plugins: what is installed, what it may reach, how it is."},
		{Name: tagPeople, Description: "The tenant's users and the caller's API tokens."},
		{Name: tagAudit, Description: "Who changed what."},
		{Name: tagBackstage, Description: "The catalog under the paths and in the forms that Backstage's clients know."},
		{Name: tagDocument, Description: "This document."},
	}
}

// fixedComponents are the components that are the same for all operations.
const fixedComponents = `{
  "securitySchemes": {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "callboard_session",
      "description": "A browser's session. Unsafe requests come from the portal's own pages or carry Callboard-Csrf."}
  },
  "responses": {
    "Problem": {
      "description": "The request was refused or failed; the problem says why and what to do.",
      "headers": {"Retry-After": {"description": "After how many seconds trying again helps.", "schema": {"type": "integer"}}},
      "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    },
    "BackstageError": {
      "description": "The request was refused or failed, in Backstage's form.",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BackstageError"}}}
    }
  },
  "schemas": {
    "Problem": {
      "type": "object",
      "description": "A problem document (RFC 9457).",
      "required": ["type", "title", "status"],
      "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Names the kind of problem and leads to an explanation.", "examples": ["/problems/not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened this time."},
        "instance": {"type": "string", "format": "uri-reference"},
        "hint": {"type": "string", "description": "What to do next."},
        "where": {"type": "string", "description": "A place in a document, file:line."},
        "errors": {"type": "array", "items": {"type": "object", "required": ["pointer", "message"],
          "properties": {"pointer": {"type": "string", "description": "A JSON Pointer into the request."}, "message": {"type": "string"}}}},
        "traceId": {"type": "string", "description": "Names this request in the host's log."}
      }
    },
    "BackstageError": {
      "type": "object",
      "required": ["error", "response"],
      "properties": {
        "error": {"type": "object", "required": ["name", "message"],
          "properties": {"name": {"type": "string"}, "message": {"type": "string"}, "code": {"type": "string"}}},
        "request": {"type": "object", "properties": {"method": {"type": "string"}, "url": {"type": "string"}}},
        "response": {"type": "object", "properties": {"statusCode": {"type": "integer"}}}
      }
    },
    "Entity": {
      "type": "object",
      "description": "An entity in Backstage's descriptor format, with metadata.uid, metadata.etag and relations.",
      "required": ["apiVersion", "kind", "metadata"],
      "properties": {
        "id": {"type": "string", "description": "The reference, in lists.", "examples": ["component:default/petstore"]},
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "required": ["name"], "additionalProperties": true,
          "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}, "uid": {"type": "string"}, "etag": {"type": "string"},
            "title": {"type": "string"}, "description": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "tags": {"type": "array", "items": {"type": "string"}}}},
        "spec": {"type": "object", "additionalProperties": true},
        "relations": {"type": "array", "items": {"type": "object", "required": ["type", "targetRef"],
          "properties": {"type": {"type": "string"}, "targetRef": {"type": "string"}}}}
      }
    }
  }
}`
