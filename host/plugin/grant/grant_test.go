package grant

import (
	"testing"

	"github.com/callboard-dev/callboard/host"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

var (
	token  = &manifestv1.Auth{Type: "bearer", Secret: "token"}
	other  = &manifestv1.Auth{Type: "bearer", Secret: "other"}
	web    = func(hosts ...string) Permission { return Permission{Type: "http/v1", Hosts: hosts} }
	with   = func(p Permission, a *manifestv1.Auth) Permission { p.Auth = a; return p }
	secret = func(p Permission) Permission { p.Private = true; return p }
	store  = func(quota string) Permission { return Permission{Type: "kv/v1", Quota: quota} }
	tables = func(quota string, rows int64) Permission {
		return Permission{Type: "table/v1", Quota: quota, Rows: rows}
	}
	reads = func(kinds ...string) Permission { return Permission{Type: "catalog/v1", Kinds: kinds} }
)

func TestWithin(t *testing.T) {
	for name, c := range map[string]struct {
		inner, outer Permission
		want         bool
	}{
		"Same":                 {web("https://a.example"), web("https://a.example"), true},
		"FewerHosts":           {web("https://a.example"), web("https://a.example", "https://b.example"), true},
		"MoreHosts":            {web("https://a.example", "https://b.example"), web("https://a.example"), false},
		"NoHosts":              {web(), web("https://a.example"), false},
		"HostOfAWildcard":      {web("https://x.a.example"), web("https://*.a.example"), true},
		"WildcardOfAHost":      {web("https://*.a.example"), web("https://x.a.example"), false},
		"NarrowerWildcard":     {web("https://*.x.a.example"), web("https://*.a.example"), true},
		"OtherScheme":          {web("http://a.example"), web("https://a.example"), false},
		"OtherPort":            {web("https://a.example:8443"), web("https://a.example"), false},
		"SameConfig":           {web("${config.url}"), web("${config.url}"), true},
		"HostForConfig":        {web("https://a.example"), web("${config.url}"), false},
		"ConfigForHost":        {web("${config.url}"), web("https://a.example"), false},
		"Junk":                 {web("junk"), web("https://a.example"), false},
		"PrivateDropped":       {web("https://a.example"), secret(web("https://a.example")), true},
		"PrivateAdded":         {secret(web("https://a.example")), web("https://a.example"), false},
		"AuthDropped":          {web("https://a.example"), with(web("https://a.example"), token), true},
		"AuthAdded":            {with(web("https://a.example"), token), web("https://a.example"), false},
		"OtherSecret":          {with(web("https://a.example"), other), with(web("https://a.example"), token), false},
		"SmallerQuota":         {store("1KiB"), store("1MiB"), true},
		"LargerQuota":          {store("1MiB"), store("1KiB"), false},
		"NoQuota":              {store(""), store("1MiB"), false},
		"AnyKindForAll":        {reads("Component"), reads(), true},
		"AllKindsForOne":       {reads(), reads("Component"), false},
		"KindInOtherCase":      {reads("component"), reads("Component", "API"), true},
		"OtherKind":            {reads("User"), reads("Component"), false},
		"SmallerBlobs":         {Permission{Type: "blob/v1", Quota: "1MiB"}, Permission{Type: "blob/v1", Quota: "1GiB"}, true},
		"LargerCache":          {Permission{Type: "cache/v1", Quota: "2MiB"}, Permission{Type: "cache/v1", Quota: "1MiB"}, false},
		"FewerRows":            {tables("1MiB", 10), tables("2MiB", 20), true},
		"MoreRows":             {tables("1MiB", 30), tables("2MiB", 20), false},
		"NoRows":               {tables("1MiB", 0), tables("2MiB", 20), false},
		"MoreBytesOfTables":    {tables("3MiB", 10), tables("2MiB", 20), false},
		"SearchForOneKind":     {Permission{Type: "search/v1", Kinds: []string{"API"}}, Permission{Type: "search/v1"}, true},
		"SearchForAllKinds":    {Permission{Type: "search/v1"}, Permission{Type: "search/v1", Kinds: []string{"API"}}, false},
		"OtherService":         {store("1KiB"), reads(), false},
		"ServiceWithoutPolicy": {Permission{Type: "shell/v1"}, Permission{Type: "shell/v1"}, false},
	} {
		if got := Within(c.inner, c.outer); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestCheck(t *testing.T) {
	asked := []Permission{{Type: "kv/v1", Quota: "1MiB", Reason: "Keeps things."}, reads("Component")}
	got, err := Check(asked, []Permission{{Type: "kv/v1", Quota: "1KiB", Reason: "Something else entirely."}})
	if err != nil || len(got) != 1 || got[0].Quota != "1KiB" || got[0].Reason != "Keeps things." {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = Check(asked, []Permission{store("1KiB"), reads()})
	if e := host.AsError(err); host.CodeOf(err) != host.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/grants/1" {
		t.Errorf("got %v", err)
	}
}

func TestCarry(t *testing.T) {
	for name, c := range map[string]struct {
		asked, granted, next []Permission
		kept, wider          []Permission
	}{
		"Same":                       {[]Permission{store("1MiB")}, []Permission{store("1MiB")}, []Permission{store("1MiB")}, []Permission{store("1MiB")}, nil},
		"NarrowedByTheAdmin":         {[]Permission{store("1MiB")}, []Permission{store("1KiB")}, []Permission{store("1MiB")}, []Permission{store("1KiB")}, nil},
		"NarrowedByTheAuthor":        {[]Permission{store("1MiB")}, []Permission{store("1MiB")}, []Permission{store("1KiB")}, []Permission{store("1KiB")}, nil},
		"RefusedStaysRefused":        {[]Permission{store("1MiB")}, nil, []Permission{store("1MiB")}, nil, nil},
		"Dropped":                    {[]Permission{store("1MiB"), reads()}, []Permission{store("1MiB"), reads()}, []Permission{reads()}, []Permission{reads()}, nil},
		"New":                        {nil, nil, []Permission{reads()}, nil, []Permission{reads()}},
		"Widened":                    {[]Permission{store("1KiB")}, []Permission{store("1KiB")}, []Permission{store("1MiB")}, nil, []Permission{store("1MiB")}},
		"BackToWhatWasGrantedBefore": {[]Permission{store("1B")}, []Permission{store("1KiB")}, []Permission{store("1KiB")}, []Permission{store("1KiB")}, nil},
	} {
		kept, wider := Carry(c.asked, c.granted, c.next)
		if !same(kept, c.kept) || !same(wider, c.wider) {
			t.Errorf("%s: kept %+v, wider %+v", name, kept, wider)
		}
	}
}

func same(a, b []Permission) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !Within(a[i], b[i]) || !Within(b[i], a[i]) {
			return false
		}
	}
	return true
}
