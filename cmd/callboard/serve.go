package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/api"
	"github.com/callboard-dev/callboard/host/api/replay"
	"github.com/callboard-dev/callboard/host/audit"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/catalog/source"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/extension"
	"github.com/callboard-dev/callboard/host/kv"
	"github.com/callboard-dev/callboard/host/mcp"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/plugin/limit"
	"github.com/callboard-dev/callboard/host/plugin/process"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/queue"
	"github.com/callboard-dev/callboard/host/server"
	"github.com/callboard-dev/callboard/host/service"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/telemetry"
	"github.com/callboard-dev/callboard/host/web"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the portal",
		Long: "Serves the portal until it is told to stop (Ctrl-C or SIGTERM), then lets answers under way finish.\n" +
			"Every flag has an environment variable and a key in the configuration file; a flag wins over the\n" +
			"environment, the environment over the file.",
		Example: "  callboard serve --data ./data --demo\n" +
			"  callboard serve --data /var/lib/callboard --database-url postgres://callboard@db/callboard --config app-config.yaml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

// portal is the running house. serve fills it from top to bottom.
type portal struct {
	*data
	telemetry *telemetry.Telemetry
	queue     *queue.Queue
	catalog   *catalog.Catalog
	house     *plugin.House
	processes *process.Runtime // nil where the system has none
	router    *extension.Router
	views     *extension.Views
	watchers  *watchers
	flow      *flow
	relay     *relay
	// configured are the tenants whose catalogs know catalog.locations. Only
	// the start, and after it the relay, touch it.
	configured map[host.TenantID]bool
}

// serve wires the house together and runs it until ctx ends. It reads from top
// to bottom: eyes, store, queue, catalog, plugins, faces, listeners.
func serve(ctx context.Context, c config.Config, out, errOut io.Writer) error {
	eyes, err := telemetry.Open(ctx, telemetry.Settings{
		Version: host.Version, LogTo: errOut, LogFormat: c.LogFormat, LogLevel: c.LogLevel, AccessLog: c.AccessLog,
		OTLPEndpoint: c.OTLPEndpoint, SampleRatio: c.TraceRatio,
	})
	if err != nil {
		return err
	}
	defer closeWithin(eyes.Close)
	eyes.SetGlobal()
	log := eyes.Logger()
	p := &portal{telemetry: eyes, relay: newRelay(log), configured: map[host.TenantID]bool{}}

	progress := slog.NewLogLogger(log.Handler(), slog.LevelInfo).Writer()
	if p.data, err = openData(ctx, c, store.Settings{Enqueued: p.relay.wake}, progress); err != nil {
		return err
	}
	defer p.db.Close()
	if p.queue, err = queue.Open(ctx, p.db.SQL(), p.db.Dialect(), queue.Settings{Log: log}); err != nil {
		return err
	}
	if err := p.openFlow(); err != nil {
		return err
	}
	if err := p.openCatalog(); err != nil {
		return err
	}
	if err := p.openPlugins(ctx); err != nil {
		return err
	}
	defer closeWithin(p.closePlugins)

	background, stop := context.WithCancel(ctx)
	defer stop()
	authDone := make(chan struct{})
	go func() { p.auth.Run(background); close(authDone) }()
	if err := p.startJobs(background); err != nil {
		return err
	}
	defer closeWithin(p.queue.Stop)
	if c.Demo {
		if err := p.openDemo(background); err != nil {
			return fmt.Errorf("making the demo tenant: %w", err)
		}
	}
	if err := p.configureCatalogs(ctx); err != nil {
		return err
	}
	go p.relay.run(background, p)
	go p.flow.run(background, p)

	var ready atomic.Bool
	err = server.Run(ctx, server.Settings{
		Main: p.handler(background, c), Listen: c.Listen, OpsListen: c.OpsListen, Ring: eyes.Wrap, Metrics: eyes.Metrics(), Log: log, DrainFor: c.DrainFor,
		Ready: func(ctx context.Context) error {
			if !ready.Load() {
				return host.Errorf(host.CodeUnavailable, "still starting")
			}
			return p.db.Control().Read(ctx, func(context.Context, store.Querier) error { return nil })
		},
		Listening: func(main, ops net.Addr) {
			ready.Store(true)
			p.welcome(background, c, out, main, ops)
		},
	})
	stop()
	<-authDone
	return err
}

