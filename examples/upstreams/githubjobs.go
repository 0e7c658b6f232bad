package upstreams

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// jobNames are the jobs of every simulated workflow, in order. Each takes a
// third of the run; a run that failed, failed in one of them.
func jobNames() []string { return []string{"build", "test", "package"} }

func (g *github) listJobs(r *http.Request) answer {
	found, ok := g.find(r)
	if !ok {
		return notFound()
	}
	jobs := []any{}
	for i := range jobNames() {
		jobs = append(jobs, g.jobJSON(r, found, i))
	}
	return answer{status: http.StatusOK, body: map[string]any{"total_count": len(jobs), "jobs": jobs}}
}

// broken is the job in which a failed run failed.
func (g *github) broken(n run) int {
	return int(g.number(n.repo, strconv.FormatInt(n.id, 10), "broken") % uint64(len(jobNames())))
}

// jobState is the status and conclusion of the i-th job at a time.
func (g *github) jobState(n run, i int, now time.Time) (status string, conclusion any) {
	third := n.takes / time.Duration(len(jobNames()))
	begins, ends := n.started.Add(time.Duration(i)*third), n.started.Add(time.Duration(i+1)*third)
	switch {
	case now.Before(begins):
		return "queued", nil
	case now.Before(ends):
		return "in_progress", nil
	case n.conclusion == "success" || i < g.broken(n):
		return "completed", "success"
	case i == g.broken(n):
		return "completed", n.conclusion
	default:
		return "completed", "skipped"
	}
}

func (g *github) jobJSON(r *http.Request, n run, i int) map[string]any {
	third := n.takes / time.Duration(len(jobNames()))
	begins := n.started.Add(time.Duration(i) * third)
	status, conclusion := g.jobState(n, i, g.Now())
	id := n.id*10 + int64(i)
	var completed any
	if status == "completed" {
		completed = begins.Add(third)
	}
	api := fmt.Sprintf("%s/repos/%s/actions", origin(r), n.repo)
	return map[string]any{
		"id": id, "run_id": n.id, "run_attempt": n.attempt, "head_sha": n.sha, "head_branch": n.branch,
		"name": jobNames()[i], "workflow_name": n.workflow, "status": status, "conclusion": conclusion,
		"created_at": n.started, "started_at": begins, "completed_at": completed,
		"url": fmt.Sprintf("%s/jobs/%d", api, id), "run_url": fmt.Sprintf("%s/runs/%d", api, n.id),
		"html_url":    fmt.Sprintf("https://github.com/%s/actions/runs/%d/job/%d", n.repo, n.id, id),
		"runner_name": "simulated", "labels": []string{"ubuntu-24.04"}, "steps": steps(jobNames()[i], status, conclusion, begins, third),
	}
}

// steps are a job's steps; the last one has the job's own conclusion.
func steps(job, status string, conclusion any, begins time.Time, takes time.Duration) []any {
	list := []any{}
	for i, name := range []string{"Check out", "Set up", "Run " + job} {
		step := map[string]any{"number": i + 1, "name": name, "status": status, "conclusion": conclusion,
			"started_at": begins.Add(time.Duration(i) * takes / 3), "completed_at": nil}
		if status == "completed" {
			step["completed_at"] = begins.Add(time.Duration(i+1) * takes / 3)
			if i < 2 && conclusion != "skipped" {
				step["conclusion"] = "success"
			}
		}
		list = append(list, step)
	}
	return list
}

// jobLogs answers the log's text. GitHub redirects to storage first; the
// simulator has none.
func (g *github) jobLogs(r *http.Request) answer {
	id, err := strconv.ParseInt(r.PathValue("job"), 10, 64)
	r.SetPathValue("run", strconv.FormatInt(id/10, 10))
	found, ok := g.find(r)
	if err != nil || !ok || int(id%10) >= len(jobNames()) {
		return notFound()
	}
	i := int(id % 10)
	status, conclusion := g.jobState(found, i, g.Now())
	at := found.started.Format(time.RFC3339Nano)
	return answer{status: http.StatusOK, body: fmt.Sprintf(
		"%s Simulated log of job %s of %s, run %d\n%s Checked out %s\n%s %s, conclusion %v\n",
		at, jobNames()[i], found.repo, found.id, at, found.sha, at, status, conclusion)}
}
