package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin/schema"
	tables "github.com/callboard-dev/callboard/host/table/schema"
	eventv1 "github.com/callboard-dev/callboard/schemas/capability/event/v1"
	"github.com/callboard-dev/callboard/schemas/capability/job/v1"
	"github.com/callboard-dev/callboard/schemas/capability/processor/v1"
	"github.com/callboard-dev/callboard/schemas/capability/provider/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
)

// MaxWebhookBody is the largest body that a webhook may ask for.
const MaxWebhookBody = 5 << 20

// offers checks the capabilities that work behind the scenes: processors,
// providers, subscriptions, webhooks and jobs.
func (c *checker) offers(m *manifestv1.Manifest, capability *manifestv1.Capability, at []string) {
	c.unique(at, "processors", ids(capability.Processors, func(p manifestv1.Processor) string { return p.ID }))
	c.schedules(capability.Providers, append(slices.Clone(at), "providers"))
	c.unique(at, "subscriptions", ids(capability.Subscriptions, func(s manifestv1.Subscription) string { return s.ID }))
	c.unique(at, "webhooks", ids(capability.Webhooks, func(w manifestv1.Webhook) string { return w.ID }))
	c.unique(at, "jobs", ids(capability.Jobs, func(j manifestv1.Job) string { return j.ID }))
	switch capability.Type {
	case processor.Name, provider.Name:
		c.needs(m, at, capability.Type, func(p *manifestv1.Permission) bool { return p.Type == catalogv1.Name && p.Write },
			"a permission of type catalog/v1 with write: true")
	case job.Name:
		c.needs(m, at, capability.Type, func(p *manifestv1.Permission) bool { return p.Type == job.Name }, "a permission of type job/v1")
	}
	for i, s := range capability.Subscriptions {
		c.topics(m, s.Topics, append(slices.Clone(at), "subscriptions", strconv.Itoa(i), "topics"))
	}
	for i, w := range capability.Webhooks {
		here := append(slices.Clone(at), "webhooks", strconv.Itoa(i))
		c.secretExists(m, w.Secret, append(slices.Clone(here), "secret"))
		if n, err := Bytes(w.MaxBody); w.MaxBody != "" && (err != nil || n > MaxWebhookBody) {
			c.fault(append(here, "maxBody"), fmt.Sprintf("is %q", w.MaxBody), "write at most 5MiB")
		}
	}
}

func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = id(v)
	}
	return out
}

// unique refuses an id that comes twice in a list.
func (c *checker) unique(at []string, list string, ids []string) {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			c.faultf(append(slices.Clone(at), list, strconv.Itoa(i), "id"), "is %q, which another one has", id)
		}
	}
}

// needs refuses a capability that cannot work without a permission.
func (c *checker) needs(m *manifestv1.Manifest, at []string, capability string, has func(*manifestv1.Permission) bool, what string) {
	for i := range m.Permissions {
		if has(&m.Permissions[i]) {
			return
		}
	}
	c.fault(append(slices.Clone(at), "type"), fmt.Sprintf("offers %s without %s", capability, what), "add it to permissions, with its reason")
}

// topics checks that what is subscribed to is asked for, and could exist.
func (c *checker) topics(m *manifestv1.Manifest, topics, at []string) {
	var asked []string
	for _, p := range m.Permissions {
		asked = append(asked, p.Subscribe...)
	}
	for i, t := range topics {
		here := append(slices.Clone(at), strconv.Itoa(i))
		if !knownTopic(t) {
			hint := "topics of plugins are namespace/name/topic"
			if near := schema.Nearest(t, eventv1.CoreTopics()); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			c.fault(here, fmt.Sprintf("is %q, which no topic of the core is", t), hint)
			continue
		}
		if !slices.ContainsFunc(asked, func(a string) bool { return TopicCovers(a, t) }) {
			c.fault(here, fmt.Sprintf("is %q, which no permission asks for", t), "add it to subscribe of a permission event/v1, with its reason")
		}
	}
}

// knownTopic reports whether a pattern could match: one of the core, or one of
// a plugin, whose topics nobody can list.
func knownTopic(pattern string) bool {
	return strings.Contains(pattern, "/") || slices.ContainsFunc(eventv1.CoreTopics(), func(t string) bool { return TopicCovers(pattern, t) })
}

// TopicCovers reports whether every topic that other stands for is one that
// pattern stands for. A pattern is a topic, or the beginning of topics before
// a "*"; a beginning without a slash stands for topics of the core alone, so
// that "*" is no door to what plugins tell each other.
func TopicCovers(pattern, other string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	rest, otherWild := strings.CutSuffix(other, "*")
	if !wild {
		return !otherWild && pattern == other
	}
	return strings.HasPrefix(rest, prefix) && strings.Contains(prefix, "/") == strings.Contains(rest, "/")
}

// secretExists refuses the name of a secret that the manifest does not have.
func (c *checker) secretExists(m *manifestv1.Manifest, name string, at []string) {
	known := ids(m.Secrets, func(s manifestv1.Secret) string { return s.Name })
	if slices.Contains(known, name) {
		return
	}
	hint := "add it to secrets"
	if near := schema.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.fault(at, fmt.Sprintf("names %q, which is not one of the manifest's secrets", name), hint)
}

// secretUsed reports whether the host has a use for a secret.
func secretUsed(m *manifestv1.Manifest, name string) bool {
	return slices.ContainsFunc(m.Permissions, func(p manifestv1.Permission) bool {
		return p.Auth != nil && p.Auth.Secret == name
	}) || slices.ContainsFunc(m.Capabilities, func(o manifestv1.Capability) bool {
		return slices.ContainsFunc(o.Webhooks, func(w manifestv1.Webhook) bool { return w.Secret == name })
	})
}

// tables checks what a permission says of its tables: each of their names means
// something, and migrations lead to the version that is declared.
func (c *checker) tables(p *manifestv1.Permission, at []string) {
	if len(p.Tables) == 0 {
		return
	}
	_, faults := tables.Compile(p.Tables, nil)
	for _, f := range faults {
		c.fault(append(append(slices.Clone(at), "tables"), f.Path...), f.Message, f.Hint)
	}
	for _, f := range tables.CheckMigrations(p.Version, p.Migrations) {
		c.fault(append(append(slices.Clone(at), "migrations"), f.Path...), f.Message, f.Hint)
	}
}