// closeWithin stops one part of the house, within what is left of the 30 s
// that a stop may take.
func closeWithin(stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	_ = stop(ctx)
}

// openCatalog opens the catalog and what it reads with.
func (p *portal) openCatalog() error {
	for _, dir := range ownRoots(p.config) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return host.Errorf(host.CodeUnavailable, "The folder %s for catalog files cannot be made: %w", dir, err)
		}
	}
	reader, err := source.New(source.Settings{
		Roots: fileRoots(p.config), OutsideHint: outsideHint, Allow: readingAllow(p.config),
	})
	if err != nil {
		return err
	}
	p.catalog = catalog.New(p.db, reader, p.gate(), p.audit, catalog.Settings{
		Rules: catalogRules(p.config), Processors: p.flow, Changed: p.flow.changed,
	})
	return nil
}

// openPlugins opens the runtimes, the host services and the capabilities, and
// loads the instances of all tenants.
func (p *portal) openPlugins(ctx context.Context) error {
	log := p.telemetry.Logger()
	key, err := p.box.DeriveHost("compiled plugins")
	if err != nil {
		return err
	}
	sandboxes, err := wasm.New(wasm.Settings{CacheDir: filepath.Join(p.config.Data, "cache", "wasm"), Key: key, Path: p.config.WASMPath, Log: log})
	if err != nil {
		return err
	}
	shelves, err := openShelves(p.db, p.config, log)
	if err != nil {
		return err
	}
	services := service.Set(service.Settings{
		Tables: shelves.tables, Blobs: shelves.blobs, Caches: shelves.caches, Search: catalogService{p.catalog},
		KV: kv.New(p.db, kv.Settings{}), Catalog: catalogService{p.catalog}, Log: log, HTTP: service.HTTPSettings{},
		Events: p.flow, Work: p.flow.work, Mail: p.flow.mail,
	})
	runtimes := map[string]plugin.Runtime{manifestv1.RuntimeWASM: sandboxes}
	if err := p.openProcesses(runtimes); err != nil {
		return err
	}
	limits, err := limit.Parse(p.config.PluginLimits)
	if err != nil {
		return fmt.Errorf("plugins.limits: %w", err)
	}
	ceiling, err := limit.Parse(p.config.PluginCeiling)
	if err != nil {
		return fmt.Errorf("plugins.ceiling: %w", err)
	}
	p.watchers = openWatchers(p.data, func() *plugin.House { return p.house }, log)
	p.house, err = plugin.New(p.db, runtimes, services, p.gate(), announcer{p.audit, p.flow}, p.box,
		plugin.Settings{Data: append(append(p.flow.stores(), p.watchers.shelf), shelves.droppers()...), Tables: snapshots{shelves.tables}, DataDir: p.config.Data, BundledDir: bundledDir(p.config), LocalPaths: p.config.Development, ProcessPlugins: p.config.ProcessPlugins,
			Default: limits, Ceiling: ceiling, Quota: ledger.Quota(p.config.PluginQuota), CodeBudget: p.config.PluginCodeMemory,
			Reserved: api.OperationIDs(), Observer: p.watchers.observers(), Trial: recording.Trial{Store: p.watchers.shelf},
			Log: log})
	if err != nil {
		return err
	}
	p.router = extension.NewRouter(p.house, p.gate())
	p.views = extension.NewViews(p.house, p.gate())
	return p.house.Start(ctx)
}

// startJobs starts the durable queue and the schedules of plugins.
func (p *portal) startJobs(ctx context.Context) error {
	log := p.telemetry.Logger()
	if err := p.queue.Register(catalog.JobRefresh, p.catalog.RunRefresh, queue.Options{}); err != nil {
		return err
	}
	jobs := &pluginJobs{queue: p.queue}
	schedules := extension.NewSchedules(p.house, jobs, p.tenants, extension.ScheduleSettings{Log: log})
	p.joinFlow(jobs)
	if jobs.err != nil {
		return jobs.err
	}
	if err := p.queue.Start(ctx); err != nil {
		return err
	}
	go schedules.Run(ctx)
	return nil
}

