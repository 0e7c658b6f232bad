package catalog

import (
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host/catalog/descriptor"
	"github.com/callboard-dev/callboard/host/catalog/source"
)

// The tables of migrations/tenant/0001_catalog.sql.

type stateRow struct {
	bun.BaseModel `bun:"table:catalog_state,alias:s"`

	ID       int64 `bun:",pk"`
	Revision int64
	Rebuilt  int64
}

type locationRow struct {
	bun.BaseModel `bun:"table:locations,alias:l"`

	ID          string `bun:",pk"`
	Type        string
	Target      string
	Status      string
	Error       string
	Sources     string
	Entities    int64
	Failures    int64
	Managed     bool
	CreatedAt   time.Time
	RefreshedAt time.Time `bun:",nullzero"`
	NextAt      time.Time
}

type entityRow struct {
	bun.BaseModel `bun:"table:entities,alias:e"`

	ID          int64 `bun:",pk,autoincrement"`
	Ref         string
	UID         string `bun:"uid"`
	Kind        string
	Namespace   string
	Name        string
	Type        string
	Owner       string
	Lifecycle   string
	Title       string
	Description string
	Extras      string
	Doc         string
	Etag        string
	Hash        string
	LocationID  string
	Source      string
	Orphan      bool
	Revision    int64
	UpdatedAt   time.Time
	Words       string
}

type relationRow struct {
	bun.BaseModel `bun:"table:relations,alias:r"`

	Origin string
	Source string
	Type   string
	Target string
}

type facetRow struct {
	bun.BaseModel `bun:"table:facets,alias:f"`

	Key      string
	Value    string
	EntityID int64
	Original *string
}

type errorRow struct {
	bun.BaseModel `bun:"table:entity_errors,alias:x"`

	ID         int64 `bun:",pk,autoincrement"`
	LocationID string
	Ref        string
	Place      string
	Message    string
	Hint       string
	At         time.Time
}

// ftsRow is a row of SQLite's full-text table.
type ftsRow struct {
	bun.BaseModel `bun:"table:entities_fts,alias:t"`

	Rowid int64
	Words string
}

// extras is what lists show beside the columns.
type extras struct {
	Tags        []string          `json:"tags,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Relations   []wireRelation    `json:"relations,omitempty"`
}

// wireRelation is a relation in Backstage's JSON.
type wireRelation struct {
	Type      string `json:"type"`
	TargetRef string `json:"targetRef"`
}

func (r *entityRow) entity() Entity {
	e := Entity{
		Ref: Ref{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}, UID: r.UID, Doc: json.RawMessage(r.Doc), ETag: r.Etag,
		Orphan: r.Orphan, UpdatedAt: r.UpdatedAt.UTC(), Kind: r.Kind, Type: r.Type, Owner: r.Owner,
		Lifecycle: r.Lifecycle, Title: r.Title, Description: r.Description,
	}
	var x extras
	if json.Unmarshal([]byte(r.Extras), &x) == nil {
		e.Tags, e.Annotations = x.Tags, x.Annotations
		for _, rel := range x.Relations {
			if to, err := descriptor.ParseRef(rel.TargetRef, Ref{}); err == nil {
				e.Relations = append(e.Relations, Relation{Type: rel.Type, Target: to})
			}
		}
	}
	return e
}

func (r *errorRow) problem() Problem {
	return Problem{LocationID: r.LocationID, Ref: r.Ref, Where: r.Place, Message: r.Message, Hint: r.Hint, At: r.At.UTC()}
}

func (r *locationRow) address() source.Address { return source.Address{Type: r.Type, Target: r.Target} }

func (r *locationRow) location() Location {
	l := Location{ID: r.ID, Type: r.Type, Target: r.Target, Status: r.Status, Entities: int(r.Entities),
		NextAt: r.NextAt.UTC(), Managed: r.Managed}
	if !r.RefreshedAt.IsZero() {
		l.RefreshedAt = r.RefreshedAt.UTC()
	}
	var p Problem
	if r.Error != "" && json.Unmarshal([]byte(r.Error), &p) == nil {
		l.Error = &p
	}
	return l
}

// known returns what the last refresh saw of each address.
func (r *locationRow) known() map[string]string {
	known := map[string]string{}
	if json.Unmarshal([]byte(r.Sources), &known) != nil {
		return nil
	}
	return known
}
