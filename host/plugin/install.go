package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/code"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/record"
	"github.com/callboard-dev/callboard/host/plugin/setup"
	"github.com/callboard-dev/callboard/host/plugin/source"
	"github.com/callboard-dev/callboard/host/store"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

const (
	codeFile   = "plugin.wasm"
	sourceFile = manifestv1.FileName
)

// Source says where a release comes from. Only system callers may install from
// a path, unless Settings.LocalPaths is set.
type Source = source.Source

// InstallOptions say with what a release is installed.
type InstallOptions struct {
	// Grants are the permissions that are granted. Nil grants nothing: the
	// instance stays disabled until Grant.
	Grants []Grant
	// AcceptAll grants everything that the manifest asks for.
	AcceptAll bool
	Config    json.RawMessage
	Secrets   map[string]string
	// Enable switches the instance on: at once if nothing is missing, else as
	// soon as nothing is.
	Enable bool
}

// Preview is a release before it is installed.
type Preview struct {
	Manifest  *manifestv1.Manifest `json:"manifest"`
	Digest    string               `json:"digest"`
	Readme    string               `json:"readme,omitempty"`
	CodeBytes int64                `json:"codeBytes"`
	Source    Source               `json:"-"`
	// Installed is the version that the tenant has, or empty.
	Installed string `json:"installed,omitempty"`
	// Wider and Widened are what installing or upgrading needs consent for.
	Wider   []Grant  `json:"wider"`
	Widened []string `json:"widened,omitempty"`
}

// Inspect reads and checks a release without installing it.
func (h *House) Inspect(ctx context.Context, c host.Caller, src Source) (Preview, error) {
	if err := h.look(ctx, c, "*"); err != nil {
		return Preview{}, err
	}
	b, err := h.read(c, src)
	if err != nil {
		return Preview{}, err
	}
	return h.preview(c, src, b), nil
}

// Bundled lists the packages that come with this host, by name. A file that
// cannot be read is logged and left out.
func (h *House) Bundled(ctx context.Context, c host.Caller) ([]Preview, error) {
	if err := h.look(ctx, c, "*"); err != nil {
		return nil, err
	}
	out := []Preview{}
	for _, b := range h.opener().Bundled() {
		out = append(out, h.preview(c, Source{Bundled: b.Manifest.Name}, b))
	}
	slices.SortFunc(out, func(a, b Preview) int { return cmp.Compare(a.Manifest.Name, b.Manifest.Name) })
	return out, nil
}

func (h *House) opener() source.Opener {
	return source.Opener{Dir: h.settings.BundledDir, Log: h.settings.Log}
}

func (h *House) preview(c host.Caller, src Source, b *manifest.Bundle) Preview {
	p := Preview{
		Manifest: b.Manifest, Digest: b.Digest, Readme: b.Readme, CodeBytes: int64(len(b.Code)),
		Source: src, Wider: b.Manifest.Permissions,
	}
	if e, err := h.find(c.TenantID(), b.Manifest.Name); err == nil {
		p.Installed, p.Widened = e.in.Version, grant.Widened(e.in.Manifest, b.Manifest)
		_, p.Wider = grant.Carry(e.in.Manifest.Permissions, e.in.Grants, b.Manifest.Permissions)
	}
	return p
}

// read reads a release and checks that this host can run it.
func (h *House) read(c host.Caller, src Source) (*manifest.Bundle, error) {
	b, err := h.opener().Open(src, h.settings.LocalPaths || c.Principal().Kind == host.KindSystem)
	if err != nil {
		return nil, err
	}
	runtime := h.runtimes[b.Manifest.Runtime]
	if runtime == nil {
		return nil, host.Errorf(host.CodeInvalid, "this host has no runtime %q", b.Manifest.Runtime).
			WithHint("build the plugin with runtime: wasm")
	}
	return b, runtime.Check(b.Code)
}

// trusted refuses plugins that run outside of a sandbox to all but operators.
// What an operator allows is one release, by its digest: a name alone is
// anybody's who writes it into a manifest.
func (h *House) trusted(c host.Caller, b *manifest.Bundle) error {
	m := b.Manifest
	allowed := func(entry string) bool {
		return entry == m.Name+"@"+b.Digest || h.settings.LocalPaths && (entry == "*" || entry == m.Name)
	}
	if m.Runtime != manifestv1.RuntimeProcess || c.Principal().Kind == host.KindSystem || slices.ContainsFunc(h.settings.ProcessPlugins, allowed) {
		return nil
	}
	return host.Errorf(host.CodeForbidden, "%s %s runs as a process of its own, and only operators install such plugins", m.Name, m.Version).
		WithHint("the operator can allow this release: callboard serve --process-plugins %s@%s", m.Name, b.Digest)
}

