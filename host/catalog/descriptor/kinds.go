package descriptor

import "strings"

// shape is what a field of a spec must be.
type shape uint8

const (
	text      shape = iota // a string that is not empty
	texts                  // a list of such strings
	profile                // a map with displayName, email and picture
	steps                  // a list of maps
	remotes                // a list of maps with type and url
	presence               // "required" or "optional"
	parameter              // a map or a list of maps
)

// spec says what one field of a kind's spec must be.
type spec struct {
	field    string
	shape    shape
	required bool
	relation
}

// relation is how a field that holds references becomes edges: out goes from
// the entity to what it names, in comes back. An empty out means none.
type relation struct {
	defaultKind string
	out, in     string
}

// kind is what a kind's documents must be.
type kind struct {
	name     string
	versions []string
	fields   []spec
	// optionalSpec is true where a document without spec is fine.
	optionalSpec bool
}

var coreVersions = []string{"backstage.io/v1alpha1", "backstage.io/v1beta1"}

var (
	ownedBy   = relation{"Group", "ownedBy", "ownerOf"}
	inSystem  = relation{"System", "partOf", "hasPart"}
	dependsOn = relation{"", "dependsOn", "dependencyOf"}
	dependent = relation{"", "dependencyOf", "dependsOn"}
	none      = relation{}
)

// kinds is Backstage's model: its built-in kinds and the scaffolder's
// Template.
var kinds = []kind{
	{name: "Component", versions: coreVersions, fields: []spec{
		{"type", text, true, none}, {"lifecycle", text, true, none}, {"owner", text, true, ownedBy},
		{"system", text, false, inSystem}, {"subcomponentOf", text, false, relation{"Component", "partOf", "hasPart"}},
		{"providesApis", texts, false, relation{"API", "providesApi", "apiProvidedBy"}},
		{"consumesApis", texts, false, relation{"API", "consumesApi", "apiConsumedBy"}},
		{"dependsOn", texts, false, dependsOn}, {"dependencyOf", texts, false, dependent}}},
	{name: "API", versions: coreVersions, fields: []spec{
		{"type", text, true, none}, {"lifecycle", text, true, none}, {"owner", text, true, ownedBy},
		{"definition", text, true, none}, {"system", text, false, inSystem}}},
	{name: "Resource", versions: coreVersions, fields: []spec{
		{"type", text, true, none}, {"owner", text, true, ownedBy}, {"system", text, false, inSystem},
		{"dependsOn", texts, false, dependsOn}, {"dependencyOf", texts, false, dependent}}},
	{name: "System", versions: coreVersions, fields: []spec{
		{"owner", text, true, ownedBy}, {"domain", text, false, relation{"Domain", "partOf", "hasPart"}}, {"type", text, false, none}}},
	{name: "Domain", versions: coreVersions, fields: []spec{
		{"owner", text, true, ownedBy}, {"subdomainOf", text, false, relation{"Domain", "partOf", "hasPart"}}, {"type", text, false, none}}},
	{name: "User", versions: coreVersions, fields: []spec{
		{"memberOf", texts, true, relation{"Group", "memberOf", "hasMember"}}, {"profile", profile, false, none}}},
	{name: "Group", versions: coreVersions, fields: []spec{
		{"type", text, true, none}, {"children", texts, true, relation{"Group", "parentOf", "childOf"}},
		{"parent", text, false, relation{"Group", "childOf", "parentOf"}},
		{"members", texts, false, relation{"User", "hasMember", "memberOf"}}, {"profile", profile, false, none}}},
	{name: "Location", versions: coreVersions, optionalSpec: true, fields: []spec{
		{"type", text, false, none}, {"target", text, false, none}, {"targets", texts, false, none}, {"presence", presence, false, none}}},
	{name: "Template", versions: []string{"scaffolder.backstage.io/v1beta3"}, fields: []spec{
		{"type", text, true, none}, {"steps", steps, true, none}, {"owner", text, false, ownedBy},
		{"lifecycle", text, false, none}, {"parameters", parameter, false, none}}},
	{name: "AiResource", versions: []string{"backstage.io/v1alpha1"}, fields: []spec{
		{"type", text, true, none}, {"lifecycle", text, true, none}, {"owner", text, true, ownedBy}, {"system", text, false, inSystem},
		{"disciplines", texts, false, none}, {"categories", texts, false, none}, {"agents", texts, false, none},
		{"dependsOn", texts, false, relation{"AiResource", "dependsOn", "dependencyOf"}}}},
}

// variants are the fields that a spec.type adds to its kind, or asks for
// instead: a field without required replaces the kind's own rule.
var variants = map[string][]spec{
	"API/mcp-server":  {{"definition", text, false, none}, {"remotes", remotes, true, none}},
	"AiResource/rule": {{"category", text, true, none}, {"rationale", text, true, none}},
}

// Kinds returns the names of the kinds that the catalog knows.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// findKind returns the kind that is spelled exactly so, and beside it the one
// that differs in case only.
func findKind(name string) (exact, near *kind) {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i], nil
		}
		if strings.EqualFold(kinds[i].name, name) {
			near = &kinds[i]
		}
	}
	return nil, near
}

// rules returns the fields of a kind for one spec.type.
func (k *kind) rules(specType string) []spec {
	extra := variants[k.name+"/"+specType]
	if len(extra) == 0 {
		return k.fields
	}
	out := append([]spec(nil), k.fields...)
next:
	for _, x := range extra {
		for i := range out {
			if out[i].field == x.field {
				out[i] = x
				continue next
			}
		}
		out = append(out, x)
	}
	return out
}
