package grant

import (
	"reflect"
	"testing"
	"time"
)

func TestNarrow(t *testing.T) {
	config := map[string]any{"server": "https://prom.example.com:9090"}
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	use := func(service, target string) Use { return Use{service, target, 3, at} }
	cases := []struct {
		name string
		in   Permission
		uses []Use
		want []Permission
	}{
		{"UnusedGoes", Permission{Type: "kv/v1", Quota: "1MiB"}, []Use{use("http/v1", "https://a.example.com")}, []Permission{}},
		{"UsedStays", Permission{Type: "kv/v1", Quota: "1MiB"}, []Use{use("kv/v1", "")}, []Permission{{Type: "kv/v1", Quota: "1MiB"}}},
		{"UnusedHostsGo", Permission{Type: "http/v1", Hosts: []string{"https://a.example.com", "https://b.example.com"}},
			[]Use{use("http/v1", "https://b.example.com")}, []Permission{{Type: "http/v1", Hosts: []string{"https://b.example.com"}}}},
		{"PatternsBecomeWhatWasReached", Permission{Type: "http/v1", Hosts: []string{"https://*.example.com"}},
			[]Use{use("http/v1", "https://b.example.com"), use("http/v1", "https://c.example.com")},
			[]Permission{{Type: "http/v1", Hosts: []string{"https://b.example.com", "https://c.example.com"}}}},
		{"ConfiguredHostsStayAsWritten", Permission{Type: "http/v1", Hosts: []string{"${config.server}", "https://a.example.com"}},
			[]Use{use("http/v1", "https://prom.example.com:9090")}, []Permission{{Type: "http/v1", Hosts: []string{"${config.server}"}}}},
		{"HostsOfOthersDoNotCount", Permission{Type: "http/v1", Hosts: []string{"https://a.example.com"}},
			[]Use{use("http/v1", "https://evil.example.com")}, []Permission{}},
		{"KindsNarrow", Permission{Type: "catalog/v1"}, []Use{use("catalog/v1", "component")}, []Permission{{Type: "catalog/v1", Kinds: []string{"component"}}}},
		{"AUseOfAnythingKeepsAll", Permission{Type: "catalog/v1"}, []Use{use("catalog/v1", ""), use("catalog/v1", "component")}, []Permission{{Type: "catalog/v1"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Narrow(Compare([]Permission{c.in}, c.uses, config))
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			for _, g := range got {
				if !Within(g, c.in) {
					t.Errorf("%+v is wider than %+v", g, c.in)
				}
			}
		})
	}
}
