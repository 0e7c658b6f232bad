package api

import (
	"context"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/work"
)

// Backlog is the jobs and events of plugins.
type Backlog interface {
	List(ctx context.Context, c host.Caller, name, lane, state string, limit int) ([]work.Item, error)
	Retry(ctx context.Context, c host.Caller, name, id string) error
	Cancel(ctx context.Context, c host.Caller, name, id string) error
}

// workRoutes are the operations of jobs and events.
func (a *API) workRoutes() []row {
	return []row{
		operation(get, "/api/v1/plugins/{plugin}/work", "listPluginWork", tagPlugins, "List a plugin's jobs, or events on their way to it", a.listWork),
		operation(post, "/api/v1/plugins/{plugin}/work/{id}/retry", "retryPluginWork", tagPlugins, "Run a dead or cancelled job or event again", a.retryWork),
		operation(post, "/api/v1/plugins/{plugin}/work/{id}/cancel", "cancelPluginWork", tagPlugins, "Keep a job or event that waits from running", a.cancelWork),
	}
}

// workItem is one job, or one event on its way, as the API tells it.
type workItem struct {
	ID          string    `json:"id" example:"job2virk3iacv3ficdtiklyc4jikp"`
	Kind        string    `json:"kind" enum:"job,event"`
	Name        string    `json:"name" doc:"The id of the manifest's job or subscription."`
	Topic       string    `json:"topic,omitempty" doc:"The event's topic."`
	Key         string    `json:"key,omitempty" doc:"The job's unique key, or the event's key."`
	State       string    `json:"state" enum:"waiting,running,done,dead,cancelled"`
	Attempts    int       `json:"attempts"`
	MaxAttempts int       `json:"maxAttempts" doc:"After so many failures it is dead."`
	Percent     int       `json:"percent" doc:"How far the job is, as it says itself."`
	Note        string    `json:"note,omitempty"`
	Error       string    `json:"error,omitempty" doc:"The failure of the last attempt."`
	CreatedAt   time.Time `json:"createdAt"`
	RunAt       time.Time `json:"runAt" doc:"When it is or was due."`
	EndedAt     time.Time `json:"endedAt,omitzero"`
}

func workOf(i work.Item) workItem {
	key := i.Key
	if key == "" {
		key = i.Order
	}
	return workItem{
		ID: i.ID, Kind: i.Lane, Name: i.Name, Topic: i.Topic, Key: key, State: string(i.State), Attempts: i.Attempts, MaxAttempts: i.MaxAttempts,
		Percent: i.Percent, Note: i.Note, Error: i.Error, CreatedAt: i.CreatedAt, RunAt: i.RunAt, EndedAt: i.EndedAt,
	}
}

// WorkInput asks for a plugin's jobs or events.
type WorkInput struct {
	PluginInput
	Kind  string `query:"kind" enum:"job,event" default:"job"`
	State string `query:"state" enum:"waiting,running,done,dead,cancelled" doc:"All states if it is left out."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *API) listWork(ctx context.Context, c host.Caller, in *WorkInput) (*bodyOf[list[workItem]], error) {
	all, err := a.s.Backlog.List(ctx, c, in.Plugin, in.Kind, in.State, in.Limit)
	if err != nil {
		return nil, err
	}
	return listOf(all, workOf), nil
}

// WorkItemInput names one job or event.
type WorkItemInput struct {
	PluginInput
	ID string `path:"id" maxLength:"80"`
}

func (a *API) retryWork(ctx context.Context, c host.Caller, in *WorkItemInput) (*struct{}, error) {
	return nil, a.s.Backlog.Retry(ctx, c, in.Plugin, in.ID)
}

func (a *API) cancelWork(ctx context.Context, c host.Caller, in *WorkItemInput) (*struct{}, error) {
	return nil, a.s.Backlog.Cancel(ctx, c, in.Plugin, in.ID)
}
