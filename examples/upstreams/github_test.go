package upstreams_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/examples/upstreams"
)

type runList struct {
	TotalCount   int `json:"total_count"`
	WorkflowRuns []struct {
		ID         int64
		Status     string
		Conclusion *string
		HeadBranch string    `json:"head_branch"`
		RunAttempt int       `json:"run_attempt"`
		CreatedAt  time.Time `json:"created_at"`
	} `json:"workflow_runs"`
}

const runsPath = "/repos/acme/petstore/actions/runs"

func TestRuns(t *testing.T) {
	t.Parallel()
	h := upstreams.GitHub(upstreams.Settings{Now: noon})
	code, header, body := ask(t, h, "GET", runsPath+"?per_page=10", nil)
	list := decode[runList](t, body)
	if code != 200 || len(list.WorkflowRuns) != 10 || list.TotalCount < 100 {
		t.Fatalf("status %d, %d of %d runs", code, len(list.WorkflowRuns), list.TotalCount)
	}
	for i, r := range list.WorkflowRuns {
		if r.CreatedAt.After(noon()) {
			t.Errorf("run %d starts in the future", r.ID)
		}
		if i > 0 && r.CreatedAt.After(list.WorkflowRuns[i-1].CreatedAt) {
			t.Error("runs are not newest first")
		}
	}
	if link := header.Get("Link"); !strings.Contains(link, `page=2`) || !strings.Contains(link, `rel="next"`) {
		t.Errorf("Link is %q", link)
	}
	if header.Get(upstreams.HeaderSimulator) != "GitHub" {
		t.Error("the answer does not say that it is simulated")
	}
	_, last, body := ask(t, h, "GET", runsPath+"?branch=main&page=99", nil)
	if got := decode[runList](t, body); len(got.WorkflowRuns) != 0 || last.Get("Link") != "" {
		t.Error("a page after the last has runs")
	}
	_, _, body = ask(t, h, "GET", runsPath+"?status=failure&per_page=100", nil)
	failures := decode[runList](t, body)
	if failures.TotalCount == 0 {
		t.Fatal("no failed run to show")
	}
	for _, r := range failures.WorkflowRuns {
		if r.Conclusion == nil || *r.Conclusion != "failure" {
			t.Errorf("run %d is no failure", r.ID)
		}
	}
}

func TestConditionalRequestIsFree(t *testing.T) {
	t.Parallel()
	h := upstreams.GitHub(upstreams.Settings{Now: noon, RateLimit: 10})
	_, first, _ := ask(t, h, "GET", runsPath, nil)
	code, second, body := ask(t, h, "GET", runsPath, map[string]string{"If-None-Match": first.Get("ETag")})
	if code != http.StatusNotModified || body != "" {
		t.Fatalf("status %d", code)
	}
	if first.Get("X-RateLimit-Remaining") != "9" || second.Get("X-RateLimit-Remaining") != "9" {
		t.Errorf("remaining %s, then %s; want 9 twice", first.Get("X-RateLimit-Remaining"), second.Get("X-RateLimit-Remaining"))
	}
}

func TestRateLimitEndsAndResets(t *testing.T) {
	t.Parallel()
	now := noon()
	h := upstreams.GitHub(upstreams.Settings{Now: func() time.Time { return now }, RateLimit: 2})
	for range 2 {
		ask(t, h, "GET", runsPath, nil)
	}
	code, header, body := ask(t, h, "GET", runsPath, nil)
	if code != 403 || header.Get("X-RateLimit-Remaining") != "0" || !strings.Contains(body, "rate limit exceeded") {
		t.Fatalf("status %d, remaining %s: %s", code, header.Get("X-RateLimit-Remaining"), body)
	}
	if want := fmt.Sprint(noon().Truncate(time.Hour).Add(time.Hour).Unix()); header.Get("X-RateLimit-Reset") != want {
		t.Errorf("reset %s, want %s", header.Get("X-RateLimit-Reset"), want)
	}
	if code, _, body := ask(t, h, "GET", "/rate_limit", nil); code != 200 || !strings.Contains(body, `"remaining":0`) {
		t.Errorf("rate_limit: %d %s", code, body)
	}
	now = now.Add(time.Hour)
	if code, _, _ := ask(t, h, "GET", runsPath, nil); code != 200 {
		t.Errorf("status %d in the next hour", code)
	}
}

