package api

import (
	"context"
	"net/http"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// Token is an API token without its secret.
type Token struct {
	ID         string     `json:"id"`
	Label      string     `json:"label"`
	Role       host.Role  `json:"role" enum:"admin,member,viewer"`
	Scopes     []string   `json:"scopes"`
	Parent     string     `json:"parent,omitempty" doc:"Id of the token that it was made with, and ends with."`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  *time.Time `json:"expiresAt,omitempty"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
}

func tokenOf(t auth.Token) Token {
	return Token{ID: t.ID, Label: t.Label, Role: t.Role, Scopes: some(t.Scopes), Parent: t.Parent, CreatedAt: t.CreatedAt,
		ExpiresAt: timeOrNil(t.ExpiresAt), LastUsedAt: timeOrNil(t.LastUsedAt)}
}

func (a *API) listTokens(ctx context.Context, c host.Caller, _ *struct{}) (*bodyOf[list[Token]], error) {
	all, err := a.s.Tokens.ListTokens(ctx, c)
	if err != nil {
		return nil, err
	}
	return listOf(all, tokenOf), nil
}

type createTokenInput struct {
	Body struct {
		Label     string     `json:"label" minLength:"1" maxLength:"200" doc:"What the token is for."`
		Role      host.Role  `json:"role,omitempty" enum:"admin,member,viewer" doc:"Not wider than the caller's own, which it is where left out."`
		Scopes    []string   `json:"scopes,omitempty" maxItems:"50" doc:"Actions to which the token is limited; all of the role's where left out."`
		ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	}
}

// createdToken is the only answer that holds a token's secret.
type createdToken struct {
	Token
	Secret string `json:"secret" readOnly:"true" doc:"The token itself. It is shown this once."`
}

type createTokenOutput struct {
	Status int
	Body   createdToken
}

func (a *API) createToken(ctx context.Context, c host.Caller, in *createTokenInput) (*createTokenOutput, error) {
	holdsSecret(ctx)
	n := auth.NewToken{Label: in.Body.Label, Role: in.Body.Role, Scopes: in.Body.Scopes}
	if n.Role == "" {
		n.Role = c.Principal().Role
	}
	if in.Body.ExpiresAt != nil {
		n.Expires = *in.Body.ExpiresAt
	}
	secret, t, err := a.s.Tokens.CreateToken(ctx, c, n)
	if err != nil {
		return nil, err
	}
	return &createTokenOutput{Status: http.StatusCreated, Body: createdToken{tokenOf(t), secret}}, nil
}

type tokenInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (a *API) revokeToken(ctx context.Context, c host.Caller, in *tokenInput) (*struct{}, error) {
	return nil, a.s.Tokens.RevokeToken(ctx, c, in.ID)
}
