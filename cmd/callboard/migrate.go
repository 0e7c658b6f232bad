package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newMigrateCommand() *cobra.Command {
	return operatorCommand("migrate", "Bring the database and every tenant's namespace up to date", cobra.NoArgs,
		func(_ context.Context, cmd *cobra.Command, _ []string, d *data) error {
			fmt.Fprintf(cmd.OutOrStdout(), "Every migration is applied (%s).\n", d.db.Dialect())
			return nil
		})
}
