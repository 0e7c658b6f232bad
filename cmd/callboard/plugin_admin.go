package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// pluginAdminCommands are the commands under "plugin" that talk to a server.
func pluginAdminCommands() []*cobra.Command {
	return []*cobra.Command{
		newPluginInstallCommand(), newPluginListCommand(), newPluginInfoCommand(), newPluginInspectCommand(),
		newPluginChangeCommand("enable", "Enable a plugin", http.MethodPost, "/enable", true),
		newPluginChangeCommand("disable", "Disable a plugin; its data stay", http.MethodPost, "/disable", false),
		newPluginConfigureCommand(), newPluginUpgradeCommand(),
		newPluginChangeCommand("rollback", "Return to the release before the last upgrade", http.MethodPost, "/rollback", true),
		newPluginUninstallCommand(), newPluginRecordingsCommand(), newPluginWorkCommand(),
	}
}

// pluginItem is an installed plugin, so far as commands read it. Raw is the
// whole answer, for JSON and YAML.
type pluginItem struct {
	ID          string                    `json:"id"`
	Name        string                    `json:"name"`
	Title       string                    `json:"title"`
	Version     string                    `json:"version"`
	State       string                    `json:"state"`
	StateDetail string                    `json:"stateDetail"`
	Enabled     bool                      `json:"enabled"`
	Digest      string                    `json:"digest"`
	Previous    string                    `json:"previous"`
	Pinned      bool                      `json:"pinned"`
	Missing     []string                  `json:"missing"`
	Secrets     []string                  `json:"secrets"`
	Grants      []permission              `json:"grants"`
	Permissions []permission              `json:"permissions"`
	Pending     *struct{ Version string } `json:"pending"`
	Trial       *struct {
		Replayed, Same, Changed, Failed int
		Details                         []string
	} `json:"trial"`
	Progress *struct {
		Phase    string  `json:"phase"`
		Fraction float64 `json:"fraction"`
	} `json:"progress"`

	Raw json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the whole answer beside the fields.
func (p *pluginItem) UnmarshalJSON(raw []byte) error {
	type fields pluginItem
	if err := json.Unmarshal(raw, (*fields)(p)); err != nil {
		return err
	}
	p.Raw = append(json.RawMessage(nil), raw...)
	return nil
}

// MarshalJSON writes the whole answer.
func (p pluginItem) MarshalJSON() ([]byte, error) { return p.Raw, nil }

// permission is one permission, as people read it before they consent.
type permission manifestv1.Permission

// what says in a line what the permission allows.
func (p permission) what() string { return grant.Words(manifestv1.Permission(p), nil).String() }

// before says what was granted of the same type.
func (p permission) before(granted []permission) string {
	old := make([]manifestv1.Permission, len(granted))
	for i, g := range granted {
		old[i] = manifestv1.Permission(g)
	}
	return grant.Before(old, manifestv1.Permission(p), nil)
}

// pluginPath is the API's path of an installed plugin, by either of its names.
func pluginPath(name string) string {
	if _, short, ok := strings.Cut(name, "/"); ok {
		name = short
	}
	name, _, _ = strings.Cut(name, "@")
	return "/api/v1/plugins/" + url.PathEscape(name)
}

func newPluginListCommand() *cobra.Command {
	var bundled bool
	cmd := serverCommand("list", "List installed plugins, or those that come with the host", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, c *client) error {
			path := "/api/v1/plugins"
			if bundled {
				path = "/api/v1/bundled-plugins"
			}
			var all struct {
				Items []pluginItem `json:"items"`
			}
			if err := c.get(ctx, path, nil, &all); err != nil {
				return err
			}
			header := []string{"PLUGIN", "VERSION", "STATE", "TITLE"}
			return printItems(cmd, all.Items, header, func(p pluginItem) []string {
				state := p.State
				if bundled {
					state = "available"
				}
				return []string{p.ID, p.Version, state, p.Title}
			})
		})
	cmd.Flags().BoolVar(&bundled, "bundled", false, "list the plugins that come with the host")
	return cmd
}

