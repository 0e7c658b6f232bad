package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/store"
)

// pluginKeepingCommands are the commands that show what plugins use and decide
// how they are kept.
func pluginKeepingCommands() []*cobra.Command {
	return []*cobra.Command{
		newPluginUsageCommand(), newPluginQuotaCommand(), newPluginEvidenceCommand(), newPluginNarrowCommand(),
		newPluginChangeCommand("retry", "Let a plugin that was stopped or rests work again", http.MethodPost, "/retry", true),
		newPluginPinCommand(), newPluginLimitsCommand(), newPluginFailureCommand(),
	}
}

// usageSum is a sum over calls, so far as tables show it.
type usageSum struct {
	Start        time.Time `json:"start"`
	Capability   string    `json:"capability"`
	Calls        int64     `json:"calls"`
	Errors       int64     `json:"errors"`
	Fuel         int64     `json:"fuel"`
	WallMillis   float64   `json:"wallMillis"`
	WaitedMillis float64   `json:"waitedMillis"`
	InputBytes   int64     `json:"inputBytes"`
	OutputBytes  int64     `json:"outputBytes"`
	HostCalls    int64     `json:"hostCalls"`
	HostBytes    int64     `json:"hostBytes"`
}

func (u usageSum) cells(name string) []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return []string{name, n(u.Calls), n(u.Errors), n(u.Fuel), time.Duration(u.WallMillis * float64(time.Millisecond)).Round(time.Microsecond).String(),
		time.Duration(u.WaitedMillis * float64(time.Millisecond)).Round(time.Microsecond).String(), n(u.InputBytes + u.OutputBytes), n(u.HostCalls), n(u.HostBytes)}
}

// usageReport is what a tenant used of a plugin. Raw is the whole answer.
type usageReport struct {
	Total        usageSum   `json:"total"`
	Items        []usageSum `json:"items"`
	Capabilities []usageSum `json:"capabilities"`
}

func newPluginUsageCommand() *cobra.Command {
	var since time.Duration
	var step string
	cmd := serverCommand("usage NAME", "Show what a plugin's calls used", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			query := url.Values{"from": {time.Now().Add(-since).UTC().Format(time.RFC3339)}}
			if step != "" {
				query.Set("step", step)
			}
			var raw json.RawMessage
			if err := c.get(ctx, pluginPath(args[0])+"/usage", query, &raw); err != nil {
				return err
			}
			var r usageReport
			if err := json.Unmarshal(raw, &r); err != nil {
				return fmt.Errorf("reading the report: %w", err)
			}
			rows := append([]usageSum{}, r.Items...)
			for i := range rows {
				rows[i].Capability = rows[i].Start.Local().Format("2006-01-02 15:04")
			}
			for _, s := range append(r.Capabilities, r.Total) {
				if s.Capability == "" {
					s.Capability = "total"
				}
				rows = append(rows, s)
			}
			return printRaw(cmd, raw, rows, []string{"WHEN OR WHAT", "CALLS", "FAILED", "FUEL", "TIME", "WAITED", "BYTES", "HOST CALLS", "HOST BYTES"},
				func(u usageSum) []string { return u.cells(u.Capability) })
		})
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back, for example 720h")
	cmd.Flags().StringVar(&step, "step", "", "hour or day; hours for up to 32 days")
	cmd.Long = "Shows what calls of a plugin used for your tenant, by time, by capability and in all: calls, failures, fuel (about one\n" +
		"for each instruction), time in the plugin, time waited before it, and bytes. Sums are exact over all hosts."
	return cmd
}

// pluginQuota bounds what is used of a plugin.
type pluginQuota struct {
	CallsPerMinute int64 `json:"callsPerMinute"`
	FuelPerDay     int64 `json:"fuelPerDay"`
}

func (q pluginQuota) text() string {
	bound := func(n int64, what string) string {
		if n == 0 {
			return "any number of " + what
		}
		return strconv.FormatInt(n, 10) + " " + what
	}
	return bound(q.CallsPerMinute, "calls in a minute") + ", " + bound(q.FuelPerDay, "units of fuel in a day")
}

