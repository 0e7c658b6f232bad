package api

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// Methods, short for the table.
const (
	get  = http.MethodGet
	post = http.MethodPost
	put  = http.MethodPut
	del  = http.MethodDelete
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// routes is the table of contents: every operation of the core, one line each,
// with the name under which documents, commands and tools know it.
func (a *API) routes() []row {
	return append([]row{
		operation(get, "/api/v1/me", "getMe", tagMe, "Read who the caller is", a.readMe),

		operation(get, "/api/v1/entities", "listEntities", tagCatalog, "List entities", a.listEntities, a.entityItems),
		raw(get, "/api/v1/entities/{kind}/{namespace}/{name}", "getEntity", tagCatalog, "Read an entity", a.readEntity,
			pathParams("kind", "namespace", "name"), tagged(jsonType, entityRef())),
		operation(post, "/api/v1/entities/{kind}/{namespace}/{name}/refresh", "refreshEntity", tagCatalog, "Read an entity's location again", a.refreshEntity),
		operation(get, "/api/v1/facets", "listFacets", tagCatalog, "Count entities by fields", a.facets),
		operation(get, "/api/v1/problems", "listCatalogProblems", tagCatalog, "List what is wrong with catalog files", a.listProblems),
		operation(post, "/api/v1/validate", "validateCatalogFile", tagCatalog, "Check a catalog file without storing it", a.validateDocument),

		operation(get, "/api/v1/locations", "listLocations", tagLocations, "List locations", a.listLocations),
		operation(post, "/api/v1/locations", "registerLocation", tagLocations, "Register a location, or see what it would add", a.registerLocation, created()),
		operation(get, "/api/v1/locations/{id}", "getLocation", tagLocations, "Read a location", a.getLocation),
		operation(del, "/api/v1/locations/{id}", "deleteLocation", tagLocations, "Remove a location with its entities", a.deleteLocation),
		operation(post, "/api/v1/locations/{id}/refresh", "refreshLocation", tagLocations, "Read a location again", a.refreshLocation),

		operation(get, "/api/v1/bundled-plugins", "listBundledPlugins", tagPlugins, "List the plugins that come with the host", a.listBundled),
		raw(post, "/api/v1/plugin-previews", "previewPlugin", tagPlugins, "Read what a release is and asks for, without installing it", a.previewPlugin,
			a.takesRelease, answersWith[preview](a, 200, "The release.")),
		operation(get, "/api/v1/plugins", "listPlugins", tagPlugins, "List installed plugins", a.listPlugins),
		raw(post, "/api/v1/plugins", "installPlugin", tagPlugins, "Install a plugin", a.installPlugin,
			a.takesRelease, answersWith[instance](a, 201, "Installed; its state tells how far its compilation is.")),
		operation(get, "/api/v1/plugins/{plugin}", "getPlugin", tagPlugins, "Read an installed plugin", a.getPlugin),
		operation(del, "/api/v1/plugins/{plugin}", "uninstallPlugin", tagPlugins, "Uninstall a plugin with its data", a.uninstallPlugin),
		operation(get, "/api/v1/plugins/{plugin}/health", "getPluginHealth", tagPlugins, "Read how a plugin's calls went", a.pluginHealth),
		operation(post, "/api/v1/plugins/{plugin}/enable", "enablePlugin", tagPlugins, "Enable a plugin", a.enablePlugin),
		operation(post, "/api/v1/plugins/{plugin}/disable", "disablePlugin", tagPlugins, "Disable a plugin", a.disablePlugin),
		operation(put, "/api/v1/plugins/{plugin}/config", "configurePlugin", tagPlugins, "Set a plugin's configuration and secrets", a.configurePlugin),
		operation(put, "/api/v1/plugins/{plugin}/grants", "grantPlugin", tagPlugins, "Set what a plugin may reach", a.grantPlugin),
		raw(post, "/api/v1/plugins/{plugin}/upgrade", "upgradePlugin", tagPlugins, "Exchange a plugin's release", a.upgradePlugin,
			pathParams("plugin"), a.takesRelease, answersWith[instance](a, 200, "Upgraded, or waiting for consent.")),
		operation(post, "/api/v1/plugins/{plugin}/rollback", "rollbackPlugin", tagPlugins, "Return to the release before", a.rollbackPlugin),
		raw("", "/api/plugins/{plugin}/{path...}", "", tagPlugins, "", a.pluginOperation, hidden),

		operation(get, "/api/v1/users", "listUsers", tagPeople, "List the tenant's users", a.listUsers),
		operation(post, "/api/v1/users", "createUser", tagPeople, "Create a user", a.createUser, created()),
		operation(http.MethodPatch, "/api/v1/users/{id}", "updateUser", tagPeople, "Change a user", a.updateUser),
		operation(put, "/api/v1/users/{id}/password", "setPassword", tagPeople, "Set a user's password", a.setPassword),
		operation(get, "/api/v1/tokens", "listTokens", tagPeople, "List API tokens", a.listTokens),
		operation(post, "/api/v1/tokens", "createToken", tagPeople, "Create an API token", a.createToken, created()),
		operation(del, "/api/v1/tokens/{id}", "revokeToken", tagPeople, "Revoke an API token", a.revokeToken),
		operation(get, "/api/v1/audit", "listAudit", tagAudit, "List who changed what", a.listAudit),

		raw(get, "/openapi.json", "getOpenApiJson", tagDocument, "Read this document as JSON", a.openapiJSON,
			tagged("application/openapi+json", &huma.Schema{Type: huma.TypeObject})),
		raw(get, "/openapi.yaml", "getOpenApiYaml", tagDocument, "Read this document as YAML", a.openapiYAML,
			tagged("application/openapi+yaml", &huma.Schema{Type: huma.TypeObject})),
	}, slices.Concat(a.usageRoutes(), a.recordingRoutes(), a.workRoutes(), a.backstageRoutes())...)
}

// backstageRoutes are Backstage's own paths.
func (a *API) backstageRoutes() []row {
	entities := arrayOf(entityRef())
	counts := objectOf(map[string]*huma.Schema{"facets": {Type: huma.TypeObject, AdditionalProperties: true}})
	place := objectOf(map[string]*huma.Schema{"id": stringSchema(), "type": stringSchema(), "target": stringSchema()}, "id", "type", "target")
	target := objectOf(map[string]*huma.Schema{"type": stringSchema(), "target": stringSchema()}, "target")
	one := tagged(jsonType, entityRef())
	return []row{
		raw(get, "/api/catalog/entities", "backstageListEntities", tagBackstage, "List entities as an array", a.backstageEntities,
			filterParam(), queryParams(map[string]string{"fields": "Paths to keep, joined by commas.", "limit": "The most entities; all where left out.",
				"offset": "How many to skip.", "after": "The cursor of the Link header.", "order": "asc:field or desc:field."}),
			answers(200, "The entities.", entities)),
		raw(get, "/api/catalog/entities/by-query", "backstageQueryEntities", tagBackstage, "List entities page by page", a.backstageByQuery,
			filterParam(), queryParams(map[string]string{"fields": "Paths to keep, joined by commas.", "limit": "Items on a page, 20 where left out.",
				"offset": "How many to skip.", "cursor": "The nextCursor of the page before.", "orderField": "A field, with ,asc or ,desc.",
				"fullTextFilterTerm": "Words that must all occur."}),
			answers(200, "One page.", objectOf(map[string]*huma.Schema{"items": entities, "totalItems": {Type: huma.TypeInteger},
				"pageInfo": objectOf(map[string]*huma.Schema{"nextCursor": stringSchema()})}, "items", "totalItems", "pageInfo"))),
		raw(post, "/api/catalog/entities/by-refs", "backstageGetEntitiesByRefs", tagBackstage, "Read entities by references", a.backstageByRefs,
			takes(objectOf(map[string]*huma.Schema{"entityRefs": arrayOf(stringSchema()), "fields": arrayOf(stringSchema())}, "entityRefs")),
			answers(200, "The entities in the same order; null where there is none.", objectOf(map[string]*huma.Schema{"items": arrayOf(&huma.Schema{})}))),
		raw(get, "/api/catalog/entities/by-name/{kind}/{namespace}/{name}", "backstageGetEntityByName", tagBackstage, "Read an entity by its name",
			a.backstageByName, pathParams("kind", "namespace", "name"), one),
		raw(get, "/api/catalog/entities/by-uid/{uid}", "backstageGetEntityByUid", tagBackstage, "Read an entity by its uid", a.backstageByUID, pathParams("uid"), one),
		raw(del, "/api/catalog/entities/by-uid/{uid}", "backstageDeleteEntity", tagBackstage, "Remove an entity that no location provides", a.backstageDelete,
			pathParams("uid"), answers(204, "Removed.", nil)),
		raw(get, "/api/catalog/entity-facets", "backstageGetFacets", tagBackstage, "Count entities by fields", a.backstageFacets,
			filterParam(), queryParams(map[string]string{"facet": "Fields to count by; repeated or joined by commas."}), answers(200, "Counts.", counts)),
		raw(get, "/api/catalog/locations", "backstageListLocations", tagBackstage, "List locations", a.backstageListLocations,
			answers(200, "The locations.", arrayOf(objectOf(map[string]*huma.Schema{"data": place}, "data")))),
		raw(post, "/api/catalog/locations", "backstageRegisterLocation", tagBackstage, "Register a location", a.backstageRegister,
			queryParams(map[string]string{"dryRun": "true only says what would come of it."}), takes(target),
			answers(201, "Registered.", objectOf(map[string]*huma.Schema{"location": place, "entities": entities, "exists": {Type: huma.TypeBoolean}}, "location", "entities"))),
		raw(get, "/api/catalog/locations/{id}", "backstageGetLocation", tagBackstage, "Read a location", a.backstageGetLocation, pathParams("id"), answers(200, "The location.", place)),
		raw(del, "/api/catalog/locations/{id}", "backstageDeleteLocation", tagBackstage, "Remove a location", a.backstageDeleteLocation, pathParams("id"), answers(204, "Removed.", nil)),
		raw(post, "/api/catalog/refresh", "backstageRefresh", tagBackstage, "Read an entity's location again", a.backstageRefresh,
			takes(objectOf(map[string]*huma.Schema{"entityRef": stringSchema()}, "entityRef")), answers(200, "Done.", nil)),
		raw(post, "/api/catalog/validate-entity", "backstageValidateEntity", tagBackstage, "Check an entity", a.backstageValidate,
			takes(objectOf(map[string]*huma.Schema{"location": stringSchema(), "entity": {Type: huma.TypeObject, AdditionalProperties: true}}, "location", "entity")),
			answers(200, "Valid.", nil)),
	}
}

// hidden keeps a row out of the document.
func hidden(op *huma.Operation) { op.Hidden = true }

// entityItems says what the items of the entity list are.
func (a *API) entityItems(op *huma.Operation) {
	op.Responses["200"] = &huma.Response{Description: "One page of entities.", Content: map[string]*huma.MediaType{jsonType: {Schema: objectOf(map[string]*huma.Schema{
		"items": arrayOf(entityRef()), "next": {Type: huma.TypeString, Description: "The cursor of the page after this one."},
		"total": {Type: huma.TypeInteger, Description: "How many entities the query has."}}, "items", "total")}}}
}
