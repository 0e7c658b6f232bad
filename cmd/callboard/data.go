package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/secret"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/driver"
	"github.com/callboard-dev/callboard/host/store/postgresstore"
	"github.com/callboard-dev/callboard/host/store/sqlitestore"
	"github.com/callboard-dev/callboard/host/tenant"
)

// data is the part of the house that operators' commands and the server
// share: the store and the nouns that need nothing but it.
type data struct {
	config  config.Config
	db      *store.DB
	box     *secret.Box
	audit   *audit.Log
	tenants *tenant.Registry
	auth    *auth.Service
}

// loadConfig reads flags, environment and file. A value that makes no sense is
// wrong usage, wherever it was said.
func loadConfig(cmd *cobra.Command) (config.Config, error) {
	c, err := config.Load(cmd.Flags(), os.LookupEnv)
	if err != nil {
		return c, usageError{err}
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", w)
	}
	return c, nil
}

// openData opens the store, brings it up to date and finishes what a killed
// process left half-done. Progress goes to out.
func openData(ctx context.Context, c config.Config, s store.Settings, out io.Writer) (*data, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, host.Errorf(host.CodeUnavailable, "The data directory %s cannot be made: %w", c.Data, err).
			WithHint("Choose a directory that you may write to with --data.")
	}
	drv, err := driverFor(c)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, drv, s)
	if err != nil {
		return nil, err
	}
	d, err := newData(ctx, c, db, out)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return d, nil
}

// driverFor chooses the database: the one line in which each driver stands.
func driverFor(c config.Config) (driver.Driver, error) {
	if c.DatabaseURL != "" {
		return postgresstore.New(postgresstore.Settings{URL: c.DatabaseURL.Reveal()})
	}
	return sqlitestore.New(sqlitestore.Settings{Dir: c.Data}), nil
}

func newData(ctx context.Context, c config.Config, db *store.DB, out io.Writer) (*data, error) {
	if err := db.Migrate(ctx, migrationProgress(out)); err != nil {
		return nil, err
	}
	box, err := secret.Open(c.Data)
	if err != nil {
		return nil, err
	}
	log := audit.New(db, box)
	tenants := tenant.New(db, log)
	if err := tenants.Resume(ctx); err != nil {
		return nil, err
	}
	if err := log.FlushAll(ctx); err != nil {
		return nil, err
	}
	users := auth.New(db, tenants, log, auth.Settings{})
	return &data{config: c, db: db, box: box, audit: log, tenants: tenants, auth: users}, nil
}

// migrationProgress writes one line a migration.
func migrationProgress(out io.Writer) func(store.Progress) {
	return func(p store.Progress) {
		if p.Migration != "" {
			fmt.Fprintf(out, "migrating %s: %d of %d, %s\n", p.Scope, p.Done, p.Total, p.Migration)
		}
	}
}

// withData runs one operator's command on the data that its flags name.
func withData(run func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		d, err := openData(cmd.Context(), c, store.Settings{}, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer d.db.Close()
		return run(cmd.Context(), cmd, args, d)
	}
}

// operatorCommand returns a command that works on data without a server.
func operatorCommand(use, short string, args cobra.PositionalArgs, run func(context.Context, *cobra.Command, []string, *data) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args, RunE: withData(run)}
	config.AddFlags(cmd.Flags())
	hideServerFlags(cmd)
	return cmd
}

// hideServerFlags keeps the help of an operator's command to the flags that
// choose the data; the others are still understood.
func hideServerFlags(cmd *cobra.Command) {
	for _, name := range []string{"listen", "ops-listen", "redis-url", "meilisearch-url", "demo", "development", "base-domain",
		"base-url", "bundled", "log-format", "log-level", "access-log", "otlp-endpoint", "trace-ratio", "drain-for"} {
		if f := cmd.Flags().Lookup(name); f != nil {
			f.Hidden = true
		}
	}
}

// system is the operator at this machine as a caller in t.
func system(t host.Tenant) host.Caller { return host.System(t, "operator") }
