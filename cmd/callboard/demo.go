package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	examplecatalog "github.com/callboard-dev/callboard/examples/catalog"
	"github.com/callboard-dev/callboard/examples/upstreams"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/config"
	"github.com/callboard-dev/callboard/host/plugin"
)

// The demo tenant and the person who signs in to it.
const (
	demoSlug  = "demo"
	demoEmail = "you@demo.example"
)

// demoDir holds the demo's catalog files.
func demoDir(c config.Config) string { return filepath.Join(c.Data, "demo", "catalog") }

// openDemo makes the demo tenant, or brings it up to date. Its catalog and
// plugins take the same way as anybody's; only the servers that the plugins
// ask are simulated, as long as ctx lasts. It is done before the portal is
// ready, so that what is ready answers.
func (p *portal) openDemo(ctx context.Context) error {
	t, err := p.demoTenant(ctx)
	if err != nil {
		return err
	}
	if err := p.demoCatalog(ctx, t); err != nil {
		return err
	}
	return p.demoPlugins(ctx, t)
}

// welcomeToDemo prints the one-time link into the demo tenant.
func (p *portal) welcomeToDemo(ctx context.Context, out io.Writer, url string) {
	t, err := p.demoTenant(ctx)
	link := ""
	if err == nil {
		link, err = p.demoLink(ctx, t, url)
	}
	if err != nil {
		p.telemetry.Logger().ErrorContext(ctx, "there is no sign-in link for the demo", "error", err)
		return
	}
	fmt.Fprintf(out, "  sign in  %s\n           (once, within 15 minutes; tenant %q is a demo: its upstreams are simulated)\n", link, t.Slug)
}

// demoTenant returns the demo tenant, made where it does not exist.
func (p *portal) demoTenant(ctx context.Context) (host.Tenant, error) {
	t, err := p.tenants.BySlug(ctx, demoSlug)
	if host.CodeOf(err) != host.CodeNotFound {
		return t, err
	}
	return p.tenants.Create(ctx, demoSlug, "Demo", true)
}

// demoLink returns a link that signs in as the demo's admin, once.
func (p *portal) demoLink(ctx context.Context, t host.Tenant, url string) (string, error) {
	c := host.System(t, demoSlug)
	users, err := p.auth.ListUsers(ctx, c)
	if err != nil {
		return "", err
	}
	id := ""
	for _, u := range users {
		if u.Email == demoEmail {
			id = u.ID
		}
	}
	if id == "" {
		u, err := p.auth.CreateUser(ctx, c, auth.NewUser{Email: demoEmail, Name: "You", Role: host.RoleAdmin, EntityRef: "user:default/ada"})
		if err != nil {
			return "", err
		}
		id = u.ID
	}
	token, err := p.auth.CreateLoginLink(ctx, t.ID, id)
	return signInLink(url, token), err
}

// demoCatalog writes the example files and registers the one that points at
// the others.
func (p *portal) demoCatalog(ctx context.Context, t host.Tenant) error {
	dir, err := filepath.Abs(demoDir(p.config))
	if err != nil {
		return err
	}
	if err := writeFiles(dir, examplecatalog.Files); err != nil {
		return err
	}
	c := host.System(t, demoSlug)
	target := filepath.Join(dir, "all.yaml")
	locations, err := p.catalog.Locations(ctx, c)
	if err != nil {
		return err
	}
	for _, l := range locations {
		if l.Type == "file" && l.Target == target {
			return nil
		}
	}
	_, err = p.catalog.Register(ctx, c, "file", target, false)
	return err
}

// writeFiles writes the files of a file system into dir where they differ.
func writeFiles(dir string, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		body, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(to); err == nil && string(have) == string(body) {
			return nil
		}
		return os.WriteFile(to, body, 0o600)
	})
}

// demoPlugin is a bundled plugin with the server that is simulated for it.
type demoPlugin struct {
	name, key string
	secrets   map[string]string
	simulate  func(upstreams.Settings) http.Handler
}

