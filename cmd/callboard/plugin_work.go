package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// workItem is one job or event, as the API tells it.
type workItem struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Name     string    `json:"name"`
	Key      string    `json:"key,omitempty"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error,omitempty"`
	RunAt    time.Time `json:"runAt"`
}

// newPluginWorkCommand returns "plugin work": a plugin's jobs and events.
func newPluginWorkCommand() *cobra.Command {
	var kind, state, retry, cancel string
	cmd := serverCommand("work NAME", "List a plugin's jobs or events, and try dead letters again", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			path := pluginPath(args[0]) + "/work"
			for verb, id := range map[string]string{"retry": retry, "cancel": cancel} {
				if id == "" {
					continue
				}
				_, err := c.send(ctx, request{method: http.MethodPost, path: path + "/" + url.PathEscape(id) + "/" + verb})
				return err
			}
			if kind != "job" && kind != "event" {
				return usageError{fmt.Errorf("--kind is job or event, not %q", kind)}
			}
			query := url.Values{"kind": {kind}}
			if state != "" {
				query.Set("state", state)
			}
			var all struct {
				Items []workItem `json:"items"`
			}
			if err := c.get(ctx, path, query, &all); err != nil {
				return err
			}
			return printItems(cmd, all.Items, []string{"ID", "NAME", "KEY", "STATE", "ATTEMPTS", "DUE", "ERROR"}, func(i workItem) []string {
				return []string{i.ID, i.Name, i.Key, i.State, fmt.Sprint(i.Attempts), i.RunAt.Local().Format(time.DateTime), i.Error}
			})
		})
	cmd.Flags().StringVar(&kind, "kind", "job", "what to list: job or event")
	cmd.Flags().StringVar(&state, "state", "", "only those that are waiting, running, done, dead or cancelled")
	cmd.Flags().StringVar(&retry, "retry", "", "run the dead or cancelled job or event with this id again")
	cmd.Flags().StringVar(&cancel, "cancel", "", "keep the job or event with this id from running")
	cmd.MarkFlagsMutuallyExclusive("retry", "cancel")
	cmd.Example = "  callboard plugin work release-desk --state dead\n  callboard plugin work release-desk --retry job2virk3iacv3ficdtiklyc4jikp"
	return cmd
}
