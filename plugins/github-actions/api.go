package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
	"github.com/callboard-dev/callboard/sdk/config"
	"github.com/callboard-dev/callboard/sdk/http"
	"github.com/callboard-dev/callboard/sdk/kv"
	"github.com/callboard-dev/callboard/sdk/log"
)

// annotationSlug names the repository, "owner/name".
const annotationSlug = "github.com/project-slug"

// apiVersion is the version of GitHub's REST API that the plugin speaks,
// https://docs.github.com/en/rest/about-the-rest-api/api-versions.
const apiVersion = "2022-11-28"

// slug is GitHub's form of an owner and a repository name.
var slug = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)

// repository is one repository on one GitHub.
type repository struct {
	api, slug string
}

// repositoryOf returns the repository that the entity's annotation names.
func repositoryOf(ctx *sdk.Context, e catalog.Entity) (repository, error) {
	name := e.Annotation(annotationSlug)
	if name == "" {
		return repository{}, sdk.Errorf(sdk.CodeInvalid, "%s has no annotation %s.", e.Ref(), annotationSlug).
			WithHint("Add it to the entity's descriptor, as owner/name.")
	}
	if !slug.MatchString(name) || strings.HasSuffix(name, "/..") || strings.HasSuffix(name, "/.") {
		return repository{}, sdk.Errorf(sdk.CodeInvalid, "The annotation %s of %s is %q.", annotationSlug, e.Ref(), name).
			WithHint("Write it as owner/name.")
	}
	var s struct {
		APIURL string `json:"apiUrl"`
	}
	if err := config.Into(ctx, &s); err != nil {
		return repository{}, err
	}
	return repository{strings.TrimSuffix(s.APIURL, "/"), name}, nil
}

// do sends one request about the repository and decodes the answer into out.
// While GitHub's rate limit is used up nothing is sent at all.
func (r repository) do(ctx *sdk.Context, method, path string, query url.Values, out any) error {
	if err := waiting(ctx); err != nil {
		return err
	}
	target := r.api + "/repos/" + r.slug + "/actions/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	resp, err := http.Do(ctx, http.Request{Method: method, URL: target, Header: http.Header{
		"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {apiVersion},
	}})
	if err != nil {
		return err
	}
	if limited(resp) {
		return startWaiting(ctx, resp)
	}
	switch {
	case resp.Status == 404:
		return sdk.Errorf(sdk.CodeNotFound, "GitHub has no %s in %s, or the token may not see it.", what(path), r.slug).
			WithHint("Check the annotation %s and that the token has \"Actions\" read on the repository.", annotationSlug)
	case resp.Status == 401:
		return sdk.Errorf(sdk.CodeNotReady, "GitHub refused the access token.").
			WithHint("An admin sets a new one on the plugin's page.")
	case resp.Status == 403:
		return sdk.Errorf(sdk.CodeForbidden, "GitHub does not let the token do this in %s.", r.slug).
			WithHint("Give the token \"Actions\" write on the repository to run workflows again.")
	}
	if err := resp.Err(); err != nil || out == nil {
		return err
	}
	return resp.JSON(out)
}

func what(path string) string {
	if path == "runs" {
		return "workflow runs"
	}
	return "run"
}

// limited reports whether the answer says that a rate limit is used up: the
// primary one by X-RateLimit-Remaining, the secondary by Retry-After,
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
func limited(resp http.Response) bool {
	if resp.Status != 403 && resp.Status != 429 {
		return false
	}
	return resp.Status == 429 || resp.Header.Get("X-RateLimit-Remaining") == "0" || resp.Header.Get("Retry-After") != ""
}

// keyWait holds until when GitHub wants no requests, as Unix seconds.
const keyWait = "wait-until"

// fallbackWait is how long to wait where GitHub does not say; its own advice.
const fallbackWait = time.Minute

// startWaiting remembers until when to stay away and returns the error that
// says so.
func startWaiting(ctx *sdk.Context, resp http.Response) error {
	wait := http.RetryAfter(resp.Header, time.Now())
	if wait <= 0 {
		wait = fallbackWait
	}
	until := time.Now().Add(wait)
	if err := kv.Set(ctx, keyWait, strconv.AppendInt(nil, until.Unix(), 10), wait); err != nil {
		log.Warn(ctx, "the wait for GitHub's rate limit could not be kept", "error", err)
	}
	return tooSoon(until)
}

// waiting returns an error while GitHub wants no requests.
func waiting(ctx *sdk.Context) error {
	value, found, err := kv.Get(ctx, keyWait)
	if err != nil || !found {
		return nil // without the note the worst is one more refusal by GitHub
	}
	seconds, err := strconv.ParseInt(string(value), 10, 64)
	if until := time.Unix(seconds, 0); err == nil && time.Now().Before(until) {
		return tooSoon(until)
	}
	return nil
}

func tooSoon(until time.Time) error {
	return sdk.Errorf(sdk.CodeRateLimited, "GitHub's rate limit is used up.").
		WithHint("Try again at %s.", until.UTC().Format("15:04:05 MST on 2 January")).
		WithRetryAfter(time.Until(until))
}

