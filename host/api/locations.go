package api

import (
	"context"
	"net/http"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

// location is a location as the API tells it.
type location struct {
	ID          string           `json:"id"`
	Type        string           `json:"type" doc:"file, url or git."`
	Target      string           `json:"target"`
	Status      string           `json:"status" enum:"pending,ok,error"`
	Error       *catalog.Problem `json:"error,omitempty" doc:"Why the last reading failed, or its first problem."`
	Entities    int              `json:"entities" doc:"How many entities it provides."`
	Managed     bool             `json:"managed" doc:"True where it stands in the configuration file and cannot be removed here."`
	RefreshedAt *time.Time       `json:"refreshedAt,omitempty"`
	NextAt      *time.Time       `json:"nextAt,omitempty"`
}

func locationOf(l catalog.Location) location {
	return location{ID: l.ID, Type: l.Type, Target: l.Target, Status: l.Status, Error: l.Error,
		Entities: l.Entities, Managed: l.Managed, RefreshedAt: timeOrNil(l.RefreshedAt), NextAt: timeOrNil(l.NextAt)}
}

// timeOrNil leaves out a time that has not come.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// report says what reading a location did, or would do.
type report struct {
	Location  location          `json:"location"`
	DryRun    bool              `json:"dryRun,omitempty" doc:"True where nothing was stored."`
	Added     []string          `json:"added"`
	Changed   []string          `json:"changed"`
	Unchanged []string          `json:"unchanged"`
	Removed   []string          `json:"removed"`
	Problems  []catalog.Problem `json:"problems" doc:"What is wrong with documents, by file and line. The others are not held back."`
}

func reportOf(r catalog.Report) report {
	return report{Location: locationOf(r.Location), Added: some(r.Added), Changed: some(r.Changed),
		Unchanged: some(r.Unchanged), Removed: some(r.Removed), Problems: some(r.Problems)}
}

// some makes "none" an empty JSON array.
func some[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

type registerInput struct {
	DryRun bool `query:"dryRun" doc:"Only say what would come of it."`
	Body   struct {
		Type   string `json:"type,omitempty" enum:"file,url,git" doc:"Guessed from the target where it is left out."`
		Target string `json:"target" minLength:"1" maxLength:"4096" doc:"A URL, a repository or a path on the server; type:target, as Backstage writes it, says the type too." example:"https://git.example.com/shop/cart/raw/main/catalog-info.yaml"`
	}
}

type registerOutput struct {
	Status   int
	Location string `header:"Location" doc:"The new location."`
	Body     report
}

// registerLocation adds a location and reads it, or says what would come.
func (a *API) registerLocation(ctx context.Context, c host.Caller, in *registerInput) (*registerOutput, error) {
	rep, err := a.s.Locations.Register(ctx, c, in.Body.Type, in.Body.Target, in.DryRun)
	if err != nil {
		return nil, err
	}
	out := &registerOutput{Status: http.StatusCreated, Body: reportOf(rep)}
	out.Body.DryRun = in.DryRun
	if in.DryRun {
		out.Status = http.StatusOK
		return out, nil
	}
	out.Location = "/api/v1/locations/" + rep.Location.ID
	return out, nil
}

func (a *API) listLocations(ctx context.Context, c host.Caller, _ *struct{}) (*bodyOf[list[location]], error) {
	all, err := a.s.Locations.Locations(ctx, c)
	if err != nil {
		return nil, err
	}
	return listOf(all, locationOf), nil
}

type locationInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (a *API) getLocation(ctx context.Context, c host.Caller, in *locationInput) (*bodyOf[location], error) {
	l, err := a.s.Locations.Location(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return &bodyOf[location]{locationOf(l)}, nil
}

func (a *API) deleteLocation(ctx context.Context, c host.Caller, in *locationInput) (*struct{}, error) {
	return nil, a.s.Locations.Unregister(ctx, c, in.ID)
}

// refreshLocation reads a location now.
func (a *API) refreshLocation(ctx context.Context, c host.Caller, in *locationInput) (*bodyOf[report], error) {
	rep, err := a.s.Entities.Refresh(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return &bodyOf[report]{reportOf(rep)}, nil
}
