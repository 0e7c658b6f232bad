package grant

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	blobv1 "github.com/callboard-dev/callboard/schemas/service/blob/v1"
	cachev1 "github.com/callboard-dev/callboard/schemas/service/cache/v1"
	catalogv1 "github.com/callboard-dev/callboard/schemas/service/catalog/v1"
	eventv1 "github.com/callboard-dev/callboard/schemas/service/event/v1"
	httpv1 "github.com/callboard-dev/callboard/schemas/service/http/v1"
	jobv1 "github.com/callboard-dev/callboard/schemas/service/job/v1"
	kvv1 "github.com/callboard-dev/callboard/schemas/service/kv/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	searchv1 "github.com/callboard-dev/callboard/schemas/service/search/v1"
	tablev1 "github.com/callboard-dev/callboard/schemas/service/table/v1"
)

// Wording is what a permission allows, in the words that people read before
// they consent. Whatever widens a permission must be in it.
type Wording struct {
	// Verb and Object belong together: "Reach" "https://api.github.com".
	Verb, Object string
	// Notes say what else follows from it.
	Notes []string
}

// String is the wording in one line.
func (w Wording) String() string {
	text := strings.TrimSpace(w.Verb + " " + w.Object)
	if len(w.Notes) > 0 {
		text += ". " + strings.Join(w.Notes, " ")
	}
	return text
}

// rights says with whose rights the catalog is read.
const rights = "With the rights of whoever looks at it."

// Words says what a permission allows. SecretTitle turns a secret's name into
// what people know it by; nil leaves the name.
func Words(p Permission, secretTitle func(name string) string) Wording {
	upTo := cmp.Or(p.Quota, "the default quota")
	switch p.Type {
	case httpv1.Name:
		return reach(p, secretTitle)
	case kvv1.Name:
		return Wording{Verb: "Keep data of its own, up to", Object: upTo}
	case tablev1.Name:
		return tablesOf(p, upTo)
	case blobv1.Name:
		return Wording{Verb: "Keep files of its own, up to", Object: upTo}
	case cachev1.Name:
		return Wording{Verb: "Remember values for a time, up to", Object: upTo}
	case catalogv1.Name:
		return catalogOf(p)
	case searchv1.Name:
		return Wording{Verb: "Search the catalog", Object: among(p.Kinds), Notes: []string{rights}}
	case eventv1.Name:
		return eventsOf(p)
	case jobv1.Name:
		return Wording{Verb: "Work in the background", Object: counted(p.Waiting, "at most %d jobs at a time")}
	case mailv1.Name:
		return mailTo(p)
	case metricv1.Name:
		names := make([]string, 0, len(p.Metrics))
		for _, m := range p.Metrics {
			names = append(names, m.Name)
		}
		return Wording{Verb: "Add to the host's metrics", Object: strings.Join(names, ", ")}
	}
	return Wording{Verb: "Use", Object: p.Type}
}

func counted(n int, format string) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// among names kinds, if there is a choice of them.
func among(kinds []string) string {
	if len(kinds) == 0 {
		return ""
	}
	return "among " + strings.Join(kinds, ", ")
}

func reach(p Permission, secretTitle func(string) string) Wording {
	hosts := make([]string, len(p.Hosts))
	for i, h := range p.Hosts {
		hosts[i] = h
		if key, ok := strings.CutPrefix(h, "${config."); ok {
			hosts[i] = "the host of “" + strings.TrimSuffix(key, "}") + "” in its configuration"
		}
	}
	w := Wording{Verb: "Reach", Object: strings.Join(hosts, ", ")}
	if p.Auth != nil {
		name := p.Auth.Secret
		if secretTitle != nil {
			name = secretTitle(name)
		}
		w.Notes = append(w.Notes, "Uses the secret “"+name+"”: the host signs requests with it, the plugin never sees it.")
		if how := sent(p.Auth); how != "" {
			w.Notes = append(w.Notes, how)
		}
	}
	if p.Private {
		w.Notes = append(w.Notes, "Private addresses too: it may reach into your own network.")
	}
	return w
}

// sent says how a secret goes out, where it is not as a bearer token.
func sent(a *manifestv1.Auth) string {
	scopes := ""
	if len(a.Scopes) > 0 {
		scopes = " for " + strings.Join(a.Scopes, ", ")
	}
	switch a.Type {
	case "query":
		return "It goes in the address of the request as " + a.Name + "."
	case "header":
		return "It goes in the header " + a.Name + "."
	case "basic":
		return "It goes as the password of the user " + a.Username + "."
	case "oauth2":
		if a.Audience != "" {
			scopes += " and the audience " + a.Audience
		}
		return "The host changes it at " + a.TokenURL + " into an OAuth 2.0 token of the client " + a.ClientID + scopes + "."
	case "aws":
		return "It signs as the AWS access key " + a.AccessKeyID + ", for " + a.Service + " in " + a.Region + "."
	case "google":
		return "The host changes it into a Google token" + scopes + "."
	case "github-app":
		return "The host changes it at " + cmp.Or(a.APIURL, manifest.GitHubAPI) + " into a token of the GitHub App " + a.AppID + ", installation " + a.InstallationID + "."
	}
	return ""
}

// Before says what permissions of p's type were granted so far, for people who
// compare them with p; empty if there were none.
func Before(granted []Permission, p Permission, secretTitle func(name string) string) string {
	var old []string
	for _, g := range granted {
		if g.Type == p.Type {
			old = append(old, Words(g, secretTitle).String())
		}
	}
	if len(old) == 0 {
		return ""
	}
	return "So far: " + strings.Join(old, "; ")
}

func tablesOf(p Permission, upTo string) Wording {
	names := make([]string, 0, len(p.Tables))
	for _, t := range p.Tables {
		names = append(names, t.Name)
	}
	w := Wording{Verb: "Keep tables of its own, up to", Object: upTo}
	if p.Rows > 0 {
		w.Object += fmt.Sprintf(" and %d rows", p.Rows)
	}
	if len(names) > 0 {
		w.Notes = append(w.Notes, "Tables: "+strings.Join(names, ", ")+".")
	}
	return w
}

func catalogOf(p Permission) Wording {
	if !p.Write {
		if len(p.Kinds) == 0 {
			return Wording{Verb: "Read the catalog", Notes: []string{rights}}
		}
		return Wording{Verb: "Read from the catalog", Object: strings.Join(p.Kinds, ", "), Notes: []string{rights}}
	}
	object := "entities of all kinds"
	if len(p.Kinds) > 0 {
		object = strings.Join(p.Kinds, ", ")
	}
	return Wording{Verb: "Read and change in the catalog", Object: object,
		Notes: []string{"Its processors and providers may add, change and remove these entities."}}
}

func eventsOf(p Permission) Wording {
	w := Wording{Verb: "Tell other plugins of", Object: strings.Join(p.Publish, ", ")}
	if len(p.Subscribe) == 0 {
		return w
	}
	heard := strings.Join(p.Subscribe, ", ")
	if len(p.Publish) == 0 {
		return Wording{Verb: "Hear of", Object: heard}
	}
	w.Notes = append(w.Notes, "Hears of: "+heard+".")
	return w
}

func mailTo(p Permission) Wording {
	to := "addresses at " + strings.Join(p.Domains, ", ")
	if slices.Contains(p.Domains, "*") {
		to = "any address"
	}
	w := Wording{Verb: "Send mail to", Object: to}
	if p.PerHour > 0 {
		w.Notes = append(w.Notes, fmt.Sprintf("At most %d recipients an hour.", p.PerHour))
	}
	return w
}
