package auth

import (
	"context"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

// What the audit record calls the changes to people.
const (
	actionUserCreate   host.Action = "user.create"
	actionUserChange   host.Action = "user.change"
	actionUserPassword host.Action = "user.password"
)

// longestEmail is the longest address that mail servers take, in bytes.
const longestEmail = 254

// longestLabel bounds names and labels, in characters.
const longestLabel = 100

// User is a person in one tenant.
type User struct {
	ID    string
	Email string
	Name  string
	Role  host.Role
	// EntityRef is the User entity that stands for the person, or empty.
	EntityRef string
	// Disabled users keep their place but cannot get in.
	Disabled bool
	// HasPassword tells whether the user can sign in with one.
	HasPassword bool
	CreatedAt   time.Time
	// LastLoginAt is zero for a user who never signed in.
	LastLoginAt time.Time
}

// NewUser is what is told about a new user.
type NewUser struct {
	Email string
	// Name is shown to others; empty means the e-mail address.
	Name string
	Role host.Role
	// Password may be empty: the user then signs in by one-time links.
	Password string
	// EntityRef is the User entity that stands for the person, or empty.
	EntityRef string
}

// UserChange says what to change of a user; nil leaves it.
type UserChange struct {
	Name      *string
	Role      *host.Role
	EntityRef *string
	Disabled  *bool
}

func (r userRow) user() User {
	u := User{ID: r.ID, Email: r.Email, Name: r.Name, Role: host.Role(r.Role), EntityRef: r.EntityRef,
		Disabled: r.Disabled, HasPassword: r.Password != "", CreatedAt: r.CreatedAt.UTC()}
	if !r.LastLoginAt.IsZero() {
		u.LastLoginAt = r.LastLoginAt.UTC()
	}
	return u
}

// NormalizeEmail returns the one form in which an e-mail address is kept, or an
// Error of CodeInvalid. Case does not tell addresses apart. Only ASCII is taken,
// so that two addresses never look the same.
func NormalizeEmail(s string) (string, error) {
	refused := invalid("/email", "This is not an e-mail address that can be kept.",
		"Write it as name@example.com; a domain with other letters is written in its xn-- form.")
	if len(s) > 4*longestEmail {
		return "", refused
	}
	email := strings.ToLower(strings.TrimSpace(s))
	strange := func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == 0x7f }
	// First what is quick to see: the parser is slow on long nonsense.
	if len(email) > longestEmail || strings.ContainsFunc(email, strange) {
		return "", refused
	}
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email || parsed.Name != "" {
		return "", refused
	}
	return email, nil
}

// CreateUser adds a person to the caller's tenant. CodeConflict: somebody has
// the e-mail address already. Needs host.ActionUserManage, and a role that is
// not wider than the caller's.
func (s *Service) CreateUser(ctx context.Context, c host.Caller, n NewUser) (User, error) {
	if err := s.Authorize(ctx, c, host.ActionUserManage, "*"); err != nil {
		return User{}, err
	}
	u, err := s.newUser(ctx, c, n)
	if err != nil {
		return User{}, err
	}
	entry := host.AuditEntry{Action: actionUserCreate, Resource: "user:" + u.ID,
		Detail: map[string]string{"email": u.Email, "role": u.Role}}
	err = s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		known, err := q.NewSelect().Model((*userRow)(nil)).Where("tenant_id = ?", u.TenantID).Where("email = ?", u.Email).Exists(ctx)
		if err != nil {
			return fmt.Errorf("looking for a user: %w", err)
		}
		if known {
			return host.Errorf(host.CodeConflict, "There is a user with the address %s already.", u.Email).
				WithHint("Change that one, or use another address.")
		}
		_, err = q.NewInsert().Model(&u).Exec(ctx)
		return err
	})
	if err != nil {
		return User{}, fmt.Errorf("adding a user: %w", err)
	}
	return u.user(), nil
}

// newUser checks what is told about a user and makes the row of it.
func (s *Service) newUser(ctx context.Context, c host.Caller, n NewUser) (userRow, error) {
	email, err := NormalizeEmail(n.Email)
	if err != nil {
		return userRow{}, err
	}
	if n.Name == "" {
		n.Name = email
	}
	name, err := label("/name", n.Name)
	if err != nil {
		return userRow{}, err
	}
	if err := checkRole(c, n.Role); err != nil {
		return userRow{}, err
	}
	u := userRow{ID: host.NewID("u"), TenantID: string(c.TenantID()), Email: email, Name: name,
		Role: string(n.Role), EntityRef: n.EntityRef, CreatedAt: s.now()}
	if n.Password == "" {
		return u, nil
	}
	u.Password, err = s.newPassword(ctx, n.Password, u)
	return u, err
}

// newPassword returns the hash of a password that may be the user's.
func (s *Service) newPassword(ctx context.Context, text string, u userRow) (string, error) {
	if err := s.words.Check(text, u.Email, u.Name); err != nil {
		return "", err
	}
	return s.words.Hash(ctx, text)
}