// run is a workflow run, in the words of the plugin's own operations.
type run struct {
	ID         int64     `json:"id"`
	Number     int       `json:"number,omitempty"`
	Attempt    int       `json:"attempt,omitempty"`
	Name       string    `json:"name"`
	Title      string    `json:"title,omitempty"`
	Branch     string    `json:"branch,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Event      string    `json:"event,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Status     string    `json:"status"`
	Conclusion string    `json:"conclusion,omitempty"`
	URL        string    `json:"url"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	UpdatedAt  time.Time `json:"updatedAt,omitzero"`
}

// runs is a list of runs, and how fresh it is.
type runs struct {
	Repository string    `json:"repository"`
	Stale      bool      `json:"stale,omitempty"`
	FetchedAt  time.Time `json:"fetchedAt"`
	Runs       []run     `json:"runs"`
	// why says what kept a stale list from being fresh.
	why error
}

// apiRuns is the answer of GET /repos/{owner}/{repo}/actions/runs,
// https://docs.github.com/en/rest/actions/workflow-runs.
type apiRuns struct {
	Runs []struct {
		ID           int64     `json:"id"`
		Name         string    `json:"name"`
		DisplayTitle string    `json:"display_title"`
		RunNumber    int       `json:"run_number"`
		RunAttempt   int       `json:"run_attempt"`
		HeadBranch   string    `json:"head_branch"`
		HeadSHA      string    `json:"head_sha"`
		Event        string    `json:"event"`
		Status       string    `json:"status"`
		Conclusion   string    `json:"conclusion"`
		HTMLURL      string    `json:"html_url"`
		RunStartedAt time.Time `json:"run_started_at"`
		CreatedAt    time.Time `json:"created_at"`
		UpdatedAt    time.Time `json:"updated_at"`
		Actor        struct {
			Login string `json:"login"`
		} `json:"actor"`
	} `json:"workflow_runs"`
}

// fetchRuns reads the newest runs from GitHub and keeps them as the last good
// copy.
func (r repository) fetchRuns(ctx *sdk.Context, branch string, limit int) (runs, error) {
	query := url.Values{"per_page": {strconv.Itoa(limit)}}
	if branch != "" {
		query.Set("branch", branch)
	}
	var answer apiRuns
	if err := r.do(ctx, "GET", "runs", query, &answer); err != nil {
		return runs{}, err
	}
	out := runs{Repository: r.slug, FetchedAt: time.Now().UTC().Truncate(time.Second), Runs: []run{}}
	for _, a := range answer.Runs {
		started := a.RunStartedAt
		if started.IsZero() {
			started = a.CreatedAt
		}
		out.Runs = append(out.Runs, run{
			ID: a.ID, Number: a.RunNumber, Attempt: a.RunAttempt, Name: a.Name, Title: a.DisplayTitle, Branch: a.HeadBranch,
			Commit: a.HeadSHA, Event: a.Event, Actor: a.Actor.Login, Status: a.Status, Conclusion: a.Conclusion,
			URL: a.HTMLURL, StartedAt: started, UpdatedAt: a.UpdatedAt,
		})
	}
	if err := kv.SetJSON(ctx, r.key(branch, limit), out, keepCopy); err != nil {
		log.Warn(ctx, "the last good copy could not be kept", "repository", r.slug, "error", err)
	}
	return out, nil
}

// keepCopy is how long a last good copy is worth showing.
const keepCopy = 7 * 24 * time.Hour

func (r repository) key(branch string, limit int) string {
	return fmt.Sprintf("runs/%s/%d/%s", strings.ToLower(r.slug), limit, branch)
}

// readRuns returns the runs from GitHub, or the last good copy, marked stale,
// while GitHub cannot be asked.
func (r repository) readRuns(ctx *sdk.Context, branch string, limit int) (runs, error) {
	out, err := r.fetchRuns(ctx, branch, limit)
	if err == nil {
		return out, nil
	}
	switch sdk.CodeOf(err) {
	case sdk.CodeRateLimited, sdk.CodeUpstream, sdk.CodeTimeout:
		var kept runs
		if found, kvErr := kv.GetJSON(ctx, r.key(branch, limit), &kept); kvErr == nil && found {
			kept.Stale, kept.why = true, err
			return kept, nil
		}
	}
	return runs{}, err
}

// job is one job of a run.
type job struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	Status      string    `json:"status"`
	Conclusion  string    `json:"conclusion,omitempty"`
	StartedAt   time.Time `json:"startedAt,omitzero"`
	CompletedAt time.Time `json:"completedAt,omitzero"`
	LogURL      string    `json:"logUrl,omitempty"`
	FailedStep  string    `json:"failedStep,omitempty"`
}

// readJobs reads the jobs of a run's latest attempt,
// https://docs.github.com/en/rest/actions/workflow-jobs.
func (r repository) readJobs(ctx *sdk.Context, id int64) ([]job, error) {
	var answer struct {
		Jobs []struct {
			ID          int64     `json:"id"`
			Name        string    `json:"name"`
			Status      string    `json:"status"`
			Conclusion  string    `json:"conclusion"`
			StartedAt   time.Time `json:"started_at"`
			CompletedAt time.Time `json:"completed_at"`
			HTMLURL     string    `json:"html_url"`
			Steps       []struct {
				Name       string `json:"name"`
				Conclusion string `json:"conclusion"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	if err := r.do(ctx, "GET", fmt.Sprintf("runs/%d/jobs", id), url.Values{"per_page": {"100"}}, &answer); err != nil {
		return nil, err
	}
	jobs := []job{}
	for _, a := range answer.Jobs {
		j := job{ID: a.ID, Name: a.Name, Status: a.Status, Conclusion: a.Conclusion,
			StartedAt: a.StartedAt, CompletedAt: a.CompletedAt, LogURL: a.HTMLURL}
		for _, s := range a.Steps {
			if s.Conclusion == "failure" {
				j.FailedStep = s.Name
				break
			}
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// rerun asks GitHub to run a run again, or only its failed jobs.
func (r repository) rerun(ctx *sdk.Context, id int64, failedOnly bool) error {
	path := fmt.Sprintf("runs/%d/rerun", id)
	if failedOnly {
		path += "-failed-jobs"
	}
	return r.do(ctx, "POST", path, nil, nil)
}
