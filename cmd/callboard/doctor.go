package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/process/shim"
	"github.com/callboard-dev/callboard/host/plugin/wasm"
	"github.com/callboard-dev/callboard/host/store"
)

// finding is the result of one check.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or failed
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// patient is what the checks look at. Later checks find what earlier opened.
type patient struct {
	config config.Config
	data   *data
}

// checks are what doctor looks at, in order. A check that cannot run because
// an earlier one failed says so itself.
func checks() []func(context.Context, *patient) finding {
	return []func(context.Context, *patient) finding{
		checkDirectory, checkSpace, checkDatabase, checkTenants, checkAudit, checkCompiler, checkProcesses, checkBundled, checkListen,
	}
}

func newDoctorCommand() *cobra.Command {
	var probe string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this installation and say how to mend it",
		Long: "Looks at the data directory, the database, each tenant, the plugin compiler and the addresses.\nExits with 1 if something is broken.\n\n" +
			"With --probe it only asks a running portal, for health checks of containers.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if probe != "" {
				return askReady(cmd.Context(), probe)
			}
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return examine(cmd, &patient{config: c})
		},
	}
	config.AddFlags(cmd.Flags())
	hideServerFlags(cmd)
	addOutputFlag(cmd)
	cmd.Flags().StringVar(&probe, "probe", "", "ask this URL, for example http://127.0.0.1:8081/readyz, and exit with 0 if it answers 200")
	return cmd
}

// askReady asks a running portal whether it is ready.
func askReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return host.Errorf(host.CodeUnavailable, "Nobody answers at %s: %w", url, err).WithHint("Check that the portal runs, and its --ops-listen.")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return host.Errorf(host.CodeUnavailable, "%s answered %s.", url, resp.Status).WithHint("The portal is starting or stopping, or its database is gone; its log says which.")
	}
	return nil
}