// configureCatalogs tells the catalog of each tenant that is new to this
// process which locations the configuration file manages, and picks up
// refreshes whose job was lost.
func (p *portal) configureCatalogs(ctx context.Context) error {
	tenants, err := p.tenants.List(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range tenants {
		if err := p.configureCatalog(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("catalog of tenant %s: %w", t.Slug, err))
		}
	}
	return errors.Join(failed...)
}

func (p *portal) configureCatalog(ctx context.Context, t host.Tenant) error {
	if !p.configured[t.ID] {
		if err := p.catalog.Configure(ctx, host.System(t, "configuration"), configuredTargets(p.config)); err != nil {
			return fmt.Errorf("catalog.locations: %w", err)
		}
		p.configured[t.ID] = true
	}
	_, err := p.catalog.Resume(ctx, t.ID)
	return err
}

// handler puts the three faces behind one door: pages for people, operations
// for programs, tools for models.
func (p *portal) handler(ctx context.Context, c config.Config) http.Handler {
	log := p.telemetry.Logger()
	records := audit.NewReader(p.audit, p.gate())
	archive := recording.NewArchive(p.watchers.shelf, p.house, p.gate(), p.audit, p.watchers.recorder.Forget)
	programs := api.New(api.Settings{
		Auth: p.gate(), Authz: p.gate(), Entities: p.catalog, Locations: p.catalog, Inspector: p.catalog,
		Plugins: p.house, Installer: p.house, Changer: p.house, Meter: p.house, Keeper: p.house, Operations: p.router,
		Users: p.auth, Tokens: p.auth, Audit: records, Replays: replay.New(p.db, replay.Settings{}), Recordings: archive,
		Webhooks: p.flow.webhooks, Tenants: p.auth, Backlog: extension.NewBacklog(p.house, p.flow.work, p.gate(), p.audit),
		BaseDomain: c.BaseDomain, Version: host.Version, LocalPaths: c.Development, Log: log,
	})
	people := web.New(web.Settings{
		Door: p.gate(), Authz: p.gate(), Sessions: p.auth, Tokens: p.auth, Members: p.auth,
		Entities: p.catalog, Locations: p.catalog, Plugins: p.house, Installer: p.house, Changer: p.house, Meter: p.house, Recordings: archive,
		Views: p.views, Operations: p.router, Trail: records, Contract: contract{programs},
		BaseDomain: c.BaseDomain, PublicURL: c.BaseURL, Log: log,
	})
	models := mcp.New(mcp.Settings{
		Authenticate: func(r *http.Request) (host.Caller, error) {
			return p.gate().Authenticate(r.Context(), api.CredentialsOf(r, c.BaseDomain))
		},
		Documents: programs, API: server.Recover(log, api.Fail, programs), Fail: api.Fail, Version: host.Version, Log: log,
	})
	go models.Run(ctx)
	both := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			models.ServeHTTP(w, r)
			return
		}
		if forPrograms(r.URL.Path) {
			programs.ServeHTTP(w, r)
			return
		}
		people.ServeHTTP(w, r)
	})
	return p.telemetry.Wrap(server.Forwarded(c.TrustedProxies, server.Recover(log, api.Fail, both)))
}

// forPrograms reports whether a path belongs to the API.
func forPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/openapi.json" || path == "/openapi.yaml" || strings.HasPrefix(path, "/problems/")
}

// welcome says where the portal is, and how to get in.
func (p *portal) welcome(ctx context.Context, c config.Config, out io.Writer, main, ops net.Addr) {
	url := c.BaseURL
	if url == "" {
		url = "http://" + main.String()
	}
	fmt.Fprintf(out, "Callboard %s\n  portal   %s\n", host.Version, url)
	if ops != nil {
		fmt.Fprintf(out, "  ops      http://%s/readyz\n", ops)
	}
	if c.Demo {
		p.welcomeToDemo(ctx, out, url)
		return
	}
	p.sayFirstSteps(ctx, out, url)
}
