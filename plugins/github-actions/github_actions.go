package main

import (
	"strconv"

	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/catalog"
	"github.com/callboard-dev/callboard/sdk/log"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/view"
)

// New returns the plugin with everything that plugin.yaml declares.
func New() *sdk.Plugin {
	return sdk.New(
		route.Handle("githubActionsRuns", handleRuns),
		route.Handle("githubActionsJobs", handleJobs),
		route.Handle("githubActionsRerun", handleRerun),
		view.Render("runs", renderRuns),
		view.Render("latest", renderLatest),
	)
}

// defaultLimit is how many runs are read where the caller does not say.
const defaultLimit = 20

// repositoryFor reads the entity of the operation's path with the caller's
// rights and returns its repository.
func repositoryFor(ctx *sdk.Context, r route.Request) (repository, error) {
	e, err := catalog.Get(ctx, r.Param("kind")+":"+r.Param("namespace")+"/"+r.Param("name"))
	if err != nil {
		return repository{}, err
	}
	return repositoryOf(ctx, e)
}

func handleRuns(ctx *sdk.Context, r route.Request) (route.Response, error) {
	repo, err := repositoryFor(ctx, r)
	if err != nil {
		return route.Response{}, err
	}
	limit := defaultLimit
	if n, err := strconv.Atoi(r.QueryValue("limit")); err == nil {
		limit = n
	}
	out, err := repo.readRuns(ctx, r.QueryValue("branch"), limit)
	if err != nil {
		return route.Response{}, err
	}
	return route.JSON(out)
}

// runID reads the path parameter, whose form the host has checked.
func runID(r route.Request) (int64, error) {
	id, err := strconv.ParseInt(r.Param("run"), 10, 64)
	if err != nil {
		return 0, sdk.Errorf(sdk.CodeInvalid, "%q is not the id of a run.", r.Param("run"))
	}
	return id, nil
}

func handleJobs(ctx *sdk.Context, r route.Request) (route.Response, error) {
	repo, err := repositoryFor(ctx, r)
	if err != nil {
		return route.Response{}, err
	}
	id, err := runID(r)
	if err != nil {
		return route.Response{}, err
	}
	jobs, err := repo.readJobs(ctx, id)
	if err != nil {
		return route.Response{}, err
	}
	return route.JSON(map[string]any{"run": id, "jobs": jobs})
}

func handleRerun(ctx *sdk.Context, r route.Request) (route.Response, error) {
	repo, err := repositoryFor(ctx, r)
	if err != nil {
		return route.Response{}, err
	}
	id, err := runID(r)
	if err != nil {
		return route.Response{}, err
	}
	if err := repo.rerun(ctx, id, r.QueryValue("failedOnly") == "true"); err != nil {
		return route.Response{}, err
	}
	log.Info(ctx, "asked GitHub to run a workflow again", "repository", repo.slug, "run", id, "by", ctx.Caller().Name)
	return route.JSONStatus(202, map[string]any{"run": id, "accepted": true})
}
