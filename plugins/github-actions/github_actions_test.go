package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
)

const petstore = "component:default/petstore"

func entity(slug string) map[string]any {
	metadata := map[string]any{"name": "petstore"}
	if slug != "" {
		metadata["annotations"] = map[string]string{annotationSlug: slug}
	}
	return map[string]any{"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": metadata,
		"spec": map[string]any{"type": "service", "owner": "team-a", "lifecycle": "production"}}
}

// github answers like api.github.com, with the published examples.
type github struct {
	t *testing.T
	// limitedUntil is the reset of a used-up rate limit, or zero.
	limitedUntil time.Time
	// status overrides every answer.
	status int
	header map[string]string
	posted []string
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Authorization") != "Bearer the-token":
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
	case r.Header.Get("X-Github-Api-Version") != apiVersion || r.Header.Get("Accept") != "application/vnd.github+json":
		http.Error(w, `{"message":"wrong version"}`, http.StatusBadRequest)
	case !g.limitedUntil.IsZero():
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(g.limitedUntil.Unix(), 10))
		http.Error(w, `{"message":"API rate limit exceeded"}`, http.StatusForbidden)
	case g.status != 0:
		for k, v := range g.header {
			w.Header().Set(k, v)
		}
		http.Error(w, `{"message":"no"}`, g.status)
	case r.Method == http.MethodPost:
		g.posted = append(g.posted, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "{}")
	case strings.HasSuffix(r.URL.Path, "/jobs"):
		g.file(w, "jobs.json")
	default:
		g.file(w, "runs.json")
	}
}

func (g *github) file(w http.ResponseWriter, name string) {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		g.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b)
}

func open(t *testing.T, g *github, slug string) *sdktest.Host {
	return sdktest.New(t, New(), sdktest.Upstream("https://api.github.com", g),
		sdktest.Secret("token", "the-token"), sdktest.Entities(entity(slug)))
}

func request(operation string, extra map[string]string, query map[string][]string) route.Request {
	params := map[string]string{"kind": "component", "namespace": "default", "name": "petstore"}
	for k, v := range extra {
		params[k] = v
	}
	return route.Request{OperationID: operation, Params: params, Query: query}
}