func newPluginInfoCommand() *cobra.Command {
	return serverCommand("info NAME", "Show an installed plugin: state, permissions, what is missing", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			var p pluginItem
			if err := c.get(ctx, pluginPath(args[0]), nil, &p); err != nil {
				return err
			}
			return printPlugin(cmd, p, runsAs(ctx, c, p.ID)...)
		})
}

// printPlugin prints one installed plugin, and more lines below.
func printPlugin(cmd *cobra.Command, p pluginItem, more ...[2]string) error {
	return printItem(cmd, p, func() [][2]string {
		lines := [][2]string{{"Plugin", p.ID}, {"Title", p.Title}, {"Version", p.Version}, {"State", p.State}}
		add := func(key, value string) {
			if value != "" {
				lines = append(lines, [2]string{key, value})
			}
		}
		add("Why", p.StateDetail)
		add("Missing", strings.Join(p.Missing, ", "))
		add("Secrets set", strings.Join(p.Secrets, ", "))
		add("Before", p.Previous)
		if p.Pending != nil {
			add("Waiting", p.Pending.Version+" asks for more: consent with callboard plugin upgrade "+p.ID+" --yes")
		}
		for _, g := range p.Grants {
			add("May", g.what())
		}
		add("Digest", p.Digest)
		if p.Pinned {
			add("Pinned", "it stays at this digest; callboard plugin pin "+p.ID+" --off lets go")
		}
		return append(lines, more...)
	})
}

// newPluginChangeCommand returns a command that is one request and, where the
// plugin runs afterwards, waits until it does.
func newPluginChangeCommand(verb, short, method, path string, wait bool) *cobra.Command {
	return serverCommand(verb+" NAME", short, cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			var p pluginItem
			if err := c.do(ctx, request{method: method, path: pluginPath(args[0]) + path}, nil, &p); err != nil {
				return err
			}
			if !wait {
				return printPlugin(cmd, p)
			}
			return settle(ctx, cmd, c, p)
		})
}

func newPluginUninstallCommand() *cobra.Command {
	var yes bool
	cmd := serverCommand("uninstall NAME", "Uninstall a plugin and delete its data", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			if err := consent(cmd, yes, "Uninstall "+args[0]+" and delete its configuration, secrets and data?"); err != nil {
				return err
			}
			if err := c.do(ctx, request{method: http.MethodDelete, path: pluginPath(args[0])}, nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Uninstalled %s.\n", args[0])
			return nil
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newPluginInspectCommand() *cobra.Command {
	return serverCommand("inspect REF", "Show what a release is and asks for, without installing it", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			p, _, err := previewOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			return printItem(cmd, p.Raw, func() [][2]string {
				lines := [][2]string{{"Plugin", p.ID}, {"Title", p.Title}, {"Version", p.Version}, {"Digest", p.Digest}}
				if p.Installed != "" {
					lines = append(lines, [2]string{"Installed", p.Installed})
				}
				for _, perm := range p.Permissions {
					lines = append(lines, [2]string{"Asks for", perm.what()}, [2]string{"  because", perm.Reason})
				}
				return lines
			})
		})
}

func newPluginConfigureCommand() *cobra.Command {
	var in pluginInputs
	cmd := serverCommand("configure NAME", "Set a plugin's configuration and secrets", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			body, err := in.read(cmd)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return usageError{fmt.Errorf("say what to set: --config FILE or --secret NAME=SOURCE")}
			}
			var p pluginItem
			if err := c.do(ctx, request{method: http.MethodPut, path: pluginPath(args[0]) + "/config"}, body, &p); err != nil {
				return err
			}
			if err := settle(ctx, cmd, c, p); err != nil {
				return err
			}
			sayNext(cmd, p, "")
			return nil
		})
	cmd.Long = "Sets a plugin's configuration and secrets. A plugin that was installed without what it needs is switched on\n" +
		"as soon as nothing is missing; one that was switched off stays off."
	cmd.Example = "  callboard plugin configure prometheus --config prometheus.yaml --secret token=@token.txt"
	in.flags(cmd)
	return cmd
}

// refused says how to go on where nobody can be asked.
func refused(what string) error {
	return host.Errorf(host.CodeInvalid, "%s Nothing was changed.", what).WithHint("Read what is shown, then run the command again with --yes.")
}