// Install installs a release for the caller's tenant. It returns as soon as
// everything is written; the code is compiled in the background, and the state
// shows how far it is.
func (h *House) Install(ctx context.Context, c host.Caller, src Source, o InstallOptions) (Instance, error) {
	if err := h.manage(ctx, c, "*"); err != nil {
		return Instance{}, err
	}
	b, err := h.read(c, src)
	if err != nil {
		return Instance{}, err
	}
	if err := h.trusted(c, b); err != nil {
		return Instance{}, err
	}
	if err := h.manage(ctx, c, b.Manifest.Name); err != nil {
		return Instance{}, err
	}
	row, err := h.newRow(c, b, o)
	if err != nil {
		return Instance{}, err
	}
	if err := h.keep(b); err != nil {
		return Instance{}, err
	}
	err = h.write(ctx, c, row, "install", map[string]string{"version": b.Manifest.Version, "digest": b.Digest}, func(ctx context.Context, q store.Querier) error {
		if err := h.vacant(ctx, q, row); err != nil {
			return err
		}
		if err := h.admit(ctx, q, row.TenantID, row.ID, b.Manifest); err != nil {
			return err
		}
		return insertRelease(ctx, q, b)
	})
	if err != nil {
		return Instance{}, err
	}
	return h.changed(ctx, c, row)
}

