package upstreams

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The simulated repository starts a run in every slot, at a moment of its own,
// and keeps the last of them.
const (
	slot     = 47 * time.Minute
	keptRuns = 120
)

// rerun is what a client asked for.
type rerun struct {
	attempt int
	at      time.Time
}

// run is one workflow run of one repository.
type run struct {
	id         int64
	repo       string
	number     int64
	attempt    int
	workflow   string
	title      string
	branch     string
	event      string
	actor      string
	sha        string
	started    time.Time
	takes      time.Duration
	conclusion string // once it is over
}

// state is the run's status and conclusion at a time.
func (r run) state(now time.Time) (status string, conclusion any) {
	switch age := now.Sub(r.started); {
	case age < 20*time.Second:
		return "queued", nil
	case age < r.takes:
		return "in_progress", nil
	default:
		return "completed", r.conclusion
	}
}

// latest is the number of the newest slot that has begun.
func (g *github) latest() int64 { return g.Now().Unix() / int64(slot/time.Second) }

// runAt is the run of a slot. The id holds the repository's mark and the slot,
// so that an id finds its run again.
func (g *github) runAt(repo string, n int64) run {
	key := strconv.FormatInt(n, 10)
	r := run{
		id: g.mark(repo)*1e9 + n, repo: repo, number: n % 100000, attempt: 1,
		workflow: g.pick([]string{"CI", "CI", "CI", "Release", "CodeQL"}, repo, key, "workflow"),
		title: g.pick([]string{"Cache the resolved configuration", "Bump the base image", "Fix a race in the retry loop",
			"Document the limits", "Return 409 on a duplicate key", "Read the timeout from the settings"}, repo, key, "title"),
		branch: g.pick([]string{"main", "main", "main", "retry-loop", "docs", "limits"}, repo, key, "branch"),
		actor:  g.pick([]string{"amelia", "noor", "tomasz", "dependabot[bot]"}, repo, key, "actor"),
		sha:    fmt.Sprintf("%016x%016x%08x", g.number(repo, key, "sha1"), g.number(repo, key, "sha2"), uint32(g.number(repo, key, "sha3"))),
		event:  "push",
		takes:  time.Duration(90+g.number(repo, key, "takes")%600) * time.Second,
	}
	if r.branch != "main" {
		r.event = "pull_request"
	}
	r.started = time.Unix(n*int64(slot/time.Second)+int64(g.number(repo, key, "start")%600), 0).UTC()
	r.conclusion = g.outcome(repo, key, 1)
	g.mu.Lock()
	again, ok := g.reruns[r.id]
	g.mu.Unlock()
	if ok {
		r.attempt, r.started = again.attempt, again.at
		r.conclusion = g.outcome(repo, key, again.attempt)
	}
	return r
}

func (g *github) outcome(repo, key string, attempt int) string {
	switch c := g.chance(repo, key, "outcome", strconv.Itoa(attempt)); {
	case c < 0.80:
		return "success"
	case c < 0.95:
		return "failure"
	default:
		return "cancelled"
	}
}

// mark is the repository's part of its runs' ids: small enough that an id stays
// exact in JavaScript.
func (g *github) mark(repo string) int64 { return int64(g.number(repo)%9000) + 100 }

// find returns the run of an id of this repository.
func (g *github) find(req *http.Request) (run, bool) {
	id, err := strconv.ParseInt(req.PathValue("run"), 10, 64)
	repo := req.PathValue("owner") + "/" + req.PathValue("repo")
	n := id - g.mark(repo)*1e9
	if err != nil || n > g.latest() || n <= g.latest()-keptRuns {
		return run{}, false
	}
	return g.runAt(repo, n), true
}

func (g *github) listRuns(r *http.Request) answer {
	query := r.URL.Query()
	perPage, page := atLeast(query.Get("per_page"), 30), atLeast(query.Get("page"), 1)
	perPage = min(perPage, 100)
	repo := r.PathValue("owner") + "/" + r.PathValue("repo")
	now := g.Now()
	var all []run
	for n := g.latest(); n > g.latest()-keptRuns; n-- {
		each := g.runAt(repo, n)
		status, conclusion := each.state(now)
		wanted := query.Get("status")
		if each.started.After(now) || query.Has("branch") && each.branch != query.Get("branch") ||
			wanted != "" && wanted != status && conclusion != wanted {
			continue
		}
		all = append(all, each)
	}
	slices.SortFunc(all, func(a, b run) int { return b.started.Compare(a.started) })
	from := min((page-1)*perPage, len(all))
	to := min(from+perPage, len(all))
	items := []any{}
	for _, each := range all[from:to] {
		items = append(items, g.runJSON(r, each))
	}
	return answer{status: http.StatusOK, header: linkHeader(r, page, perPage, len(all)),
		body: map[string]any{"total_count": len(all), "workflow_runs": items}}
}

func atLeast(text string, def int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return def
	}
	return n
}

// linkHeader is GitHub's paging: the next and the last page.
func linkHeader(r *http.Request, page, perPage, total int) http.Header {
	last := max(1, (total+perPage-1)/perPage)
	if page >= last {
		return nil
	}
	link := func(n int, rel string) string {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		return fmt.Sprintf("<%s%s?%s>; rel=%q", origin(r), r.URL.Path, q.Encode(), rel)
	}
	return http.Header{"Link": {link(page+1, "next") + ", " + link(last, "last")}}
}

func (g *github) getRun(r *http.Request) answer {
	found, ok := g.find(r)
	if !ok {
		return notFound()
	}
	return answer{status: http.StatusOK, body: g.runJSON(r, found)}
}

func (g *github) runJSON(r *http.Request, n run) map[string]any {
	status, conclusion := n.state(g.Now())
	api := fmt.Sprintf("%s/repos/%s/actions/runs/%d", origin(r), n.repo, n.id)
	updated := n.started
	if status == "completed" {
		updated = n.started.Add(n.takes)
	}
	file := ".github/workflows/" + strings.ToLower(n.workflow) + ".yml"
	return map[string]any{
		"id": n.id, "name": n.workflow, "run_number": n.number, "run_attempt": n.attempt, "event": n.event,
		"head_branch": n.branch, "head_sha": n.sha, "path": file, "display_title": n.title,
		"status": status, "conclusion": conclusion, "workflow_id": g.number(n.repo, n.workflow) % 1e8,
		"url": api, "html_url": fmt.Sprintf("https://github.com/%s/actions/runs/%d", n.repo, n.id),
		"jobs_url": api + "/jobs", "logs_url": api + "/logs", "rerun_url": api + "/rerun", "cancel_url": api + "/cancel",
		"created_at": n.started, "run_started_at": n.started, "updated_at": updated, "pull_requests": []any{},
		"actor": user(n.actor), "triggering_actor": user(n.actor), "repository": g.repo(r),
		"head_commit": map[string]any{"id": n.sha, "message": n.title, "timestamp": n.started},
	}
}

// rerunAll starts a run that is over again, as a new attempt.
func (g *github) rerunAll(r *http.Request) answer {
	found, ok := g.find(r)
	if !ok {
		return notFound()
	}
	if status, _ := found.state(g.Now()); status != "completed" {
		return answer{status: http.StatusForbidden, body: map[string]string{
			"message": "This workflow is already running", "documentation_url": "https://docs.github.com/rest"}}
	}
	g.mu.Lock()
	g.reruns[found.id] = rerun{attempt: found.attempt + 1, at: g.Now().UTC()}
	g.mu.Unlock()
	return answer{status: http.StatusCreated, body: map[string]any{}}
}
