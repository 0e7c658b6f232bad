package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

func newAuditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Check the audit record", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var slug string
	verify := operatorCommand("verify", "Check that no audit record was changed or removed", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, d *data) error {
			tenants, err := d.tenants.List(ctx)
			if err != nil {
				return err
			}
			if slug != "" {
				one, err := d.tenants.BySlug(ctx, slug)
				if err != nil {
					return err
				}
				tenants = []host.Tenant{one}
			}
			for _, t := range tenants {
				if err := d.audit.Verify(ctx, t.ID); err != nil {
					return fmt.Errorf("tenant %s: %w", t.Slug, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: the chain is unbroken\n", t.Slug)
			}
			return nil
		})
	verify.Flags().StringVar(&slug, "tenant", "", "only this tenant")
	cmd.AddCommand(verify)
	return cmd
}