// examine runs the checks, prints the findings and fails if one failed.
func examine(cmd *cobra.Command, p *patient) error {
	var findings []finding
	failed := 0
	for _, check := range checks() {
		f := check(cmd.Context(), p)
		if f.State == "failed" {
			failed++
		}
		findings = append(findings, f)
	}
	if p.data != nil {
		defer p.data.db.Close()
	}
	err := printItems(cmd, findings, []string{"CHECK", "STATE", "DETAIL", "WHAT TO DO"}, func(f finding) []string {
		return []string{f.Check, f.State, f.Detail, f.Hint}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return err
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, State: "ok", Detail: fmt.Sprintf(format, args...)}
}

// bad turns an error into a finding, with the hint that it carries.
func bad(check string, err error, hint string) finding {
	f := finding{Check: check, State: "failed", Detail: err.Error(), Hint: hint}
	var e *host.Error
	if errors.As(err, &e) {
		f.Detail = e.Message
		if e.Hint != "" {
			f.Hint = e.Hint
		}
	}
	return f
}

func skipped(check, why string) finding {
	return finding{Check: check, State: "warning", Detail: "not looked at: " + why}
}

func checkDirectory(_ context.Context, p *patient) finding {
	const name = "data directory"
	info, err := os.Stat(p.config.Data)
	if errors.Is(err, os.ErrNotExist) {
		return finding{name, "warning", p.config.Data + " does not exist yet", "It is made at the first start, or choose another with --data."}
	}
	if err != nil {
		return bad(name, err, "Choose a directory that you may read with --data.")
	}
	probe, err := os.CreateTemp(p.config.Data, ".doctor-*")
	if err != nil {
		return bad(name, err, "Make the directory writable for this user, or run as the user that owns it.")
	}
	probe.Close()
	_ = os.Remove(probe.Name())
	if info.Mode().Perm()&0o077 != 0 {
		return finding{name, "warning", fmt.Sprintf("%s is open to other users (mode %o)", p.config.Data, info.Mode().Perm()),
			"chmod 700 " + p.config.Data}
	}
	return ok(name, "%s is writable and private", p.config.Data)
}

// lowSpace is the free space below which doctor warns, in bytes.
const lowSpace = 1 << 30

func checkSpace(_ context.Context, p *patient) finding {
	const name = "free space"
	dir := p.config.Data
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(filepath.Clean(dir))
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return skipped(name, err.Error())
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < lowSpace {
		return finding{name, "warning", fmt.Sprintf("%d MiB are left in %s", free>>20, dir), "Free some space: databases and compiled plugins need it."}
	}
	return ok(name, "%d GiB in %s", free>>30, dir)
}

func checkDatabase(ctx context.Context, p *patient) finding {
	const name = "database"
	if _, err := os.Stat(p.config.Data); p.config.DatabaseURL == "" && err != nil {
		return skipped(name, "there is no data directory yet")
	}
	d, err := openData(ctx, p.config, store.Settings{}, os.Stderr)
	if err != nil {
		return bad(name, err, "Check --database-url and that the server runs.")
	}
	p.data = d
	return ok(name, "%s answers and every migration is applied", d.db.Dialect())
}

func checkTenants(ctx context.Context, p *patient) finding {
	const name = "tenants"
	if p.data == nil {
		return skipped(name, "the database did not open")
	}
	tenants, err := p.data.tenants.List(ctx)
	if err != nil {
		return bad(name, err, "")
	}
	if len(tenants) == 0 {
		return finding{name, "warning", "there is no tenant yet", "callboard tenant create SLUG --name NAME, or serve with --demo."}
	}
	for _, t := range tenants {
		space, err := p.data.db.Tenant(t.ID)
		if err == nil {
			err = space.Read(ctx, func(context.Context, store.Querier) error { return nil })
		}
		if err != nil {
			return bad(name, fmt.Errorf("tenant %s: %w", t.Slug, err), "Restore its namespace from a backup, or delete the tenant.")
		}
	}
	return ok(name, "%d, each with its own namespace", len(tenants))
}

func checkAudit(ctx context.Context, p *patient) finding {
	const name = "audit record"
	if p.data == nil {
		return skipped(name, "the database did not open")
	}
	tenants, err := p.data.tenants.List(ctx)
	if err != nil {
		return bad(name, err, "")
	}
	for _, t := range tenants {
		if err := p.data.audit.Verify(ctx, t.ID); err != nil {
			return bad(name, fmt.Errorf("tenant %s: %w", t.Slug, err), "Somebody changed the record outside the product. Keep the database as it is and look into it.")
		}
	}
	return ok(name, "every chain is unbroken")
}

func checkCompiler(_ context.Context, p *patient) finding {
	const name = "plugin runtime"
	dir := filepath.Join(p.config.Data, "cache", "wasm")
	if _, err := os.Stat(p.config.Data); err != nil {
		return skipped(name, "there is no data directory yet")
	}
	r, err := wasm.New(wasm.Settings{CacheDir: dir, Path: p.config.WASMPath})
	if err != nil {
		return bad(name, err, "The cache of compiled plugins must be writable and private: remove "+dir+" and start again.")
	}
	path, why := r.Path()
	if why != "" {
		why = " (" + why + ")"
	}
	return ok(name, "wasm, a clean sandbox for every call by the path %s%s; compiled code is kept in %s", path, why, dir)
}

// checkProcesses says how well plugins that run as processes are confined here.
func checkProcesses(context.Context, *patient) finding {
	const name = "plugin processes"
	if lacking := shim.Lacking(); len(lacking) > 0 {
		return finding{name, "warning", strings.Join(lacking, "; "), "A newer kernel has the rest. Plugins in the sandbox, which is all that tenants install by themselves, are not affected."}
	}
	return ok(name, "confined by seccomp, Landlock and limits; without network, children or files but their own")
}

func checkBundled(_ context.Context, p *patient) finding {
	const name = "bundled plugins"
	files, _ := filepath.Glob(filepath.Join(bundledDir(p.config), "*.tar"))
	if len(files) == 0 {
		return finding{name, "warning", "none in " + bundledDir(p.config), "make build builds them; --bundled names another directory."}
	}
	for _, f := range files {
		if _, err := manifest.OpenFile(f); err != nil {
			return bad(name, err, "Build it again with make build.")
		}
	}
	return ok(name, "%d in %s", len(files), bundledDir(p.config))
}

func checkListen(_ context.Context, p *patient) finding {
	const name = "addresses"
	for _, addr := range []string{p.config.Listen, p.config.OpsListen} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return finding{name, "warning", err.Error(), "Another program, perhaps this portal, listens there. --listen and --ops-listen choose others."}
		}
		l.Close()
	}
	return ok(name, "%s and %s are free", p.config.Listen, p.config.OpsListen)
}

// bundledDir is where the plugins that come with the host lie: beside the
// binary, if nothing else is said.
func bundledDir(c config.Config) string {
	if c.Bundled != "" {
		return c.Bundled
	}
	exe, err := os.Executable()
	if err != nil {
		return "plugins"
	}
	return filepath.Join(filepath.Dir(exe), "plugins")
}
