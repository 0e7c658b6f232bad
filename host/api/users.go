package api

import (
	"context"
	"net/http"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// user is a person of the tenant.
type user struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      host.Role `json:"role" enum:"admin,member,viewer"`
	CreatedAt time.Time `json:"createdAt"`
}

func userOf(u auth.User) user {
	return user{ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, CreatedAt: u.CreatedAt}
}

func (a *API) listUsers(ctx context.Context, c host.Caller, _ *struct{}) (*bodyOf[list[user]], error) {
	all, err := a.s.Users.ListUsers(ctx, c)
	if err != nil {
		return nil, err
	}
	return listOf(all, userOf), nil
}

type createUserInput struct {
	Body struct {
		Email    string    `json:"email" format:"email" maxLength:"254"`
		Name     string    `json:"name" minLength:"1" maxLength:"200"`
		Role     host.Role `json:"role" enum:"admin,member,viewer"`
		Password string    `json:"password,omitempty" maxLength:"1024" writeOnly:"true" doc:"Left out, the user signs in by a one-time link."`
	}
}

type createUserOutput struct {
	Status int
	Body   user
}

func (a *API) createUser(ctx context.Context, c host.Caller, in *createUserInput) (*createUserOutput, error) {
	u, err := a.s.Users.CreateUser(ctx, c, auth.NewUser{Email: in.Body.Email, Name: in.Body.Name,
		Role: in.Body.Role, Password: in.Body.Password})
	if err != nil {
		return nil, err
	}
	return &createUserOutput{Status: http.StatusCreated, Body: userOf(u)}, nil
}

type passwordInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1024" writeOnly:"true"`
	}
}

func (a *API) setPassword(ctx context.Context, c host.Caller, in *passwordInput) (*struct{}, error) {
	return nil, a.s.Users.SetPassword(ctx, c, in.ID, in.Body.Password)
}