func TestRuns(t *testing.T) {
	t.Run("answers GitHub's published example", func(t *testing.T) {
		g := &github{t: t}
		host := open(t, g, "octo-org/octo-repo")
		var out runs
		if err := host.RouteJSON(request("githubActionsRuns", nil, map[string][]string{"branch": {"master"}, "limit": {"5"}}), &out); err != nil {
			t.Fatal(err)
		}
		if out.Repository != "octo-org/octo-repo" || out.Stale || len(out.Runs) != 1 {
			t.Fatalf("runs = %+v", out)
		}
		got := out.Runs[0]
		if got.ID != 30433642 || got.Name != "Build" || got.Number != 562 || got.Branch != "master" || got.Status != "queued" ||
			got.Conclusion != "" || got.Title != "Update README.md" || got.Actor != "octocat" {
			t.Errorf("run = %+v", got)
		}
		sent := host.Requests()[0]
		if !strings.HasSuffix(sent.URL, "/repos/octo-org/octo-repo/actions/runs?branch=master&per_page=5") {
			t.Errorf("asked %s", sent.URL)
		}
	})
	for name, slug := range map[string]string{
		"a path":               "octo-org/../../user",
		"dots":                 "octo-org/..",
		"no repository":        "octo-org",
		"a host":               "https://evil.example/octo",
		"a query":              "octo-org/repo?x=1",
		"an encoded separator": "octo-org/re%2Fpo",
	} {
		t.Run("refuses a slug that is "+name, func(t *testing.T) {
			host := open(t, &github{t: t}, slug)
			_, err := host.Route(request("githubActionsRuns", nil, nil))
			if sdk.CodeOf(err) != sdk.CodeInvalid || len(host.Requests()) != 0 {
				t.Errorf("err = %v, requests = %v", err, host.Requests())
			}
		})
	}
	t.Run("says which annotation is missing", func(t *testing.T) {
		_, err := open(t, &github{t: t}, "").Route(request("githubActionsRuns", nil, nil))
		if err == nil || !strings.Contains(err.Error(), annotationSlug) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestRateLimit(t *testing.T) {
	reset := time.Now().Add(20 * time.Minute)
	t.Run("names the time to try again, and sends nothing until then", func(t *testing.T) {
		g := &github{t: t, limitedUntil: reset}
		host := open(t, g, "octo-org/octo-repo")
		for range 3 {
			_, err := host.Route(request("githubActionsRuns", nil, nil))
			e := sdk.AsError(err)
			if err == nil || e.Code != sdk.CodeRateLimited || !strings.Contains(e.Hint, reset.UTC().Format("15:04")) || e.RetryAfter < 19*time.Minute {
				t.Fatalf("err = %+v", e)
			}
		}
		if n := len(host.Requests()); n != 1 {
			t.Errorf("%d requests were sent, want 1", n)
		}
		g.limitedUntil = time.Time{}
		host.Advance(21 * time.Minute)
		if _, err := host.Route(request("githubActionsRuns", nil, nil)); err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
	t.Run("shows the last good list, marked stale", func(t *testing.T) {
		g := &github{t: t}
		host := open(t, g, "octo-org/octo-repo")
		if _, err := host.EntityView("runs", petstore, nil); err != nil {
			t.Fatal(err)
		}
		g.limitedUntil = reset
		tree, err := host.EntityView("runs", petstore, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !tree.Source.Stale || !strings.Contains(tree.Source.Message, "Try again at") {
			t.Errorf("source = %+v", tree.Source)
		}
		if doc := text(t, tree); !strings.Contains(doc, "Build #562") {
			t.Errorf("the list is gone: %s", doc)
		}
	})
	t.Run("a secondary limit counts too", func(t *testing.T) {
		g := &github{t: t, status: http.StatusForbidden, header: map[string]string{"Retry-After": "90"}}
		_, err := open(t, g, "octo-org/octo-repo").Route(request("githubActionsRuns", nil, nil))
		if e := sdk.AsError(err); err == nil || e.Code != sdk.CodeRateLimited || e.RetryAfter < 80*time.Second || e.RetryAfter > 91*time.Second {
			t.Errorf("err = %+v", e)
		}
	})
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   sdk.Code
	}{
		"a token that is refused":        {http.StatusUnauthorized, sdk.CodeNotReady},
		"a right that is missing":        {http.StatusForbidden, sdk.CodeForbidden},
		"a repository that is not there": {http.StatusNotFound, sdk.CodeNotFound},
		"a failure of GitHub":            {http.StatusBadGateway, sdk.CodeUpstream},
	} {
		t.Run(name+" is "+string(c.want), func(t *testing.T) {
			g := &github{t: t, status: c.status}
			_, err := open(t, g, "octo-org/octo-repo").Route(request("githubActionsJobs", map[string]string{"run": "1"}, nil))
			if sdk.CodeOf(err) != c.want {
				t.Errorf("err = %v (%s), want %s", err, sdk.CodeOf(err), c.want)
			}
		})
	}
}

func TestJobs(t *testing.T) {
	t.Run("answers GitHub's published example", func(t *testing.T) {
		var out struct {
			Run  int64 `json:"run"`
			Jobs []job `json:"jobs"`
		}
		host := open(t, &github{t: t}, "octo-org/octo-repo")
		if err := host.RouteJSON(request("githubActionsJobs", map[string]string{"run": "29679449"}, nil), &out); err != nil {
			t.Fatal(err)
		}
		if out.Run != 29679449 || len(out.Jobs) != 1 || out.Jobs[0].Name != "build" || out.Jobs[0].Conclusion != "success" ||
			out.Jobs[0].LogURL != "https://github.com/octo-org/octo-repo/runs/29679449/jobs/399444496" {
			t.Errorf("jobs = %+v", out)
		}
	})
}

func TestRerun(t *testing.T) {
	for name, c := range map[string]struct {
		query map[string][]string
		want  string
	}{
		"runs everything again":        {nil, "/repos/octo-org/octo-repo/actions/runs/42/rerun"},
		"runs the failed ones again":   {map[string][]string{"failedOnly": {"true"}}, "/repos/octo-org/octo-repo/actions/runs/42/rerun-failed-jobs"},
		"false means everything again": {map[string][]string{"failedOnly": {"false"}}, "/repos/octo-org/octo-repo/actions/runs/42/rerun"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &github{t: t}
			resp, err := open(t, g, "octo-org/octo-repo").Route(request("githubActionsRerun", map[string]string{"run": "42"}, c.query))
			if err != nil || resp.Status != 202 {
				t.Fatalf("status %d, err %v", resp.Status, err)
			}
			if len(g.posted) != 1 || g.posted[0] != c.want {
				t.Errorf("posted %v, want %s", g.posted, c.want)
			}
		})
	}
	t.Run("declares that it needs the right to write", func(t *testing.T) {
		manifest, err := os.ReadFile("plugin.yaml")
		if err != nil || !bytes.Contains(manifest, []byte("x-callboard-access: write")) {
			t.Errorf("plugin.yaml does not say so: %v", err)
		}
	})
}

func TestViews(t *testing.T) {
	host := open(t, &github{t: t}, "octo-org/octo-repo")
	t.Run("the tab shows runs and jobs", func(t *testing.T) {
		tree, err := host.EntityView("runs", petstore, map[string]string{"run": "29679449"})
		if err != nil {
			t.Fatal(err)
		}
		doc := text(t, tree)
		for _, want := range []string{"Build #562", "Queued", "build", "Open log", "https://github.com/octo-org/octo-repo/runs/29679449/jobs/399444496"} {
			if !strings.Contains(doc, want) {
				t.Errorf("the tab lacks %q: %s", want, doc)
			}
		}
	})
	t.Run("jobs that fail leave the runs", func(t *testing.T) {
		tree, err := host.EntityView("runs", petstore, map[string]string{"run": "x"})
		if doc := text(t, tree); err != nil || !strings.Contains(doc, "Build #562") || !strings.Contains(doc, "No such run") {
			t.Errorf("err %v, %s", err, doc)
		}
	})
	t.Run("the card lists the newest", func(t *testing.T) {
		tree, err := host.EntityView("latest", petstore, nil)
		if doc := text(t, tree); err != nil || !strings.Contains(doc, "#562 on master") {
			t.Errorf("err %v, %s", err, doc)
		}
	})
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ status, conclusion, want string }{
		{"completed", "success", "Passed"}, {"completed", "failure", "Failed"}, {"completed", "timed_out", "Timed out"},
		{"completed", "startup_failure", "Did not start"}, {"completed", "cancelled", "Cancelled"}, {"completed", "skipped", "Skipped"},
		{"completed", "neutral", "Neutral"}, {"completed", "action_required", "Needs approval"}, {"in_progress", "", "Running"},
		{"queued", "", "Queued"}, {"completed", "", "Completed"}, {"something_new", "", "something_new"},
	} {
		t.Run(c.status+" "+c.conclusion+" is "+c.want, func(t *testing.T) {
			if _, got := outcome(c.status, c.conclusion); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, d := range map[string]time.Duration{"7 s": 7 * time.Second, "2 min 5 s": 125 * time.Second, "1 h 1 min": 61 * time.Minute, "": -time.Second} {
		t.Run(fmt.Sprintf("%v is written %q", d, want), func(t *testing.T) {
			if got := took(start, start.Add(d)); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
