package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

// tenantRow is a tenant as commands print it.
type tenantRow struct {
	ID        string    `json:"id"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Demo      bool      `json:"demo,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

func newTenantRow(t host.Tenant) tenantRow {
	return tenantRow{string(t.ID), t.Slug, t.Name, t.Demo, t.CreatedAt}
}

func (t tenantRow) cells() []string {
	return []string{t.Slug, t.Name, t.ID, t.CreatedAt.Format(time.DateOnly)}
}

func newTenantCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Create, list and delete tenants", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newTenantCreateCommand(), newTenantListCommand(), newTenantShowCommand(), newTenantQuotaCommand(), newTenantDeleteCommand())
	return cmd
}

// sayFirstSteps says how to get into a portal that has no tenant.
func (p *portal) sayFirstSteps(ctx context.Context, out io.Writer, url string) {
	tenants, err := p.tenants.List(ctx)
	if err != nil || len(tenants) > 0 {
		return
	}
	data := " --data " + p.config.Data
	if p.config.DatabaseURL != "" {
		data += " --database-url ..."
	}
	fmt.Fprintf(out, "  There is no tenant yet. Make one, and somebody who may sign in to it:\n"+
		"    callboard tenant create acme%s\n    callboard user create you@example.com --tenant acme --role admin%s --base-url %s\n", data, data, url)
}

func newTenantCreateCommand() *cobra.Command {
	var name string
	cmd := operatorCommand("create SLUG", "Create a tenant with a namespace of its own", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			if name == "" {
				name = args[0]
			}
			t, err := d.tenants.Create(ctx, args[0], name, false)
			if err != nil {
				return err
			}
			return printTenant(cmd, t)
		})
	cmd.Example = "  callboard tenant create acme --name 'Acme Corp' --data ./data"
	cmd.Flags().StringVar(&name, "name", "", "the title that screens show (default: the slug)")
	addOutputFlag(cmd)
	return cmd
}

func printTenant(cmd *cobra.Command, t host.Tenant) error {
	row := newTenantRow(t)
	return printItem(cmd, row, func() [][2]string {
		return [][2]string{{"Tenant", row.Slug}, {"Name", row.Name}, {"ID", row.ID}, {"Created", row.CreatedAt.Format(time.RFC3339)}}
	})
}

func newTenantListCommand() *cobra.Command {
	cmd := operatorCommand("list", "List the tenants", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, d *data) error {
			tenants, err := d.tenants.List(ctx)
			if err != nil {
				return err
			}
			rows := make([]tenantRow, 0, len(tenants))
			for _, t := range tenants {
				rows = append(rows, newTenantRow(t))
			}
			return printItems(cmd, rows, []string{"TENANT", "NAME", "ID", "CREATED"}, tenantRow.cells)
		})
	addOutputFlag(cmd)
	return cmd
}

func newTenantShowCommand() *cobra.Command {
	cmd := operatorCommand("show SLUG", "Show one tenant", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			t, err := d.tenants.BySlug(ctx, args[0])
			if err != nil {
				return err
			}
			return printTenant(cmd, t)
		})
	addOutputFlag(cmd)
	return cmd
}

func newTenantDeleteCommand() *cobra.Command {
	var yes bool
	cmd := operatorCommand("delete SLUG", "Delete a tenant and everything it holds", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			t, err := d.tenants.BySlug(ctx, args[0])
			if err != nil {
				return err
			}
			if err := consent(cmd, yes, "Delete "+t.Slug+" with its catalog, users, plugins and audit record, for good?"); err != nil {
				return err
			}
			if err := dropInstances(ctx, d, t); err != nil {
				return err
			}
			if err := d.tenants.Delete(ctx, t.Slug); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Deleted tenant %s.\n", t.Slug)
			return nil
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "delete without asking")
	return cmd
}
