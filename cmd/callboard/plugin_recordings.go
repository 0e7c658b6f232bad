package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

// recordingItem is one recorded call, so far as the table shows it.
type recordingItem struct {
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	Digest     string    `json:"digest"`
	Capability string    `json:"capability"`
	Method     string    `json:"method"`
	At         time.Time `json:"at"`
	Bytes      int64     `json:"bytes"`
	Fuel       int64     `json:"fuel"`
	Failed     bool      `json:"failed"`
	Redacted   int       `json:"redacted"`
}

// recordingRule is which calls are recorded.
type recordingRule struct {
	Sample  float64 `json:"sample"`
	KeepFor string  `json:"keepFor"`
	Most    int     `json:"most"`
}

// newPluginRecordingsCommand returns "plugin recordings" with what is below it.
func newPluginRecordingsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recordings",
		Short: "List, export and remove recorded calls, and say which are recorded",
		Long: "A recorded call can be made again on an author's machine (callboard plugin replay) and is made again on every\n" +
			"new release before an upgrade. Credentials are replaced before anything is kept.",
	}
	cmd.AddCommand(newRecordingsListCommand(), newRecordingsExportCommand(), newRecordingsDeleteCommand(), newRecordingsRuleCommand())
	return cmd
}

func newRecordingsListCommand() *cobra.Command {
	return serverCommand("list NAME", "List the recorded calls of a plugin", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			var all struct {
				Items []recordingItem `json:"items"`
			}
			if err := c.get(ctx, pluginPath(args[0])+"/recordings", nil, &all); err != nil {
				return err
			}
			return printItems(cmd, all.Items, []string{"ID", "AT", "RELEASE", "CALL", "FUEL", "FAILED"}, func(r recordingItem) []string {
				return []string{r.ID, r.At.Local().Format(time.DateTime), r.Version, r.Capability + " " + r.Method,
					strconv.FormatInt(r.Fuel, 10), strconv.FormatBool(r.Failed)}
			})
		})
}

func newRecordingsExportCommand() *cobra.Command {
	var file string
	cmd := serverCommand("export NAME ID", "Write a recorded call to a file, for callboard plugin replay", cobra.ExactArgs(2),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			res, err := c.send(ctx, request{method: http.MethodGet, path: pluginPath(args[0]) + "/recordings/" + url.PathEscape(args[1])})
			if err != nil {
				return err
			}
			if !json.Valid(bytes.TrimSpace(res.body)) {
				return host.Errorf(host.CodeUpstream, "the server answered no recording")
			}
			if file == "-" {
				_, err = cmd.OutOrStdout().Write(res.body)
				return err
			}
			if file == "" {
				file = args[1] + ".json"
			}
			if err := os.WriteFile(file, res.body, 0o600); err != nil {
				return fmt.Errorf("writing the recording: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			return nil
		})
	cmd.Flags().StringVar(&file, "out", "", "the file; - is standard output, without it ID.json")
	return cmd
}

func newRecordingsDeleteCommand() *cobra.Command {
	var all bool
	cmd := serverCommand("delete NAME [ID]", "Remove a recorded call, or all of them with --all", cobra.RangeArgs(1, 2),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			path := pluginPath(args[0]) + "/recordings"
			switch {
			case len(args) == 2:
				path += "/" + url.PathEscape(args[1])
			case !all:
				return usageError{fmt.Errorf("name the recording, or say --all")}
			}
			_, err := c.send(ctx, request{method: http.MethodDelete, path: path})
			return err
		})
	cmd.Flags().BoolVar(&all, "all", false, "remove all recorded calls of the plugin")
	return cmd
}

func newRecordingsRuleCommand() *cobra.Command {
	var rule recordingRule
	cmd := serverCommand("rule NAME", "Show or set which calls of a plugin are recorded", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			path := pluginPath(args[0]) + "/recording-rule"
			var now recordingRule
			if err := c.get(ctx, path, nil, &now); err != nil {
				return err
			}
			changed := false
			for name, set := range map[string]func(){
				"sample":   func() { now.Sample = rule.Sample },
				"keep-for": func() { now.KeepFor = rule.KeepFor },
				"most":     func() { now.Most = rule.Most },
			} {
				if cmd.Flags().Changed(name) {
					set()
					changed = true
				}
			}
			if changed {
				if err := c.do(ctx, request{method: http.MethodPut, path: path}, now, &now); err != nil {
					return err
				}
			}
			return printItem(cmd, now, func() [][2]string {
				return [][2]string{{"sample", strconv.FormatFloat(now.Sample, 'g', -1, 64)}, {"keep for", now.KeepFor}, {"most", strconv.Itoa(now.Most)}}
			})
		})
	cmd.Flags().Float64Var(&rule.Sample, "sample", 0, "the share of calls that is recorded, from 0 (none) to 1 (all)")
	cmd.Flags().StringVar(&rule.KeepFor, "keep-for", "", "for how long, for example 168h")
	cmd.Flags().IntVar(&rule.Most, "most", 0, "how many of the newest are kept")
	return cmd
}
