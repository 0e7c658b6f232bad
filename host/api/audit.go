package api

import (
	"context"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
)

type auditInput struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"The next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// auditPage is one page of the audit record, the newest first.
type auditPage struct {
	Items []audit.Record `json:"items"`
	Next  string         `json:"next,omitempty"`
}

// listAudit answers who changed what.
func (a *API) listAudit(ctx context.Context, c host.Caller, in *auditInput) (*bodyOf[auditPage], error) {
	page, err := a.s.Audit.List(ctx, c, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &bodyOf[auditPage]{auditPage{Items: some(page.Items), Next: page.Next}}, nil
}
