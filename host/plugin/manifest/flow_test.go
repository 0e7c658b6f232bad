package manifest

import (
	"os"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
)

// TestFlow reads the example plugin that has one of everything that runs
// behind the scenes, and breaks it in each way.
func TestFlow(t *testing.T) {
	raw, err := os.ReadFile("../../../examples/release-desk/plugin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	m, err := Parse(raw, "plugin.yaml")
	if err != nil {
		t.Fatal(ProblemsOf(err), err)
	}
	if c := m.Capabilities; c[0].Processors[0].Phases[1] != "post" || c[1].Providers[0].Every != "10m" || c[2].Subscriptions[0].MaxAttempts != 5 || c[3].Webhooks[0].Secret != "signing" || c[4].Jobs[0].ID != "count" {
		t.Errorf("%+v", c)
	}
	swap := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("the good manifest has no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	auth := func(text string) string {
		return swap("permissions:\n", "permissions:\n  - type: http/v1\n    hosts: [\"https://api.example.com\"]\n    reason: Asks the upstream.\n    auth: "+text+"\n")
	}
	for name, c := range map[string]struct{ src, says, hint string }{
		"UnknownPhase":         {swap("phases: [pre, post]", "phases: [late]"), "must be one of", ""},
		"ProcessorTwice":       {swap("    processors:\n", "    processors:\n      - { id: stamp, phases: [pre] }\n"), "another one has", ""},
		"WithoutWrite":         {swap("    write: true\n", ""), "without a permission of type catalog/v1 with write", "add it"},
		"ProviderTooOften":     {swap("every: 10m", "every: 1s"), `is "1s"`, "at least 1m"},
		"UnknownTopic":         {swap("topics: [catalog.entity.changed]", "topics: [catalog.entity.change]"), "no topic of the core", `did you mean "catalog.entity.changed"`},
		"TopicNotAskedFor":     {swap("topics: [catalog.entity.changed]", "topics: [plugin.enabled]"), "no permission asks for", "subscribe"},
		"TopicWiderThanAsked":  {swap("topics: [catalog.entity.changed]", "topics: [\"catalog.*\"]"), "no permission asks for", ""},
		"OddTopic":             {swap("topics: [catalog.entity.changed]", "topics: [\"*.changed\"]"), "does not match", ""},
		"SubscriptionTwice":    {swap("id: own,", "id: changes,"), "another one has", ""},
		"UnknownScheme":        {swap("scheme: github", "scheme: githup"), "must be one of", `did you mean "github"`},
		"HMACWithoutHeader":    {swap("scheme: github", "scheme: hmac"), `lacks "header"`, ""},
		"HeaderOfAnother":      {swap("scheme: github", "scheme: github, header: X-Sig"), "does not belong here", ""},
		"UnknownWebhookSecret": {swap("secret: signing,", "secret: signin,"), "not one of the manifest's secrets", `did you mean "signing"`},
		"HugeWebhook":          {swap("maxBody: 64KiB", "maxBody: 6MiB"), `is "6MiB"`, "at most 5MiB"},
		"JobsWithoutPermission": {swap("  - type: job/v1\n    waiting: 1000\n    reason: Counts in the background, so that nobody waits for it.\n", ""),
			"without a permission of type job/v1", ""},
		"TooManyJobs":        {swap("waiting: 1000", "waiting: 1000000000"), "", ""},
		"OddPublish":         {swap("publish: [counted]", "publish: [\"a/b\"]"), "does not match", ""},
		"EventsForNothing":   {swap("    subscribe: [catalog.entity.changed, acme/release-desk/*]\n    publish: [counted]\n", ""), "", ""},
		"MetricTwice":        {swap("    metrics:\n", "    metrics:\n      - { name: counted, kind: gauge }\n"), "another metric has", ""},
		"OwnTenantLabel":     {swap("labels: [what]", "labels: [tenant]"), "the host sets", "another name"},
		"FallingBuckets":     {swap("kind: counter, description: What was counted., labels: [what]", "kind: histogram, buckets: [2, 1]"), "not above", "smallest"},
		"BucketsOfACounter":  {swap("labels: [what]", "buckets: [1]"), "does not belong here", ""},
		"TokenFromElsewhere": {auth("{type: oauth2, secret: signing, clientId: x, tokenUrl: \"https://login.example.com/token\"}"), "no permission asks for", "hosts"},
		"TokenFromNowhere":   {auth("{type: oauth2, secret: signing, clientId: x, tokenUrl: \"login\"}"), "not a URL for tokens", ""},
		"TokenWithPassword":  {auth("{type: oauth2, secret: signing, clientId: x, tokenUrl: \"https://u:p@api.example.com/\"}"), "not a URL for tokens", ""},
		"NoClient":           {auth("{type: oauth2, secret: signing, tokenUrl: \"https://api.example.com/token\"}"), `lacks "clientId"`, ""},
		"GoogleFromNowhere":  {auth("{type: google, secret: signing, scopes: [a]}"), "oauth2.googleapis.com", ""},
		"GitHubFromNowhere":  {auth("{type: github-app, secret: signing, appId: \"1\", installationId: \"2\"}"), "api.github.com", ""},
		"ConfigIsNotThere":   {auth("{type: aws, secret: signing, accessKeyId: \"${config.key}\", service: ce, region: r}"), "does not have", ""},
		"FieldOfAnotherKind": {auth("{type: aws, secret: signing, accessKeyId: a, service: ce, region: r, scopes: [x]}"), "does not belong here", ""},
		"UnknownAuth":        {auth("{type: kerberos, secret: signing}"), "must be one of", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.src), "plugin.yaml")
			if host.CodeOf(err) != host.CodeInvalid {
				t.Fatalf("got %v", err)
			}
			found := false
			for _, p := range ProblemsOf(err) {
				found = found || strings.Contains(p.Message, c.says) && strings.Contains(p.Hint, c.hint) && strings.HasPrefix(p.Where, "plugin.yaml:")
			}
			if !found {
				t.Errorf("got %v", ProblemsOf(err))
			}
		})
	}
	t.Run("TokensFromAGrantedOrigin", func(t *testing.T) {
		for _, text := range []string{
			`{type: oauth2, secret: signing, clientId: x, tokenUrl: "https://api.example.com/token", scopes: ["a:b"], style: body}`,
			`{type: github-app, secret: signing, appId: "1", installationId: "2", apiUrl: "https://api.example.com"}`,
			`{type: aws, secret: signing, accessKeyId: a, service: ce, region: us-east-1}`,
		} {
			if _, err := Parse([]byte(auth(text)), "plugin.yaml"); err != nil {
				t.Errorf("%s: %v", text, ProblemsOf(err))
			}
		}
	})
}

func TestTopicCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, topic string
		want           bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.b*", false}, {"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.b*", "a.*", false}, {"*", "a.b", true},
		{"*", "acme/x/y", false}, {"acme/x/*", "acme/x/y", true}, {"acme/x/*", "acme/xx/y", false}, {"acme*", "acme/x/y", false}, {"acme/*", "acme/x/y", true},
	} {
		if got := TopicCovers(c.pattern, c.topic); got != c.want {
			t.Errorf("%q covers %q: %v", c.pattern, c.topic, got)
		}
	}
}
