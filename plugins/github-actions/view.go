package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
	"github.com/callboard-dev/callboard/sdk/view"
)

// outcome is a run's or a job's state as a reader sees it.
func outcome(status, conclusion string) (view.Tone, string) {
	switch conclusion {
	case "success":
		return view.Good, "Passed"
	case "failure":
		return view.Bad, "Failed"
	case "timed_out":
		return view.Bad, "Timed out"
	case "startup_failure":
		return view.Bad, "Did not start"
	case "cancelled":
		return view.Neutral, "Cancelled"
	case "skipped":
		return view.Neutral, "Skipped"
	case "neutral", "stale":
		return view.Neutral, "Neutral"
	case "action_required":
		return view.Warn, "Needs approval"
	}
	switch status {
	case "in_progress":
		return view.Info, "Running"
	case "queued", "requested", "waiting", "pending":
		return view.Info, "Queued"
	case "completed":
		return view.Neutral, "Completed"
	}
	return view.Neutral, status
}

// took writes how long something ran, or has been running.
func took(from, to time.Time) string {
	if from.IsZero() || to.Before(from) {
		return ""
	}
	d := to.Sub(from).Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// source says how fresh the list is.
func source(list runs) *view.Source {
	s := &view.Source{Label: "GitHub " + list.Repository, FetchedAt: list.FetchedAt, Stale: list.Stale}
	if list.why != nil {
		e := sdk.AsError(list.why)
		s.Message = e.Message + " " + e.Hint
	}
	return s
}

// load reads the entity's repository and its runs.
func load(ctx *sdk.Context, r view.Request, branch string, limit int) (catalog.Entity, repository, runs, error) {
	e, err := r.EntityDoc()
	if err != nil {
		return e, repository{}, runs{}, err
	}
	repo, err := repositoryOf(ctx, e)
	if err != nil {
		return e, repo, runs{}, err
	}
	list, err := repo.readRuns(ctx, branch, limit)
	return e, repo, list, err
}

// renderLatest is the entity card: the newest runs in short.
func renderLatest(ctx *sdk.Context, r view.Request) (view.Tree, error) {
	_, _, list, err := load(ctx, r, "", 5)
	if err != nil {
		return view.Tree{}, err
	}
	var items []view.ListItem
	for _, a := range list.Runs {
		tone, word := outcome(a.Status, a.Conclusion)
		items = append(items, view.ListItem{
			Title: a.Name, Detail: fmt.Sprintf("#%d on %s", a.Number, a.Branch), URL: a.URL, Tone: tone, Label: word, Time: a.UpdatedAt,
		})
	}
	return view.Tree{
		Source: source(list),
		Nodes:  []view.Node{view.List("No workflow has run in this repository yet.", items...)},
	}, nil
}

// renderRuns is the entity tab: the runs as a table, and the jobs of the run
// that the reader chose.
func renderRuns(ctx *sdk.Context, r view.Request) (view.Tree, error) {
	e, repo, list, err := load(ctx, r, "", defaultLimit)
	if err != nil {
		return view.Tree{}, err
	}
	if len(list.Runs) == 0 {
		return view.Tree{Source: source(list), Nodes: []view.Node{view.Nothing("No workflow has run yet",
			"Add a workflow to the repository; its runs appear here.", ".github/workflows/ci.yml")}}, nil
	}
	chosen := r.Param("run", strconv.FormatInt(list.Runs[0].ID, 10))
	choice := view.Param{Name: "run", Label: "Jobs of", Value: chosen}
	passed, finished := 0, 0
	table := view.Table{
		Caption: "Workflow runs",
		Columns: []view.Column{{Title: "Result", Telling: true}, {Title: "Workflow", Telling: true}, {Title: "Branch"},
			{Title: "Commit"}, {Title: "By"}, {Title: "Took", Numeric: true}, {Title: "When"}, {Title: "Again"}},
	}
	for _, a := range list.Runs {
		if a.Status == "completed" {
			finished++
			if a.Conclusion == "success" {
				passed++
			}
		}
		choice.Options = append(choice.Options, view.Option{Value: strconv.FormatInt(a.ID, 10), Label: fmt.Sprintf("%s #%d", a.Name, a.Number)})
		table.Rows = append(table.Rows, runRow(e, a))
	}
	nodes := []view.Node{view.StatRow(
		view.Stat{Label: "Passed", Value: strconv.Itoa(passed), Unit: fmt.Sprintf("of %d finished", finished), Tone: rateTone(passed, finished)},
		view.Stat{Label: "Latest", Value: latestWord(list.Runs[0])},
	), view.TableOf(table)}
	nodes = append(nodes, jobSection(ctx, repo, chosen))
	return view.Tree{Source: source(list), Params: []view.Param{choice}, Nodes: nodes}, nil
}

func latestWord(a run) string {
	_, word := outcome(a.Status, a.Conclusion)
	return word
}

func rateTone(passed, finished int) view.Tone {
	switch {
	case finished == 0:
		return view.Neutral
	case passed == finished:
		return view.Good
	case passed*2 >= finished:
		return view.Warn
	}
	return view.Bad
}

// runRow is one run; a finished one can be run again.
func runRow(e catalog.Entity, a run) view.Row {
	tone, word := outcome(a.Status, a.Conclusion)
	commit := a.Commit
	if len(commit) > 7 {
		commit = commit[:7]
	}
	again := view.TextCell("")
	if a.Status == "completed" {
		again = view.ActionCell(view.Action{
			Label: "Run again", Operation: "githubActionsRerun", Confirm: fmt.Sprintf("Run %s #%d again?", a.Name, a.Number),
			Params: map[string]string{"kind": e.Kind, "namespace": e.Namespace(), "name": e.Metadata.Name,
				"run": strconv.FormatInt(a.ID, 10), "failedOnly": strconv.FormatBool(a.Conclusion == "failure")},
		})
	}
	return view.RowOf(view.ToneCell(tone, word), view.LinkCell(fmt.Sprintf("%s #%d", a.Name, a.Number), a.URL),
		view.TextCell(a.Branch), view.MonoCell(commit), view.TextCell(a.Actor), view.TextCell(took(a.StartedAt, a.UpdatedAt)),
		view.TimeCell(a.UpdatedAt), again)
}

// jobSection is the jobs of one run. Their failure leaves the runs as they are.
func jobSection(ctx *sdk.Context, repo repository, chosen string) view.Node {
	id, err := strconv.ParseInt(chosen, 10, 64)
	if err != nil {
		return view.Section("Jobs", view.Failure("No such run", sdk.Errorf(sdk.CodeInvalid, "%q is not the id of a run.", chosen)))
	}
	jobs, err := repo.readJobs(ctx, id)
	if err != nil {
		return view.Section("Jobs", view.Failure("The jobs cannot be read", err))
	}
	table := view.Table{
		Caption: "Jobs",
		Columns: []view.Column{{Title: "Result", Telling: true}, {Title: "Job", Telling: true}, {Title: "Failed step"}, {Title: "Took", Numeric: true}, {Title: "Log"}},
		Empty:   "This run has no jobs.",
	}
	for _, j := range jobs {
		tone, word := outcome(j.Status, j.Conclusion)
		end := j.CompletedAt
		if end.IsZero() {
			end = time.Now()
		}
		table.Rows = append(table.Rows, view.RowOf(view.ToneCell(tone, word), view.TextCell(j.Name), view.TextCell(j.FailedStep),
			view.TextCell(took(j.StartedAt, end)), view.LinkCell("Open log", j.LogURL)))
	}
	return view.Section("Jobs", view.TableOf(table))
}
