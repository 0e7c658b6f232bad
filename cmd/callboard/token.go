package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
)

func newTokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Create API tokens", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var tenant, label string
	var role host.Role
	var expires time.Duration
	var scopes []string
	create := operatorCommand("create", "Create an API token and print it, alone, on standard output", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, d *data) error {
			t, err := tenantOf(ctx, d, tenant)
			if err != nil {
				return err
			}
			n := auth.NewToken{Label: label, Role: role, Scopes: scopes, Expires: time.Now().Add(expires)}
			secret, _, err := d.auth.CreateToken(ctx, system(t), n)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), secret)
			return nil
		})
	create.Long = "Creates an API token of a tenant and prints it once: only its hash is kept."
	create.Example = "  export CALLBOARD_TOKEN=$(callboard token create --tenant acme --role admin --expires 24h --data ./data)"
	create.Flags().StringVar(&tenant, "tenant", "", "the tenant's slug (not needed with one tenant only)")
	addRoleFlag(create, &role, host.RoleViewer)
	create.Flags().StringVar(&label, "label", "created by an operator", "what the token is for")
	create.Flags().DurationVar(&expires, "expires", 90*24*time.Hour, "how long it is valid, for example 24h")
	create.Flags().StringSliceVar(&scopes, "scope", nil, "narrow it to actions, for example 'catalog.*' (repeatable)")
	cmd.AddCommand(create)
	return cmd
}