func TestRerun(t *testing.T) {
	t.Parallel()
	now := noon()
	h := upstreams.GitHub(upstreams.Settings{Now: func() time.Time { return now }})
	_, _, body := ask(t, h, "GET", runsPath+"?status=failure", nil)
	one := fmt.Sprintf("%s/%d", runsPath, decode[runList](t, body).WorkflowRuns[0].ID)
	token := map[string]string{"Authorization": "Bearer t"}

	if code, _, _ := ask(t, h, "POST", one+"/rerun", nil); code != 403 {
		t.Errorf("without a token: %d", code)
	}
	if code, _, _ := ask(t, h, "POST", one+"/rerun", map[string]string{"Authorization": "Bearer bad"}); code != 401 {
		t.Errorf("with a bad token: %d", code)
	}
	if code, _, body := ask(t, h, "POST", one+"/rerun-failed-jobs", token); code != 201 {
		t.Fatalf("status %d: %s", code, body)
	}
	_, _, body = ask(t, h, "GET", one, token)
	if !strings.Contains(body, `"run_attempt":2`) || !strings.Contains(body, `"status":"queued"`) {
		t.Errorf("the run did not start again: %s", body)
	}
	if code, _, body := ask(t, h, "POST", one+"/rerun", token); code != 403 || !strings.Contains(body, "already running") {
		t.Errorf("a running run starts again: %d %s", code, body)
	}
	now = now.Add(20 * time.Minute)
	if _, _, body = ask(t, h, "GET", one, token); !strings.Contains(body, `"status":"completed"`) {
		t.Errorf("the second attempt never ends: %s", body)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	h := upstreams.GitHub(upstreams.Settings{Now: noon})
	_, _, body := ask(t, h, "GET", runsPath+"?status=failure", nil)
	run := decode[runList](t, body).WorkflowRuns[0].ID
	_, _, body = ask(t, h, "GET", fmt.Sprintf("%s/%d/jobs", runsPath, run), nil)
	jobs := decode[struct {
		Jobs []struct {
			ID         int64
			Name       string
			Conclusion string
			Steps      []struct{ Name, Conclusion string }
		}
	}](t, body)
	failed := 0
	for _, j := range jobs.Jobs {
		if j.Conclusion == "failure" {
			failed++
			if last := j.Steps[len(j.Steps)-1]; last.Conclusion != "failure" || j.Steps[0].Conclusion != "success" {
				t.Errorf("steps of the failed job: %+v", j.Steps)
			}
		}
	}
	if len(jobs.Jobs) != 3 || failed != 1 {
		t.Fatalf("%d jobs, %d failed; want 3 and 1", len(jobs.Jobs), failed)
	}
	code, header, log := ask(t, h, "GET", fmt.Sprintf("/repos/acme/petstore/actions/jobs/%d/logs", jobs.Jobs[0].ID), nil)
	if code != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") || !strings.Contains(log, "Simulated log") {
		t.Errorf("log: %d %s", code, log)
	}
}

func TestUnknownThings(t *testing.T) {
	t.Parallel()
	h := upstreams.GitHub(upstreams.Settings{Now: noon})
	for _, target := range []string{runsPath + "/1", runsPath + "/x", runsPath + "/1/jobs", "/repos/acme/petstore/actions/jobs/7/logs", "/users/octocat"} {
		if code, _, body := ask(t, h, "GET", target, nil); code != 404 || !strings.Contains(body, "Not Found") {
			t.Errorf("%s: %d %s", target, code, body)
		}
	}
	if code, _, body := ask(t, h, "GET", "/repos/acme/petstore", nil); code != 200 || !strings.Contains(body, `"full_name":"acme/petstore"`) {
		t.Errorf("repository: %d %s", code, body)
	}
}
