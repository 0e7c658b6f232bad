package web

import (
	"net/http"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// themeLife is how long the browser remembers the theme.
const themeLife = 365 * 24 * time.Hour

// settingsTabs are the pages about the reader's own account.
func settingsTabs(current string) g.Node {
	return ui.Tabs{Label: "Settings", Items: []ui.Tab{
		{Label: "Account", Href: "/settings", Current: current == "account"},
		{Label: "API tokens", Href: "/settings/tokens", Current: current == "tokens"}}}
}

// accountPage shows who the reader is, their sessions and their password.
func (s *site) accountPage(v *visit) error { return v.account(http.StatusOK, nil) }

func (v *visit) account(status int, failure *host.Error) error {
	p, tenant := v.caller.Principal(), v.caller.Tenant()
	facts := data.Facts{{Key: "Signed in as", Value: g.Text(p.Name)}, {Key: "Role", Value: ui.Chip{Text: string(p.Role)}}, {Key: "Tenant", Value: g.Text(tenant.Name + " (" + tenant.Slug + ")")}}
	if p.EntityRef != "" {
		facts = append(facts, data.Fact{Key: "In the catalog", Value: ownerLink(p.EntityRef)})
	} else {
		facts = append(facts, data.Fact{Key: "In the catalog", Value: h.Span(h.Class("quiet"), g.Text("not linked to a User entity"))})
	}
	return v.show(status, "/settings", "Settings", ui.Breadcrumb{{Label: "Settings"}}, frame.Head{Title: "Settings"}, settingsTabs("account"),
		h.Div(h.Class("grid"), ui.Card{Title: "Account", Span: "span-6", Body: facts}, v.themeCard(), v.sessionCard(), v.passwordCard(failure)))
}

func (v *visit) themeCard() g.Node {
	button := func(value, icon, label string) g.Node {
		return ui.Button{Label: label, Icon: icon, Attrs: []g.Node{h.Name("theme"), h.Value(value), g.Attr("aria-pressed", pressed(v.stored() == value))}}
	}
	return ui.Card{Title: "Appearance", Span: "span-6", Body: h.Form(h.Class("form"), v.post("/settings/theme"), form.Hidden("next", "/settings"),
		h.P(h.Class("soft"), g.Text("Follow the system, or stay light or dark on this browser.")),
		ui.Buttons(button("", "monitor", "System"), button("light", "sun", "Light"), button("dark", "moon", "Dark")))}
}

func pressed(on bool) string {
	if on {
		return "true"
	}
	return "false"
}

func (v *visit) sessionCard() g.Node {
	list, err := v.Sessions.ListSessions(v.ctx(), v.caller)
	if err != nil {
		return ui.Card{Title: "Sessions", Span: "span-6", Body: v.failed(host.AsError(err))}
	}
	t := data.Table{Caption: "Sessions", Columns: []data.Column{{Title: "Signed in", Telling: true}, {Title: "Last seen", Numeric: true}, {Title: "Ends", Numeric: true}, {Title: "End it", HideTitle: true, Telling: true}}}
	for _, x := range list {
		t.Rows = append(t.Rows, data.Row{
			h.Div(ui.Ago(x.CreatedAt, v.now()), h.Span(h.Class("sub"), g.Text("by "+methodInWords(x.Method)))), ui.Ago(x.SeenAt, v.now()), ui.Ago(x.Expires, v.now()),
			h.Form(v.post("/settings/sessions/"+x.ID+"/revoke"), ui.Button{Label: "End", Small: true})})
	}
	return ui.Card{Title: "Sessions", Span: "span-6", Flush: true, Origin: ui.Origin{Label: "browsers that are signed in"}, Body: t}
}

func methodInWords(method string) string {
	if method == "link" {
		return "one-time link"
	}
	return method
}

func (v *visit) passwordCard(failure *host.Error) g.Node {
	return ui.Card{Title: "Password", Span: "span-6", Body: h.Form(h.Class("form"), v.post("/settings/password"),
		ui.If(failure != nil, func() g.Node { return ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: failure.Hint} }),
		form.Field{Name: "current", Label: "Current password", Kind: form.Password, Required: true, AutoComplete: "current-password"},
		form.Field{Name: "new", Label: "New password", Kind: form.Password, Required: true, AutoComplete: "new-password", Help: "Your other sessions end when it changes."},
		ui.Buttons(ui.Button{Label: "Change password"}))}
}

// changePassword changes the reader's own password and goes on in a new session.
func (s *site) changePassword(v *visit) error {
	session, err := v.Sessions.ChangePassword(auth.WithAddress(v.ctx(), v.address()), v.caller, v.r.PostFormValue("current"), v.r.PostFormValue("new"))
	if err != nil {
		e := host.AsError(err)
		if e.Code.Status() >= http.StatusInternalServerError {
			return err
		}
		return v.account(http.StatusUnprocessableEntity, e)
	}
	v.hand(session)
	return v.redirect("/settings", good("Your password is changed."))
}

// revokeSession ends one of the reader's sessions.
func (s *site) revokeSession(v *visit) error {
	if err := v.Sessions.RevokeSession(v.ctx(), v.caller, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.redirect("/settings", good("The session is ended."))
}

// theme remembers how the reader wants to see the portal.
func (s *site) theme(v *visit) error {
	switch value := v.r.PostFormValue("theme"); value {
	case "light", "dark":
		v.cookie(themeCookie, value, themeLife)
	case "":
		v.cookie(themeCookie, "", -1)
	default:
		return host.Errorf(host.CodeInvalid, "There is no theme %q.", value).WithHint("Choose light or dark.")
	}
	return v.redirect(v.r.PostFormValue("next"))
}
