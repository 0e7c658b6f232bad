package grant

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Widened says, a sentence for each, what a new release could do more than the
// old one beside its permissions, which are for Carry. A new operation or view
// is not more: it runs with the rights of whoever calls it and the same grants.
func Widened(old, next *manifestv1.Manifest) []string {
	var out []string
	if old.Runtime != manifestv1.RuntimeProcess && next.Runtime == manifestv1.RuntimeProcess {
		out = append(out, "It runs as a process of its own, no longer in the WebAssembly sandbox.")
	}
	for i := range next.Capabilities {
		n := &next.Capabilities[i]
		at := slices.IndexFunc(old.Capabilities, func(c manifestv1.Capability) bool { return c.Type == n.Type })
		if at < 0 {
			out = append(out, fmt.Sprintf("It offers %s for the first time.", n.Type))
			out = append(out, offers(&manifestv1.Capability{}, n)...)
			continue
		}
		out = append(out, offers(&old.Capabilities[at], n)...)
		out = append(out, weaker(&old.Capabilities[at], n)...)
	}
	for _, s := range next.Secrets {
		if !slices.ContainsFunc(old.Secrets, func(o manifestv1.Secret) bool { return o.Name == s.Name }) {
			out = append(out, fmt.Sprintf("It uses a new secret: “%s”.", s.Name))
		}
	}
	return append(out, limits(old.Limits, next.Limits)...)
}

// offers says what a capability does of its own accord, or lets in, that the
// old one did not.
func offers(old, next *manifestv1.Capability) []string {
	var out []string
	add := func(format string, before, after []string) {
		for _, id := range after {
			if !slices.Contains(before, id) {
				out = append(out, fmt.Sprintf(format, id))
			}
		}
	}
	webhook := func(w manifestv1.Webhook) string { return w.ID }
	subscription := func(s manifestv1.Subscription) string { return s.ID }
	processor := func(p manifestv1.Processor) string { return p.ID }
	job := func(j manifestv1.Job) string { return j.ID }
	add("It has a new public entrance: the webhook “%s”.", ids(old.Webhooks, webhook), ids(next.Webhooks, webhook))
	add("It has a new subscription to events: “%s”.", ids(old.Subscriptions, subscription), ids(next.Subscriptions, subscription))
	add("It has a new processor of entities: “%s”.", ids(old.Processors, processor), ids(next.Processors, processor))
	add("It has a new kind of job in the background: “%s”.", ids(old.Jobs, job), ids(next.Jobs, job))
	out = append(out, oftener("provider of entities", old.Providers, next.Providers)...)
	return append(out, oftener("schedule", old.Schedules, next.Schedules)...)
}

// ids names the members of a list.
func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = id(v)
	}
	return out
}

// oftener says which schedules are new, or run more often.
func oftener(what string, old, next []manifestv1.Schedule) []string {
	var out []string
	for _, s := range next {
		at := slices.IndexFunc(old, func(o manifestv1.Schedule) bool { return o.ID == s.ID })
		if at < 0 {
			out = append(out, fmt.Sprintf("It has a new %s: “%s”, every %s.", what, s.ID, s.Every))
			continue
		}
		before, bad := time.ParseDuration(old[at].Every)
		after, err := time.ParseDuration(s.Every)
		if bad != nil || err != nil || after < before {
			out = append(out, fmt.Sprintf("Its %s “%s” runs every %s, before every %s.", what, s.ID, s.Every, old[at].Every))
		}
	}
	return out
}

// rank orders the rights that operations need: fewer people have the higher ones.
func rank(a host.Action) int {
	return slices.Index([]host.Action{host.ActionOperationRead, host.ActionOperationWrite, host.ActionOperationAdmin}, a)
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// right is the name of a right as manifests write it.
func right(a host.Action) string { return strings.TrimPrefix(string(a), "plugin.operation.") }

// weaker says which operations need a lesser right than before.
func weaker(old, next *manifestv1.Capability) []string {
	if len(old.OpenAPI) == 0 || bytes.Equal(old.OpenAPI, next.OpenAPI) {
		return nil
	}
	before, _ := fragment.Compile(old.OpenAPI)
	after, _ := fragment.Compile(next.OpenAPI)
	if before == nil || after == nil {
		return []string{"Who may call its operations cannot be compared with before."}
	}
	needed := map[string]host.Action{}
	key := func(method, path string) string { return method + " " + placeholder.ReplaceAllString(path, "{}") }
	for _, o := range before.Operations {
		needed[key(o.Method, o.Path)] = o.Access
	}
	var out []string
	for _, o := range after.Operations {
		if was, ok := needed[key(o.Method, o.Path)]; ok && rank(o.Access) < rank(was) {
			out = append(out, fmt.Sprintf("More people may call %s %s: it needs the right %s, before %s.", o.Method, o.Path, right(o.Access), right(was)))
		}
	}
	return out
}

// limits says which limits are higher than they were, or named for the first
// time; without a name the host's default holds.
func limits(old, next manifestv1.Limits) []string {
	o, n := limit.Of(old), limit.Of(next)
	count := func(v int64) string { return fmt.Sprint(v) }
	span := func(v int64) string { return time.Duration(v).String() }
	var out []string
	for _, l := range []struct {
		what          string
		before, after int64
		say           func(int64) string
	}{
		{"run for", int64(o.Timeout), int64(n.Timeout), span},
		{"use as memory", o.Memory, n.Memory, manifest.FormatBytes},
		{"execute as fuel", o.Fuel, n.Fuel, count},
		{"take as a request", o.Input, n.Input, manifest.FormatBytes},
		{"give as an answer", o.Output, n.Output, manifest.FormatBytes},
		{"make as calls of the host", o.HostCalls, n.HostCalls, count},
		{"move in calls of the host", o.HostBytes, n.HostBytes, manifest.FormatBytes},
		{"log in a second", o.LogRate, n.LogRate, manifest.FormatBytes},
		{"run at the same time", int64(o.Concurrency), int64(n.Concurrency), count},
	} {
		if l.after <= l.before {
			continue
		}
		was := "the host's default"
		if l.before > 0 {
			was = l.say(l.before)
		}
		out = append(out, fmt.Sprintf("What a call may %s: %s, before %s.", l.what, l.say(l.after), was))
	}
	return out
}
