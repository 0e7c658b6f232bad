package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

// userRow is a user as commands print it.
type userRow struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      host.Role `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
}

func newUserCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Create and list a tenant's users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newUserCreateCommand(), newUserListCommand(), newUserLinkCommand())
	return cmd
}

// tenantOf returns the tenant that --tenant names; with one tenant only, that
// one.
func tenantOf(ctx context.Context, d *data, slug string) (host.Tenant, error) {
	if slug != "" {
		return d.tenants.BySlug(ctx, slug)
	}
	tenants, err := d.tenants.List(ctx)
	if err != nil {
		return host.Tenant{}, err
	}
	if len(tenants) == 1 {
		return tenants[0], nil
	}
	return host.Tenant{}, usageError{fmt.Errorf("there are %d tenants: name one with --tenant", len(tenants))}
}

// roleFlag is the flag --role; a word that is no role is wrong usage.
type roleFlag struct{ role *host.Role }

// String implements pflag.Value.
func (f roleFlag) String() string {
	if f.role == nil {
		return ""
	}
	return string(*f.role)
}

// Type implements pflag.Value.
func (roleFlag) Type() string { return "role" }

// Set implements pflag.Value.
func (f roleFlag) Set(s string) error {
	if !host.Role(s).Valid() {
		return fmt.Errorf("%q is none of admin, member, viewer", s)
	}
	*f.role = host.Role(s)
	return nil
}

func addRoleFlag(cmd *cobra.Command, role *host.Role, def host.Role) {
	*role = def
	cmd.Flags().Var(roleFlag{role}, "role", "admin, member or viewer")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(
		[]string{string(host.RoleAdmin), string(host.RoleMember), string(host.RoleViewer)}, cobra.ShellCompDirectiveNoFileComp))
}

// showLinkFlags shows the settings that a sign-in link is made of.
func showLinkFlags(cmd *cobra.Command) {
	for name, usage := range map[string]string{
		"base-url": "URL under which people reach the portal; the link begins with it",
		"listen":   "address on which the portal listens, for the link where there is no --base-url",
	} {
		f := cmd.Flags().Lookup(name)
		f.Hidden, f.Usage = false, usage
	}
}

func newUserCreateCommand() *cobra.Command {
	var tenant, name string
	var role host.Role
	var stdin bool
	cmd := operatorCommand("create EMAIL", "Create a user and print a one-time sign-in link", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			t, err := tenantOf(ctx, d, tenant)
			if err != nil {
				return err
			}
			n := auth.NewUser{Email: args[0], Name: name, Role: role}
			if stdin {
				line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if n.Password = strings.TrimRight(line, "\r\n"); n.Password == "" {
					return usageError{fmt.Errorf("--password-stdin was given but standard input has no line: %w", err)}
				}
			}
			u, err := d.auth.CreateUser(ctx, system(t), n)
			if err != nil {
				return err
			}
			return printLink(ctx, cmd, d, t, u)
		})
	cmd.Example = "  callboard user create ann@example.com --tenant acme --role admin --data ./data"
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant's slug (not needed with one tenant only)")
	cmd.Flags().StringVar(&name, "name", "", "the person's name")
	addRoleFlag(cmd, &role, host.RoleMember)
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read a password from standard input")
	showLinkFlags(cmd)
	addOutputFlag(cmd)
	return cmd
}

// printLink prints the user with a link that signs in once.
func printLink(ctx context.Context, cmd *cobra.Command, d *data, t host.Tenant, u auth.User) error {
	token, err := d.auth.CreateLoginLink(ctx, t.ID, u.ID)
	if err != nil {
		return err
	}
	link := signInLink(baseURL(d.config), token)
	answer := struct {
		userRow
		SignInLink string `json:"signInLink"`
	}{newUserRow(u), link}
	return printItem(cmd, answer, func() [][2]string {
		return [][2]string{{"User", u.Email}, {"Role", string(u.Role)}, {"Tenant", t.Slug}, {"Sign-in link", link}, {"Valid", "once, for 15 minutes"}}
	})
}

func newUserRow(u auth.User) userRow {
	return userRow{ID: u.ID, Email: u.Email, Name: u.Name, Role: u.Role, CreatedAt: u.CreatedAt}
}

func newUserListCommand() *cobra.Command {
	var tenant string
	cmd := operatorCommand("list", "List a tenant's users", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, d *data) error {
			t, err := tenantOf(ctx, d, tenant)
			if err != nil {
				return err
			}
			users, err := d.auth.ListUsers(ctx, system(t))
			if err != nil {
				return err
			}
			rows := make([]userRow, 0, len(users))
			for _, u := range users {
				rows = append(rows, newUserRow(u))
			}
			return printItems(cmd, rows, []string{"EMAIL", "NAME", "ROLE", "CREATED"}, func(u userRow) []string {
				return []string{u.Email, u.Name, string(u.Role), u.CreatedAt.Format(time.DateOnly)}
			})
		})
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant's slug (not needed with one tenant only)")
	addOutputFlag(cmd)
	return cmd
}

func newUserLinkCommand() *cobra.Command {
	var tenant string
	cmd := operatorCommand("link EMAIL", "Print a one-time sign-in link for a user", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			t, err := tenantOf(ctx, d, tenant)
			if err != nil {
				return err
			}
			users, err := d.auth.ListUsers(ctx, system(t))
			if err != nil {
				return err
			}
			for _, u := range users {
				if strings.EqualFold(u.Email, args[0]) {
					return printLink(ctx, cmd, d, t, u)
				}
			}
			return host.Errorf(host.CodeNotFound, "The tenant %s has no user %s.", t.Slug, args[0]).
				WithHint("callboard user list --tenant %s shows them.", t.Slug)
		})
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant's slug (not needed with one tenant only)")
	showLinkFlags(cmd)
	addOutputFlag(cmd)
	return cmd
}
