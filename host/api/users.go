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
	ID          string     `json:"id"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Role        host.Role  `json:"role" enum:"admin,member,viewer"`
	EntityRef   string     `json:"entityRef,omitempty" doc:"The User entity that stands for the person."`
	Disabled    bool       `json:"disabled" doc:"Disabled users keep their place but cannot get in."`
	HasPassword bool       `json:"hasPassword"`
	CreatedAt   time.Time  `json:"createdAt"`
	LastLoginAt *time.Time `json:"lastLoginAt,omitempty"`
}

func userOf(u auth.User) user {
	return user{ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, EntityRef: u.EntityRef, Disabled: u.Disabled,
		HasPassword: u.HasPassword, CreatedAt: u.CreatedAt, LastLoginAt: timeOrNil(u.LastLoginAt)}
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
		Name     string    `json:"name,omitempty" maxLength:"100" doc:"Shown to others; the e-mail address where left out."`
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

type updateUserInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Name      *string    `json:"name,omitempty" maxLength:"100"`
		Role      *host.Role `json:"role,omitempty" enum:"admin,member,viewer"`
		EntityRef *string    `json:"entityRef,omitempty" maxLength:"300"`
		Disabled  *bool      `json:"disabled,omitempty"`
	}
}

// updateUser changes what is given and leaves the rest.
func (a *API) updateUser(ctx context.Context, c host.Caller, in *updateUserInput) (*bodyOf[user], error) {
	u, err := a.s.Users.UpdateUser(ctx, c, in.ID, auth.UserChange{Name: in.Body.Name, Role: in.Body.Role,
		EntityRef: in.Body.EntityRef, Disabled: in.Body.Disabled})
	if err != nil {
		return nil, err
	}
	return &bodyOf[user]{userOf(u)}, nil
}
