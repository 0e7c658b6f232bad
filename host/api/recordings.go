package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/recording"
)

// Recordings are the recorded calls of plugins.
type Recordings interface {
	List(ctx context.Context, c host.Caller, name string, limit int) ([]recording.Entry, error)
	Export(ctx context.Context, c host.Caller, name, id string) (*recording.Recording, error)
	Delete(ctx context.Context, c host.Caller, name, id string) error
	Rule(ctx context.Context, c host.Caller, name string) (recording.Rule, error)
	SetRule(ctx context.Context, c host.Caller, name string, rule recording.Rule) (recording.Rule, error)
}

// recordingRoutes are the operations of recorded calls.
func (a *API) recordingRoutes() []row {
	return []row{
		operation(get, "/api/v1/plugins/{plugin}/recordings", "listPluginRecordings", tagPlugins, "List recorded calls of a plugin", a.listRecordings),
		operation(del, "/api/v1/plugins/{plugin}/recordings", "deletePluginRecordings", tagPlugins, "Remove all recorded calls of a plugin", a.deleteRecordings),
		raw(get, "/api/v1/plugins/{plugin}/recordings/{id}", "getPluginRecording", tagPlugins, "Read a recorded call, for callboard plugin replay", a.readRecording,
			pathParams("plugin", "id"), tagged(jsonType, &huma.Schema{Type: huma.TypeObject})),
		operation(del, "/api/v1/plugins/{plugin}/recordings/{id}", "deletePluginRecording", tagPlugins, "Remove a recorded call", a.deleteRecording),
		operation(get, "/api/v1/plugins/{plugin}/recording-rule", "getPluginRecordingRule", tagPlugins, "Read which calls of a plugin are recorded", a.readRecordingRule),
		operation(put, "/api/v1/plugins/{plugin}/recording-rule", "setPluginRecordingRule", tagPlugins, "Set which calls of a plugin are recorded", a.setRecordingRule),
	}
}

// recordingRule is a rule as the API tells it.
type recordingRule struct {
	Sample  float64 `json:"sample" minimum:"0" maximum:"1" doc:"The share of calls that is recorded; 0 records none."`
	KeepFor string  `json:"keepFor" doc:"For how long, as hours, minutes and seconds." example:"168h"`
	Most    int     `json:"most" minimum:"1" maximum:"1000" doc:"How many of the newest are kept."`
}

func ruleOf(r recording.Rule) recordingRule {
	return recordingRule{Sample: r.Sample, KeepFor: r.Keep.String(), Most: r.Most}
}

// RecordingsInput asks for a plugin's recordings.
type RecordingsInput struct {
	PluginInput
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *API) listRecordings(ctx context.Context, c host.Caller, in *RecordingsInput) (*bodyOf[list[recording.Entry]], error) {
	all, err := a.s.Recordings.List(ctx, c, in.Plugin, in.Limit)
	if err != nil {
		return nil, err
	}
	return listOf(all, func(e recording.Entry) recording.Entry { return e }), nil
}

// readRecording serves the file.
func (a *API) readRecording(w http.ResponseWriter, r *http.Request) {
	rec, err := a.s.Recordings.Export(r.Context(), caller(r), r.PathValue("plugin"), r.PathValue("id"))
	if err != nil {
		Fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Disposition", `attachment; filename="recording.json"`)
	w.Header().Set("Cache-Control", "no-store")
	if err := rec.Write(w); err != nil {
		a.s.Log.WarnContext(r.Context(), "sending a recording", "error", err)
	}
}

// RecordingInput names one recording.
type RecordingInput struct {
	PluginInput
	ID string `path:"id" maxLength:"80"`
}

func (a *API) deleteRecording(ctx context.Context, c host.Caller, in *RecordingInput) (*struct{}, error) {
	return nil, a.s.Recordings.Delete(ctx, c, in.Plugin, in.ID)
}

func (a *API) deleteRecordings(ctx context.Context, c host.Caller, in *PluginInput) (*struct{}, error) {
	return nil, a.s.Recordings.Delete(ctx, c, in.Plugin, "")
}

func (a *API) readRecordingRule(ctx context.Context, c host.Caller, in *PluginInput) (*bodyOf[recordingRule], error) {
	rule, err := a.s.Recordings.Rule(ctx, c, in.Plugin)
	if err != nil {
		return nil, err
	}
	return &bodyOf[recordingRule]{ruleOf(rule)}, nil
}

// RecordingRuleInput replaces a rule.
type RecordingRuleInput struct {
	PluginInput
	Body recordingRule
}

func (a *API) setRecordingRule(ctx context.Context, c host.Caller, in *RecordingRuleInput) (*bodyOf[recordingRule], error) {
	keep, err := time.ParseDuration(in.Body.KeepFor)
	if err != nil {
		e := host.Errorf(host.CodeInvalid, "keepFor is not a time: %s", in.Body.KeepFor).WithHint("write it as 168h")
		e.Fields = []host.FieldError{{Pointer: "/keepFor", Message: "is not a time like 168h"}}
		return nil, e
	}
	rule, err := a.s.Recordings.SetRule(ctx, c, in.Plugin, recording.Rule{Sample: in.Body.Sample, Keep: keep, Most: in.Body.Most})
	if err != nil {
		return nil, err
	}
	return &bodyOf[recordingRule]{ruleOf(rule)}, nil
}
