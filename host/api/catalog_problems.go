package api

import (
	"context"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

type problemsInput struct {
	Ref        string `query:"ref" maxLength:"300" doc:"Only the problems of one entity, by its reference."`
	LocationID string `query:"locationId" maxLength:"64" doc:"Only the problems of one location."`
}

// listProblems answers what is wrong with locations and documents now.
func (a *API) listProblems(ctx context.Context, c host.Caller, in *problemsInput) (*bodyOf[list[catalog.Problem]], error) {
	all, err := a.s.Inspector.Problems(ctx, c)
	if err != nil {
		return nil, err
	}
	keep := make([]catalog.Problem, 0, len(all))
	for _, p := range all {
		if (in.Ref == "" || strings.EqualFold(in.Ref, p.Ref)) && (in.LocationID == "" || in.LocationID == p.LocationID) {
			keep = append(keep, p)
		}
	}
	return listOf(keep, func(p catalog.Problem) catalog.Problem { return p }), nil
}

type validateInput struct {
	Body struct {
		Document string `json:"document" minLength:"1" maxLength:"900000" doc:"The text of a catalog file; several documents are parted by ---."`
		File     string `json:"file,omitempty" maxLength:"500" doc:"Its name, for the places of problems." example:"catalog-info.yaml"`
	}
}

type validateOutput struct {
	Valid    bool              `json:"valid"`
	Problems []catalog.Problem `json:"problems"`
}

// validateDocument checks a catalog file and stores nothing.
func (a *API) validateDocument(ctx context.Context, c host.Caller, in *validateInput) (*bodyOf[validateOutput], error) {
	file := in.Body.File
	if file == "" {
		file = "catalog-info.yaml"
	}
	problems := a.s.Inspector.Validate(ctx, []byte(in.Body.Document), file)
	return &bodyOf[validateOutput]{validateOutput{Valid: len(problems) == 0, Problems: some(problems)}}, nil
}
