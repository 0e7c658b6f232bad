package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

// Exit codes, as every command uses them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in how a command was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	printError(errOut, err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(errOut, "See '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// printError writes what happened, each field that is wrong, and what to do.
// Of mistakes that were found together it writes each.
func printError(w io.Writer, err error) {
	var usage usageError
	if errors.As(err, &usage) {
		err = usage.err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var e *host.Error
		if parts := joined.Unwrap(); !slices.ContainsFunc(parts, func(part error) bool { return !errors.As(part, &e) }) {
			for _, part := range parts {
				printError(w, part)
			}
			return
		}
	}
	var e *host.Error
	if !errors.As(err, &e) {
		fmt.Fprintf(w, "Error: %v\n", err)
		return
	}
	where := ""
	if e.Where != "" {
		where = e.Where + ": "
	}
	fmt.Fprintf(w, "Error: %s%s\n", where, e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(w, "  %s: %s\n", f.Pointer, f.Message)
	}
	if e.Hint != "" {
		fmt.Fprintf(w, "Hint: %s\n", e.Hint)
	}
}

// newRootCommand puts the command tree together: one line a command.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "callboard",
		Short: "A developer portal in which every feature is a sandboxed plugin",
		Long: "Callboard serves a developer portal for many tenants. Every feature is a plugin that is\n" +
			"installed while the portal runs.\n\nStart with: callboard serve --data ./data --demo",
		Version:       host.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: "operate", Title: "For operators, on the data directory or database:"},
		&cobra.Group{ID: "admin", Title: "For admins and developers, against a server:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("operate", newServeCommand(), newMigrateCommand(), newTenantCommand(), newUserCommand(),
		newTokenCommand(), newDoctorCommand(), newAuditCommand())
	add("admin", adminCommands()...)
	add("admin", newPluginCommand())
	markUsageErrors(root)
	return root
}

// newPluginCommand joins the admins' and the authors' plugin commands.
func newPluginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Install and manage plugins, or write your own",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddGroup(
		&cobra.Group{ID: "manage", Title: "For admins, against a server:"},
		&cobra.Group{ID: "author", Title: "For plugin authors:"},
	)
	for _, c := range append(pluginAdminCommands(), pluginKeepingCommands()...) {
		c.GroupID = "manage"
		cmd.AddCommand(c)
	}
	for _, c := range authorCommands() {
		c.GroupID = "author"
		cmd.AddCommand(c)
	}
	return cmd
}

// markUsageErrors makes wrong flags and arguments exit with 2 everywhere.
func markUsageErrors(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, a []string) error {
			if err := args(c, a); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		markUsageErrors(c)
	}
}
