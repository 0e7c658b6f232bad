package grant

import (
	"encoding/json"
	"strings"
	"testing"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// TestEveryPermissionHasWords: what can be asked for can be read by people.
func TestEveryPermissionHasWords(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct {
				Enum []string `json:"enum"`
			} `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(manifestv1.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	types := schema.Defs["permission"].Properties["type"].Enum
	if len(types) < 10 {
		t.Fatalf("the schema names %v", types)
	}
	for _, service := range types {
		if w := Words(Permission{Type: service}, nil); w.Verb == "Use" {
			t.Errorf("%s has no words", service)
		}
	}
}

func signed(a manifestv1.Auth) Permission {
	a.Secret = "token"
	return Permission{Type: "http/v1", Hosts: []string{"https://a"}, Auth: &a}
}

// TestBefore: what is wider stands beside what was granted of its type.
func TestBefore(t *testing.T) {
	had := []Permission{store("1MiB"), signed(manifestv1.Auth{Type: "bearer"})}
	if got := Before(had, signed(manifestv1.Auth{Type: "query", Name: "key"}), nil); !strings.HasPrefix(got, "So far: Reach https://a.") || strings.Contains(got, "address") {
		t.Errorf("got %q", got)
	}
	if got := Before(had, reads(), nil); got != "" {
		t.Errorf("nothing was granted, got %q", got)
	}
}

// TestWords: whatever widens a permission is said.
func TestWords(t *testing.T) {
	for name, c := range map[string]struct {
		p    Permission
		says []string
	}{
		"Hosts":        {Permission{Type: "http/v1", Hosts: []string{"https://a.example", "${config.url}"}}, []string{"Reach https://a.example, the host of “url” in its configuration"}},
		"Private":      {Permission{Type: "http/v1", Hosts: []string{"https://a"}, Private: true}, []string{"your own network"}},
		"Secret":       {Permission{Type: "http/v1", Hosts: []string{"https://a"}, Auth: &manifestv1.Auth{Type: "bearer", Secret: "token"}}, []string{"the secret “token”"}},
		"Query":        {signed(manifestv1.Auth{Type: "query", Name: "key"}), []string{"in the address of the request as key"}},
		"Header":       {signed(manifestv1.Auth{Type: "header", Name: "X-Key"}), []string{"in the header X-Key"}},
		"Basic":        {signed(manifestv1.Auth{Type: "basic", Username: "ann"}), []string{"password of the user ann"}},
		"OAuth":        {signed(manifestv1.Auth{Type: "oauth2", TokenURL: "https://t", ClientID: "c", Scopes: []string{"all"}, Audience: "them"}), []string{"https://t", "client c for all and the audience them"}},
		"AWS":          {signed(manifestv1.Auth{Type: "aws", AccessKeyID: "AK", Service: "s3", Region: "eu"}), []string{"AWS access key AK, for s3 in eu"}},
		"Google":       {signed(manifestv1.Auth{Type: "google", Scopes: []string{"read"}}), []string{"Google token for read"}},
		"GitHubApp":    {signed(manifestv1.Auth{Type: "github-app", AppID: "1", InstallationID: "2"}), []string{"https://api.github.com", "App 1, installation 2"}},
		"CatalogRead":  {Permission{Type: "catalog/v1", Kinds: []string{"API"}}, []string{"Read from the catalog API"}},
		"CatalogWrite": {Permission{Type: "catalog/v1", Write: true}, []string{"change", "entities of all kinds", "remove"}},
		"Tables":       {Permission{Type: "table/v1", Quota: "1MiB", Rows: 9, Tables: []manifestv1.Table{{Name: "runs"}}}, []string{"1MiB and 9 rows", "Tables: runs."}},
		"Mail":         {Permission{Type: "mail/v1", Domains: []string{"*"}, PerHour: 5}, []string{"any address", "5 recipients an hour"}},
		"MailDomains":  {Permission{Type: "mail/v1", Domains: []string{"a.example"}}, []string{"addresses at a.example"}},
		"Events":       {Permission{Type: "event/v1", Publish: []string{"built"}, Subscribe: []string{"catalog.*"}}, []string{"Tell other plugins of built", "Hears of: catalog.*."}},
		"Hears":        {Permission{Type: "event/v1", Subscribe: []string{"catalog.*"}}, []string{"Hear of catalog.*"}},
		"Jobs":         {Permission{Type: "job/v1", Waiting: 3}, []string{"at most 3 jobs"}},
		"Metrics":      {Permission{Type: "metric/v1", Metrics: []manifestv1.Metric{{Name: "builds"}}}, []string{"builds"}},
		"Search":       {Permission{Type: "search/v1", Kinds: []string{"API"}}, []string{"Search the catalog among API", "rights"}},
		"Unknown":      {Permission{Type: "moon/v1"}, []string{"Use moon/v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range c.says {
				if got := Words(c.p, nil).String(); !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
		})
	}
}
