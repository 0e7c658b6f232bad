package grant

import (
	"testing"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

func TestWithinOfWhatRunsBehindTheScenes(t *testing.T) {
	writes := Permission{Type: "catalog/v1", Write: true, Kinds: []string{"System"}}
	events := func(publish, subscribe []string) Permission {
		return Permission{Type: "event/v1", Publish: publish, Subscribe: subscribe}
	}
	list := func(s ...string) []string { return s }
	jobs := func(n int) Permission { return Permission{Type: "job/v1", Waiting: n} }
	mail := func(perHour int, domains ...string) Permission {
		return Permission{Type: "mail/v1", PerHour: perHour, Domains: domains}
	}
	seen := manifestv1.Metric{Name: "seen", Kind: "counter", Labels: []string{"a"}}
	changed := seen
	changed.Labels = []string{"a", "b"}
	metrics := func(m ...manifestv1.Metric) Permission { return Permission{Type: "metric/v1", Metrics: m} }
	oauth := func(scopes ...string) Permission {
		return Permission{Type: "http/v1", Hosts: []string{"https://a.example"}, Auth: &manifestv1.Auth{Type: "oauth2", Secret: "s", Scopes: scopes}}
	}
	for name, c := range map[string]struct {
		inner, outer Permission
		want         bool
	}{
		"WriteDropped":      {Permission{Type: "catalog/v1", Kinds: []string{"System"}}, writes, true},
		"WriteAdded":        {writes, Permission{Type: "catalog/v1"}, false},
		"SameEvents":        {events(list("a"), list("catalog.*")), events(list("a"), list("catalog.*")), true},
		"FewerEvents":       {events(nil, list("catalog.entity.changed")), events(list("a"), list("catalog.*")), true},
		"OtherTopic":        {events(list("b"), nil), events(list("a"), nil), false},
		"WiderTopic":        {events(nil, list("catalog.*")), events(nil, list("catalog.entity.changed")), false},
		"PluginsByTheCore":  {events(nil, list("acme/board/x")), events(nil, list("*")), false},
		"CoreByPlugins":     {events(nil, list("catalog.entity.changed")), events(nil, list("c*/")), false},
		"BelowAPlugin":      {events(nil, list("acme/board/x*")), events(nil, list("acme/board/*")), true},
		"AllPluginsForOne":  {events(nil, list("acme/*")), events(nil, list("acme/board/*")), false},
		"FewerJobs":         {jobs(5), jobs(10), true},
		"MoreJobs":          {jobs(11), jobs(10), false},
		"NoJobs":            {jobs(0), jobs(10), false},
		"FewerRecipients":   {mail(5, "a.example"), mail(10, "a.example", "b.example"), true},
		"MoreRecipients":    {mail(11, "a.example"), mail(10, "a.example"), false},
		"OtherDomain":       {mail(5, "c.example"), mail(10, "a.example"), false},
		"DomainOfAll":       {mail(5, "a.example"), mail(10, "*"), true},
		"AllForADomain":     {mail(5, "*"), mail(10, "a.example"), false},
		"BelowADomain":      {mail(5, "x.a.example"), mail(10, "*.a.example"), true},
		"NotBelowADomain":   {mail(5, "a.example"), mail(10, "*.a.example"), false},
		"LooksLikeBelow":    {mail(5, "evila.example"), mail(10, "*.a.example"), false},
		"NobodyToWriteTo":   {mail(5), mail(10, "*"), false},
		"FewerMetrics":      {metrics(seen), metrics(seen, changed), true},
		"ChangedMetric":     {metrics(changed), metrics(seen), false},
		"NoMetrics":         {metrics(), metrics(seen), false},
		"SameScopes":        {oauth("read"), oauth("read"), true},
		"OtherScopes":       {oauth("read", "write"), oauth("read"), false},
		"TracesNeedNoGrant": {Permission{Type: "trace/v1"}, Permission{Type: "trace/v1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Within(c.inner, c.outer); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