// ListUsers returns the people of the caller's tenant in the order of their
// addresses. Needs host.ActionUserManage.
func (s *Service) ListUsers(ctx context.Context, c host.Caller) ([]User, error) {
	if err := s.Authorize(ctx, c, host.ActionUserManage, "*"); err != nil {
		return nil, err
	}
	var rows []userRow
	err := s.db.Control().Read(ctx, func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&rows).Where("tenant_id = ?", string(c.TenantID())).Order("email").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	users := make([]User, len(rows))
	for i, r := range rows {
		users[i] = r.user()
	}
	return users, nil
}

// FindUser returns the user of the caller's tenant with an e-mail address, or an
// Error of CodeNotFound. Needs host.ActionUserManage.
func (s *Service) FindUser(ctx context.Context, c host.Caller, email string) (User, error) {
	normal, err := NormalizeEmail(email)
	if err != nil {
		return User{}, err
	}
	users, err := s.ListUsers(ctx, c)
	if err != nil {
		return User{}, err
	}
	for _, u := range users {
		if u.Email == normal {
			return u, nil
		}
	}
	return User{}, host.Errorf(host.CodeNotFound, "There is no user %s in %s.", normal, c.Tenant().Name)
}

// UpdateUser changes a user. Disabling one ends the user's sessions; tokens of
// the user stop working and never have more than the user's role. The last
// admin stays one: CodeConflict. Needs host.ActionUserManage.
func (s *Service) UpdateUser(ctx context.Context, c host.Caller, id string, n UserChange) (User, error) {
	if err := s.Authorize(ctx, c, host.ActionUserManage, "user:"+id); err != nil {
		return User{}, err
	}
	var u userRow
	entry := host.AuditEntry{Action: actionUserChange, Resource: "user:" + id, Detail: map[string]string{}}
	err := s.change(ctx, c, &entry, func(ctx context.Context, q store.Querier) error {
		old, err := readUser(ctx, q, c.TenantID(), id)
		if err != nil {
			return err
		}
		// Nobody changes one who may more than he.
		if err := checkRole(c, host.Role(old.Role)); err != nil {
			return err
		}
		if u, err = n.apply(c, old, entry.Detail); err != nil {
			return err
		}
		if err := keepAdmin(ctx, q, old, u); err != nil {
			return err
		}
		if u.Disabled && !old.Disabled {
			if err := endSessions(ctx, q, u.ID); err != nil {
				return err
			}
		}
		_, err = q.NewUpdate().Model(&u).Column("name", "role", "entity_ref", "disabled").WherePK().Exec(ctx)
		return err
	})
	if err != nil {
		return User{}, fmt.Errorf("changing a user: %w", err)
	}
	s.forget()
	return u.user(), nil
}

// apply returns the user with the changes and writes them into detail.
func (n UserChange) apply(c host.Caller, u userRow, detail map[string]string) (userRow, error) {
	if n.Name != nil {
		name, err := label("/name", *n.Name)
		if err != nil {
			return u, err
		}
		u.Name, detail["name"] = name, name
	}
	if n.Role != nil {
		if err := checkRole(c, *n.Role); err != nil {
			return u, err
		}
		detail["role"] = u.Role + " -> " + string(*n.Role)
		u.Role = string(*n.Role)
	}
	if n.EntityRef != nil {
		u.EntityRef, detail["entity"] = *n.EntityRef, *n.EntityRef
	}
	if n.Disabled != nil {
		u.Disabled, detail["disabled"] = *n.Disabled, strconv.FormatBool(*n.Disabled)
	}
	return u, nil
}

// keepAdmin refuses a change that would leave the tenant without an admin.
func keepAdmin(ctx context.Context, q store.Querier, old, changed userRow) error {
	admin := func(u userRow) bool { return u.Role == string(host.RoleAdmin) && !u.Disabled }
	if !admin(old) || admin(changed) {
		return nil
	}
	others, err := q.NewSelect().Model((*userRow)(nil)).Where("tenant_id = ?", old.TenantID).
		Where("role = ?", string(host.RoleAdmin)).Where("disabled = ?", false).Where("id <> ?", old.ID).Exists(ctx)
	if err != nil {
		return fmt.Errorf("looking for admins: %w", err)
	}
	if !others {
		return host.Errorf(host.CodeConflict, "%s is the last admin.", old.Email).WithHint("Make somebody else an admin first.")
	}
	return nil
}

// checkRole refuses an unknown role and one that is wider than the caller's.
func checkRole(c host.Caller, r host.Role) error {
	if !r.Valid() {
		return invalid("/role", fmt.Sprintf("%q is not a role.", string(r)), "Take admin, member or viewer.")
	}
	if width(r) > width(c.Principal().Role) {
		return host.Errorf(host.CodeForbidden, "You may not deal out the role %q: yours is %q.", r, c.Principal().Role)
	}
	return nil
}

// label returns the text without spaces around it if it can be shown.
func label(pointer, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > longestLabel ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", invalid(pointer, "The name is empty, too long or not printable.",
			fmt.Sprintf("Take 1 to %d printable characters.", longestLabel))
	}
	return text, nil
}

func invalid(pointer, message, hint string) error {
	return &host.Error{Code: host.CodeInvalid, Message: message, Hint: hint,
		Fields: []host.FieldError{{Pointer: pointer, Message: message}}}
}