// demoPlugins installs the plugins that the demo shows and points them at
// their simulators, which listen on loopback as long as the host runs.
func (p *portal) demoPlugins(ctx context.Context, t host.Tenant) error {
	c := host.System(t, demoSlug)
	services, err := p.demoServices(ctx, c)
	if err != nil {
		return err
	}
	for _, d := range []demoPlugin{
		{name: "callboard/prometheus", key: "url", simulate: upstreams.Prometheus},
		{name: "callboard/github-actions", key: "apiUrl", simulate: upstreams.GitHub, secrets: map[string]string{"token": "demo"}},
	} {
		if err := p.demoInstance(ctx, c, d, d.simulate(upstreams.Settings{Seed: demoSlug, Services: services})); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// demoServices are the names that the simulators know: the components.
func (p *portal) demoServices(ctx context.Context, c host.Caller) ([]string, error) {
	page, err := p.catalog.List(ctx, c, catalog.Query{Filter: map[string][]string{"kind": {"component"}}, Limit: 200})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range page.Items {
		names = append(names, e.Ref.Name)
	}
	return names, nil
}

// simulate serves h on loopback until ctx ends and returns its URL: the one
// that it had before, if that is still free.
func simulate(ctx context.Context, h http.Handler, before string) (string, error) {
	const anyPort = "127.0.0.1:0"
	l, err := net.Listen("tcp", cmp.Or(strings.TrimPrefix(before, "http://"), anyPort))
	if err != nil {
		l, err = net.Listen("tcp", anyPort)
	}
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + l.Addr().String(), nil
}

// demoInstance installs one plugin with its simulator, or starts the simulator
// of an installed one where it was. What a user has removed or pointed
// elsewhere since is left alone.
func (p *portal) demoInstance(ctx context.Context, c host.Caller, d demoPlugin, h http.Handler) error {
	in, err := p.house.Get(ctx, c, d.name)
	if host.CodeOf(err) == host.CodeNotFound {
		return p.installDemo(ctx, c, d, h)
	}
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(in.Config, &settings); err != nil {
		return err
	}
	before, _ := settings[d.key].(string)
	if !p.simulated(d, before) {
		return nil
	}
	url, err := simulate(ctx, h, before)
	if err != nil || url == before {
		return err
	}
	if err := p.noteSimulated(d, url); err != nil {
		return err
	}
	settings[d.key] = url
	config, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	_, err = p.house.Configure(ctx, c, d.name, config, nil)
	return err
}

// demoNote is a file in which the demo notes what it did with a plugin.
func (p *portal) demoNote(d demoPlugin, ext string) string {
	return filepath.Join(p.config.Data, "demo", strings.ReplaceAll(d.name, "/", "-")+ext)
}

// simulated reports whether the demo itself pointed the plugin at url: any
// other address is somebody's wish.
func (p *portal) simulated(d demoPlugin, url string) bool {
	noted, err := os.ReadFile(p.demoNote(d, ".simulated"))
	return err == nil && url != "" && slices.Contains(strings.Fields(string(noted)), url)
}

// noteSimulated notes an address before a plugin is pointed at it, so that a
// kill in between leaves nothing that cannot be told.
func (p *portal) noteSimulated(d demoPlugin, url string) error {
	f, err := os.OpenFile(p.demoNote(d, ".simulated"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, url)
	return errors.Join(err, f.Close())
}

// installDemo installs a plugin of the demo, once: its absence afterwards is
// somebody's wish. One that was not built is left out.
func (p *portal) installDemo(ctx context.Context, c host.Caller, d demoPlugin, h http.Handler) error {
	mark := p.demoNote(d, ".installed")
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	url, err := simulate(ctx, h, "")
	if err != nil {
		return err
	}
	if err := p.noteSimulated(d, url); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]string{d.key: url})
	if err != nil {
		return err
	}
	_, err = p.house.Install(ctx, c, plugin.Source{Bundled: d.name},
		plugin.InstallOptions{AcceptAll: true, Config: config, Secrets: d.secrets, Enable: true})
	if host.CodeOf(err) == host.CodeNotFound {
		p.telemetry.Logger().WarnContext(ctx, "a plugin of the demo is not among the bundled ones; make build builds it", "plugin", d.name)
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}
