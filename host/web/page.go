package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	g "maragu.dev/gomponents"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
	"github.com/callboard-dev/callboard/host/web/assets"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
	viewv1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
)

const (
	flashCookie = "callboard_flash"
	themeCookie = "callboard_theme"
)

func (v *visit) ctx() context.Context { return v.r.Context() }

func (v *visit) now() time.Time { return v.Now() }

// csrf is what the forms of this session carry.
func (v *visit) csrf() string { return v.Door.CSRF(v.session) }

// post are the attributes of a form that changes something.
func (v *visit) post(action string) g.Node { return form.Post(action, v.csrf()) }

// may reports whether the reader may do the action at all, to show what leads
// to it. The room that does it checks again.
func (v *visit) may(a host.Action) bool { return v.Authz.Authorize(v.ctx(), v.caller, a, "*") == nil }

// partial reports whether the script asked for a part of a page.
func (v *visit) partial() bool {
	return v.r.Header.Get("HX-Request") == "true" && v.r.Header.Get("HX-History-Restore-Request") != "true"
}

// show writes a page in the frame. Section is the sidebar's entry to mark, a
// path; the last crumb is the page.
func (v *visit) show(status int, section, title string, crumbs ui.Breadcrumb, body ...g.Node) error {
	return v.write(status, frame.Page{
		Title: title, Tenant: v.caller.Tenant().Name, Demo: v.caller.Tenant().Demo, Theme: v.stored(),
		Assets: v.assets(), Crumbs: crumbs, Groups: v.groups(section),
		User: frame.User{Name: v.caller.Principal().Name, Role: string(v.caller.Principal().Role)},
		CSRF: v.csrf(), Version: host.Version, Toasts: v.flashes(), Here: v.here(),
		Query: v.r.URL.Query().Get("q"), Body: ui.Nodes(body),
	})
}

// plain writes a page without the frame.
func (v *visit) plain(status int, title string, body ...g.Node) error {
	return v.write(status, frame.Plain{Title: title, Theme: v.stored(), Assets: v.assets(), Toasts: v.flashes(),
		Foot: "Callboard " + host.Version, Body: ui.Nodes(body)})
}

// write renders all of a page before any of it is sent, so that a failure
// still has a page of its own.
func (v *visit) write(status int, n g.Node) error {
	var out bytes.Buffer
	if err := n.Render(&out); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Add("Vary", "HX-Request")
	v.w.WriteHeader(status)
	v.wrote = true
	_, _ = v.w.Write(out.Bytes()) // a reader who has gone reads nothing
	return nil
}

// here is the page to come back to after an action: this one, or the one that
// a part of a page was asked for.
func (v *visit) here() string {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return v.r.URL.RequestURI()
	}
	return "/"
}

func (v *visit) assets() frame.Assets {
	b := v.Assets
	out := frame.Assets{Style: b.URL("style.css"), Script: b.URL("app.js"), Icon: b.URL("favicon.svg"), Font: b.URL("inter.woff2")}
	if !b.Built() {
		out.Missing = assets.HowToBuild
	}
	return out
}

// stored is the theme that the reader chose, or empty.
func (v *visit) stored() string {
	cookie, err := v.r.Cookie(themeCookie)
	if err != nil || cookie.Value != "light" && cookie.Value != "dark" {
		return ""
	}
	return cookie.Value
}

// groups are the sidebar's entries that the reader may open.
func (v *visit) groups(section string) []frame.Group {
	entry := func(label, href, icon string, count int) frame.Link {
		return frame.Link{Label: label, Href: href, Icon: icon, Count: count, Current: href == section}
	}
	entities, plugins := v.tallies()
	main := frame.Group{Links: []frame.Link{entry("Home", "/", "home", 0), entry("Catalog", "/catalog", "list", entities),
		entry("API reference", "/docs", "book", 0)}}
	pages, err := v.Views.List(v.ctx(), v.caller, viewv1.SlotPage, nil)
	if err != nil {
		v.Log.WarnContext(v.ctx(), "the pages of plugins cannot be listed", "error", err)
	}
	for _, p := range pages {
		main.Links = append(main.Links, entry(p.Title, "/p/"+url.PathEscape(p.Short)+"/"+url.PathEscape(p.ID), "package", 0))
	}
	admin := frame.Group{Title: "Administration", Links: []frame.Link{entry("Locations", "/catalog/locations", "location", 0), entry("Plugins", "/plugins", "plug", plugins)}}
	if v.may(host.ActionUserManage) {
		admin.Links = append(admin.Links, entry("Members", "/settings/members", "group", 0))
	}
	if v.may(host.ActionAuditRead) {
		admin.Links = append(admin.Links, entry("Audit record", "/settings/audit", "history", 0))
	}
	admin.Links = append(admin.Links, entry("Settings", "/settings", "settings", 0))
	return []frame.Group{main, admin}
}

// counted is how many entities a tenant had at a revision of its catalog.
type counted struct {
	revision string
	entities int
}

// tallies are the sidebar's counts. That of entities is remembered until the
// catalog changes.
func (v *visit) tallies() (entities, plugins int) {
	if list, err := v.Plugins.List(v.ctx(), v.caller); err == nil {
		plugins = len(list)
	}
	id, revision := v.caller.TenantID(), v.Entities.Revision(v.caller.TenantID())
	if known, ok := v.counts.Load(id); ok && known.(counted).revision == revision {
		return known.(counted).entities, plugins
	}
	list, err := v.Entities.List(v.ctx(), v.caller, catalog.Query{Limit: 1})
	if err != nil {
		return 0, plugins
	}
	v.counts.Store(id, counted{revision, list.Total})
	return list.Total, plugins
}

// redirect sends the reader on after an action, with a notice.
func (v *visit) redirect(target string, notices ...ui.Toast) error {
	if len(notices) > 0 {
		text, err := json.Marshal(notices)
		if err == nil && len(text) < 2500 {
			v.cookie(flashCookie, base64.RawURLEncoding.EncodeToString(text), time.Minute)
		}
	}
	http.Redirect(v.w, v.r, local(target, "/"), http.StatusSeeOther)
	v.wrote = true
	return nil
}

// flashes takes the notices that the last action left.
func (v *visit) flashes() []ui.Toast {
	cookie, err := v.r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	v.cookie(flashCookie, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil
	}
	var out []ui.Toast
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	for i := range out {
		out[i].Tone = ui.ToneOf(string(out[i].Tone))
	}
	return out[:min(len(out), 3)]
}

// cookie sets a cookie that only the portal reads; a life below zero takes it
// away.
func (v *visit) cookie(name, value string, life time.Duration) {
	age := int(life.Seconds())
	if life < 0 {
		age = -1
	}
	http.SetCookie(v.w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: v.tls()})
}

func good(text string) ui.Toast { return ui.Toast{Tone: ui.Good, Text: text} }

func bad(text string) ui.Toast { return ui.Toast{Tone: ui.Bad, Text: text} }