func newPluginQuotaCommand() *cobra.Command {
	var q pluginQuota
	cmd := serverCommand("quota NAME", "Show or set how much of a plugin your tenant may use", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			var all struct {
				Tenant    pluginQuota `json:"tenant"`
				Operator  pluginQuota `json:"operator"`
				Effective pluginQuota `json:"effective"`
			}
			if err := c.get(ctx, pluginPath(args[0])+"/quota", nil, &all); err != nil {
				return err
			}
			calls, fuel := cmd.Flags().Changed("calls-per-minute"), cmd.Flags().Changed("fuel-per-day")
			if calls || fuel {
				if !calls {
					q.CallsPerMinute = all.Tenant.CallsPerMinute
				}
				if !fuel {
					q.FuelPerDay = all.Tenant.FuelPerDay
				}
				if err := c.do(ctx, request{method: http.MethodPut, path: pluginPath(args[0]) + "/quota"}, q, &all); err != nil {
					return err
				}
			}
			return printItem(cmd, all, func() [][2]string {
				return [][2]string{{"Set by you", all.Tenant.text()}, {"Set by the operator", all.Operator.text()}, {"Holds", all.Effective.text()}}
			})
		})
	cmd.Flags().Int64Var(&q.CallsPerMinute, "calls-per-minute", 0, "calls in a minute; 0 is no bound")
	cmd.Flags().Int64Var(&q.FuelPerDay, "fuel-per-day", 0, "fuel in a day in UTC; 0 is no bound")
	cmd.Long = "Shows how much of a plugin your tenant may use, or sets it. Beyond a quota calls are refused with 429 and Retry-After.\n" +
		"What the operator sets (callboard tenant quota, plugins.quota in the configuration file) holds too."
	return cmd
}