// newRow decides everything about a new instance that needs no database.
func (h *House) newRow(c host.Caller, b *manifest.Bundle, o InstallOptions) (*record.Instance, error) {
	m := b.Manifest
	row := &record.Instance{
		ID: host.NewID("i"), TenantID: string(c.TenantID()), Short: record.ShortOf(m.Name), Name: m.Name, Digest: b.Digest,
		Consented: o.AcceptAll || o.Grants != nil || len(m.Permissions) == 0, PreviousGrants: "[]", PreviousConfig: "{}", Policy: "{}",
		InstalledAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	granted := o.Grants
	if o.AcceptAll {
		granted = m.Permissions
	}
	granted, err := grant.Check(m.Permissions, granted)
	if err != nil {
		return nil, err
	}
	if err := row.SetGranted(granted); err != nil {
		return nil, err
	}
	form := setup.Of(m)
	if err := form.Check(o.Config); err != nil && len(o.Config) > 0 {
		return nil, err
	}
	row.Config = setup.Given(o.Config)
	sealed, err := h.seal(row, form, map[string][]byte{}, o.Secrets)
	if err != nil {
		return nil, err
	}
	if err := row.SetSealed(sealed); err != nil {
		return nil, err
	}
	names := []string{}
	for n := range sealed {
		names = append(names, n)
	}
	row.Enabled = o.Enable && row.Consented && form.Ready(o.Config, names) == nil
	row.Wanted = o.Enable && !row.Enabled
	return row, nil
}

// vacant refuses a short name that is taken in the tenant.
func (h *House) vacant(ctx context.Context, q store.Querier, row *record.Instance) error {
	taken, err := record.FindInstance(ctx, q, host.TenantID(row.TenantID), row.Short)
	if err != nil || taken == nil {
		return err
	}
	if taken.Name == row.Name {
		return host.Errorf(host.CodeConflict, "the plugin %s is already installed", row.Name).
			WithHint("upgrade it: callboard plugin upgrade %s", row.Short)
	}
	return host.Errorf(host.CodeConflict, "%s cannot be installed beside %s: both are called %q in paths", row.Name, taken.Name, row.Short).
		WithHint("uninstall %s first, or ask the author of one of them to rename it", taken.Name)
}

// admit refuses operation ids that another plugin of the tenant, or the core,
// uses.
func (h *House) admit(ctx context.Context, q store.Querier, tenant, self string, m *manifestv1.Manifest) error {
	mine := fragment.IDs(m)
	if len(mine) == 0 {
		return nil
	}
	for _, id := range mine {
		if slices.Contains(h.settings.Reserved, id) {
			return clash(m.Name, id, "Callboard itself")
		}
	}
	var rows []record.Release
	err := q.NewSelect().Model(&rows).Join("JOIN instances AS i ON i.digest = r.digest").
		Where("i.tenant_id = ?", tenant).Where("i.id <> ?", self).Scan(ctx)
	if err != nil {
		return fmt.Errorf("reading the tenant's releases: %w", err)
	}
	for _, r := range rows {
		other, err := manifest.Parse([]byte(r.Source), r.Name)
		if err != nil {
			continue
		}
		for _, id := range fragment.IDs(other) {
			if slices.Contains(mine, id) {
				return clash(m.Name, id, r.Name)
			}
		}
	}
	return nil
}

func clash(name, id, other string) error {
	return host.Errorf(host.CodeConflict, "%s offers the operation %q, which %s offers too", name, id, other).
		WithHint("operation ids are unique in a tenant: rename it in the manifest, best with the plugin's name in front")
}

// keep puts the release's files on disk.
func (h *House) keep(b *manifest.Bundle) error {
	return h.depot.Put(b.Digest, map[string][]byte{sourceFile: b.Source, codeFile: b.Code})
}

// insertRelease writes a release and its code, unless they are there.
func insertRelease(ctx context.Context, q store.Querier, b *manifest.Bundle) error {
	return record.InsertRelease(ctx, q, record.Release{
		Digest: b.Digest, Name: b.Manifest.Name, Version: b.Manifest.Version, Source: string(b.Source), Readme: b.Readme,
		CodeDigest: b.CodeDigest, CodeBytes: int64(len(b.Code)), CreatedAt: time.Now().UTC(),
	}, b.Code)
}

// newCode returns the code of a release, not loaded yet.
func (h *House) newCode(r *release) *code.Code[Module] {
	runtime := h.runtimes[r.manifest.Runtime]
	return h.code.Add(code.Source[Module]{
		Bytes:   r.row.CodeBytes,
		Cached:  func() bool { return runtime != nil && runtime.Cached(r.row.CodeDigest) },
		Changed: func() { h.republish(r.row.Digest) },
		Open: func(ctx context.Context) (Module, error) {
			if r.broken != nil {
				return nil, r.broken
			}
			if runtime == nil {
				return nil, host.Errorf(host.CodeInvalid, "this host has no runtime %q", r.manifest.Runtime)
			}
			raw, err := h.fetch(ctx, r)
			if err != nil {
				return nil, err
			}
			return runtime.Compile(ctx, r.row.CodeDigest, raw)
		},
	})
}

// fetch returns the code of a release: from disk, or from the database where
// the disk has none or a damaged one. It is verified each time.
func (h *House) fetch(ctx context.Context, r *release) ([]byte, error) {
	raw, err := h.depot.Read(r.row.Digest, codeFile)
	if err == nil && manifest.DigestOf(raw) == r.row.CodeDigest {
		return raw, nil
	}
	raw, err = record.ReadCode(ctx, h.db, r.row.Digest, manifest.MaxCodeBytes)
	if err != nil {
		return nil, err
	}
	if manifest.DigestOf(raw) != r.row.CodeDigest {
		return nil, host.Errorf(host.CodeInternal, "the code of %s %s is damaged", r.row.Name, r.row.Version).
			WithHint("uninstall the plugin and install it again")
	}
	if err := h.depot.Remove(r.row.Digest); err != nil {
		return nil, err
	}
	return raw, h.depot.Put(r.row.Digest, map[string][]byte{sourceFile: []byte(r.row.Source), codeFile: raw})
}

// older reports whether version a comes before b.
func older(a, b string) bool {
	x, err := semver.NewVersion(a)
	y, bad := semver.NewVersion(b)
	return err == nil && bad == nil && x.LessThan(y)
}

// sweepDepot removes releases that no tenant has, and files without a release.
func (h *House) sweepDepot(ctx context.Context) {
	var rows []record.Release
	all := func(ctx context.Context, q store.Querier) error {
		rows = nil
		return q.NewSelect().Model(&rows).Column("digest").Scan(ctx)
	}
	err := h.db.Control().Read(ctx, all)
	for _, r := range rows {
		if h.releases[r.Digest] == nil {
			h.discard(ctx, []string{r.Digest})
		}
	}
	if err == nil {
		err = h.db.Control().Read(ctx, all)
	}
	digests, bad := h.depot.Digests()
	if err != nil || bad != nil {
		return // nothing is lost: the next start sweeps
	}
	known := map[string]bool{}
	for _, r := range rows {
		known[r.Digest] = true
	}
	for _, d := range digests {
		if !known[d] {
			if err := h.depot.Remove(d); err != nil {
				h.settings.Log.Warn("removing an unused release", "digest", strings.TrimPrefix(d, "sha256:")[:12], "error", err)
			}
		}
	}
}