// newTenantQuotaCommand sets the operator's quota, which a tenant's admin
// cannot widen.
func newTenantQuotaCommand() *cobra.Command {
	var q ledger.Quota
	cmd := operatorCommand("quota TENANT PLUGIN", "Set how much of a plugin a tenant may use", cobra.ExactArgs(2),
		func(ctx context.Context, cmd *cobra.Command, args []string, d *data) error {
			t, err := tenantOf(ctx, d, args[0])
			if err != nil {
				return err
			}
			book := ledger.New(d.db, ledger.Settings{})
			var name string
			err = d.db.Control().Write(ctx, func(ctx context.Context, query store.Querier) error {
				row, err := record.FindInstance(ctx, query, t.ID, args[1])
				if err != nil {
					return err
				}
				if row == nil {
					return host.Errorf(host.CodeNotFound, "the tenant %s has no plugin %q", t.Slug, args[1])
				}
				name = row.Name
				if err := book.SetQuota(ctx, query, t.ID, name, ledger.SetByOperator, q); err != nil {
					return err
				}
				return d.audit.Record(ctx, system(t), host.AuditEntry{Action: host.ActionPluginManage, Resource: "plugin:" + row.Short, Detail: map[string]string{
					"change": "quota", "plugin": name, "by": ledger.SetByOperator,
					"callsPerMinute": strconv.FormatInt(q.CallsPerMinute, 10), "fuelPerDay": strconv.FormatInt(q.FuelPerDay, 10)}})
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s may use of %s: %s. Hosts follow within seconds.\n", t.Slug, name, pluginQuota(q).text())
			return nil
		})
	cmd.Flags().Int64Var(&q.CallsPerMinute, "calls-per-minute", 0, "calls in a minute; 0 is no bound")
	cmd.Flags().Int64Var(&q.FuelPerDay, "fuel-per-day", 0, "fuel in a day in UTC; 0 is no bound")
	return cmd
}

// printRaw prints an answer of the server as it came, or rows of it as a table.
func printRaw[T any](cmd *cobra.Command, raw json.RawMessage, rows []T, header []string, cells func(T) []string) error {
	form, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if form != outputTable {
		return printData(cmd.OutOrStdout(), form, raw)
	}
	return printItems(cmd, rows, header, cells)
}

// runsAs says in lines how calls of a plugin are run, as far as the host knows.
func runsAs(ctx context.Context, c *client, name string) [][2]string {
	var h struct {
		Loaded  bool `json:"loaded"`
		Sandbox *struct {
			Runtime, Path, Why string
		} `json:"sandbox"`
		Breaker struct {
			Phase    string `json:"phase"`
			Failures int    `json:"failures"`
			Calls    int    `json:"calls"`
		} `json:"breaker"`
	}
	if c.get(ctx, pluginPath(name)+"/health", nil, &h) != nil {
		return nil // what can be told without it is told
	}
	var lines [][2]string
	if s := h.Sandbox; s != nil {
		text := s.Runtime + ", " + s.Path
		if s.Why != "" {
			text += " (" + s.Why + ")"
		}
		lines = append(lines, [2]string{"Runs as", text})
	}
	if h.Breaker.Phase != "" && h.Breaker.Phase != "closed" {
		lines = append(lines, [2]string{"Rests", fmt.Sprintf("it failed too often; the next call tries (%s)", h.Breaker.Phase)})
	}
	return lines
}

// grantFinding is one grant beside what was used of it.
type grantFinding struct {
	Grant permission `json:"grant"`
	Used  bool       `json:"used"`
	Uses  []struct {
		Target string    `json:"target"`
		Count  int64     `json:"count"`
		Last   time.Time `json:"last"`
	} `json:"uses"`
}

func evidenceOf(ctx context.Context, c *client, name string) (raw json.RawMessage, items []grantFinding, err error) {
	if err := c.get(ctx, pluginPath(name)+"/evidence", nil, &raw); err != nil {
		return nil, nil, err
	}
	var all struct {
		Items []grantFinding `json:"items"`
	}
	err = json.Unmarshal(raw, &all)
	return raw, all.Items, err
}

func (f grantFinding) cells() []string {
	if !f.Used {
		return []string{f.Grant.what(), "not used", "", ""}
	}
	var n int64
	var last time.Time
	targets := []string{}
	for _, u := range f.Uses {
		n += u.Count
		if u.Last.After(last) {
			last = u.Last
		}
		if u.Target != "" {
			targets = append(targets, u.Target)
		}
	}
	return []string{f.Grant.what(), strconv.FormatInt(n, 10), last.Local().Format(time.DateTime), strings.Join(targets, ", ")}
}

func newPluginEvidenceCommand() *cobra.Command {
	return serverCommand("evidence NAME", "Show which grants a plugin really used in 30 days", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			raw, items, err := evidenceOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			return printRaw(cmd, raw, items, []string{"GRANT", "USES", "LAST", "OF THESE"}, grantFinding.cells)
		})
}

func newPluginNarrowCommand() *cobra.Command {
	var yes bool
	cmd := serverCommand("narrow NAME", "Take away what a plugin has not used in 30 days", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			_, items, err := evidenceOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			unused := []string{}
			for _, f := range items {
				if !f.Used {
					unused = append(unused, f.Grant.what())
				}
			}
			question := "Narrow " + args[0] + " to what it used?"
			if len(unused) > 0 {
				question = "Take from " + args[0] + ": " + strings.Join(unused, "; ") + ", and narrow the rest to what it used?"
			}
			if err := consent(cmd, yes, question); err != nil {
				return err
			}
			var p pluginItem
			if err := c.do(ctx, request{method: http.MethodPost, path: pluginPath(args[0]) + "/narrow"}, nil, &p); err != nil {
				return err
			}
			return printPlugin(cmd, p)
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newPluginPinCommand() *cobra.Command {
	var off bool
	cmd := serverCommand("pin NAME[@DIGEST]", "Keep a plugin at its digest, so that it is not upgraded", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			name, digest, _ := strings.Cut(args[0], "@")
			if digest != "" && !strings.HasPrefix(digest, "sha256:") {
				return usageError{fmt.Errorf("the digest %q does not begin with sha256", digest)}
			}
			var p pluginItem
			body := map[string]any{"pinned": !off, "digest": digest}
			if err := c.do(ctx, request{method: http.MethodPut, path: pluginPath(name) + "/pin"}, body, &p); err != nil {
				return err
			}
			return printPlugin(cmd, p)
		})
	cmd.Flags().BoolVar(&off, "off", false, "let go of it")
	cmd.Long = "Keeps a plugin at the release that is installed. With a digest it is pinned only if that is the installed one."
	return cmd
}

func newPluginLimitsCommand() *cobra.Command {
	var l struct {
		Timeout     string `json:"timeout,omitempty"`
		Memory      string `json:"memory,omitempty"`
		Input       string `json:"input,omitempty"`
		Output      string `json:"output,omitempty"`
		Fuel        int64  `json:"fuel,omitempty"`
		HostCalls   int64  `json:"hostCalls,omitempty"`
		HostBytes   string `json:"hostBytes,omitempty"`
		LogRate     string `json:"logRate,omitempty"`
		Concurrency int    `json:"concurrency,omitempty"`
	}
	var reset bool
	cmd := serverCommand("limits NAME", "Show or set what one call of a plugin may use", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			chosen := reset
			for _, name := range []string{"timeout", "memory", "input", "output-size", "fuel", "host-calls", "host-bytes", "log-rate", "concurrency"} {
				chosen = chosen || cmd.Flags().Changed(name)
			}
			if chosen {
				if err := c.do(ctx, request{method: http.MethodPut, path: pluginPath(args[0]) + "/limits"}, l, nil); err != nil {
					return err
				}
			}
			return showLimits(ctx, cmd, c, args[0])
		})
	f := cmd.Flags()
	f.StringVar(&l.Timeout, "timeout", "", "how long a call takes at most, for example 10s")
	f.StringVar(&l.Memory, "memory", "", "memory of the sandbox, for example 64MiB")
	f.StringVar(&l.Input, "input", "", "size of a request, for example 1MiB")
	f.StringVar(&l.Output, "output-size", "", "size of an answer, for example 4MiB")
	f.Int64Var(&l.Fuel, "fuel", 0, "how much a call executes, about one for each instruction")
	f.Int64Var(&l.HostCalls, "host-calls", 0, "calls of host services in a call")
	f.StringVar(&l.HostBytes, "host-bytes", "", "bytes exchanged with host services in a call, for example 32MiB")
	f.StringVar(&l.LogRate, "log-rate", "", "log in a second, for example 64KiB")
	f.IntVar(&l.Concurrency, "concurrency", 0, "calls at a time")
	f.BoolVar(&reset, "reset", false, "leave everything that is not named to the manifest")
	cmd.Long = "Shows what one call of a plugin may use, or sets it: what is named holds instead of the manifest's limits, the rest is\n" +
		"the manifest's. The operator's ceiling (plugins.ceiling in the configuration file) is never exceeded."
	return cmd
}

// showLimits prints what one call may use now.
func showLimits(ctx context.Context, cmd *cobra.Command, c *client, name string) error {
	var h struct {
		Limits json.RawMessage `json:"limits"`
	}
	if err := c.get(ctx, pluginPath(name)+"/health", nil, &h); err != nil {
		return err
	}
	var all map[string]float64
	if err := json.Unmarshal(h.Limits, &all); err != nil {
		return fmt.Errorf("reading the limits: %w", err)
	}
	return printItem(cmd, h.Limits, func() [][2]string {
		n := func(key string) string { return strconv.FormatFloat(all[key], 'f', -1, 64) }
		return [][2]string{
			{"Timeout", n("timeoutMillis") + " ms"}, {"Memory", n("memoryBytes") + " B, and " + n("memoryPerByte") + " for each byte of the request"},
			{"Request", n("inputBytes") + " B"}, {"Answer", n("outputBytes") + " B"},
			{"Fuel", n("fuel") + ", and " + n("fuelPerByte") + " for each byte of the request"},
			{"Host calls", n("hostCalls") + ", " + n("hostBytes") + " B"}, {"Log", n("logRate") + " B in a second"}, {"At a time", n("concurrency")},
		}
	})
}

func newPluginFailureCommand() *cobra.Command {
	var capability, policy, staleFor string
	cmd := serverCommand("failure NAME", "Set what callers get while a plugin fails", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			if capability == "" || policy == "" {
				return usageError{fmt.Errorf("say of what and how: --capability view/v1 --policy stale")}
			}
			var p pluginItem
			body := map[string]string{"capability": capability, "policy": policy}
			if staleFor != "" {
				body["staleFor"] = staleFor
			}
			if err := c.do(ctx, request{method: http.MethodPut, path: pluginPath(args[0]) + "/failure"}, body, &p); err != nil {
				return err
			}
			return printPlugin(cmd, p)
		})
	cmd.Flags().StringVar(&capability, "capability", "", "of which capability, for example view/v1")
	cmd.Flags().StringVar(&policy, "policy", "", "closed (the error), open (the neutral answer), stale (the last good answer) or manifest (as the plugin says)")
	cmd.Flags().StringVar(&staleFor, "stale-for", "", "how old an answer may be for stale, for example 10m; at most 24h")
	cmd.Long = "Sets what callers of a capability get while the plugin fails, is too slow or cannot be loaded. Callers are told: answers\n" +
		"carry Callboard-Stale, views say how old they are. A route fails closed where the policy is open."
	return cmd
}
