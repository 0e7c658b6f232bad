package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
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

// tokenList shows the API tokens and makes new ones.
func (s *site) tokenList(v *visit) error { return v.tokens(http.StatusOK, "", nil) }

// tokens shows the page; secret is a token that was just made, which is shown
// here and never again.
func (v *visit) tokens(status int, secret string, failure *host.Error) error {
	list, err := v.Tokens.ListTokens(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	dialogs := g.Group{}
	t := data.Table{Caption: "API tokens", Empty: ui.Empty{Icon: "key", Title: "No tokens yet", Text: "Scripts, pipelines and the command line use a token instead of your password.", Code: "export CALLBOARD_TOKEN=cb_…"},
		Columns: []data.Column{{Title: "Token", Telling: true}, {Title: "Role"}, {Title: "Scopes"}, {Title: "Last used", Numeric: true}, {Title: "Expires", Numeric: true}, {Title: "Revoke", HideTitle: true, Telling: true}}}
	for _, x := range list {
		expires := g.Node(h.Span(h.Class("quiet"), g.Text("never")))
		if !x.ExpiresAt.IsZero() {
			expires = ui.Ago(x.ExpiresAt, v.now())
		}
		scopes := "all of the role"
		if len(x.Scopes) > 0 {
			scopes = strings.Join(x.Scopes, ", ")
		}
		id := "revoke-" + x.ID
		t.Rows = append(t.Rows, data.Row{h.Div(h.Span(h.Class("strong"), g.Text(x.Label)), h.Span(h.Class("sub"), g.Text(origin(x)))), ui.Chip{Text: string(x.Role)}, g.Text(scopes), ui.Ago(x.LastUsedAt, v.now()), expires,
			ui.Button{Label: "Revoke", Small: true, Kind: ui.Danger, Opens: id, Attrs: []g.Node{g.Attr("aria-label", "Revoke "+x.Label)}}})
		dialogs = append(dialogs, ui.Dialog{ID: id, Title: "Revoke " + x.Label + "?", Keep: "Keep it", Act: ui.Button{Label: "Revoke", Kind: ui.DangerSolid},
			Body: h.P(g.Text("What uses it is refused at once, and so are the tokens that were made with it. It cannot be brought back.")), Form: []g.Node{v.post("/settings/tokens/" + x.ID + "/revoke")}})
	}
	body := []g.Node{frame.Head{Title: "Settings"}, settingsTabs("tokens")}
	if secret != "" {
		body = append(body, newSecret("Your new token", "Copy it now: it is shown this once.", secret))
	}
	body = append(body, h.Div(h.Class("grid"), ui.Card{Title: "API tokens", Span: "span-8", Flush: true, Body: t}, v.tokenForm(failure)), dialogs)
	return v.show(status, "/settings", "API tokens", ui.Breadcrumb{{Label: "Settings", Href: "/settings"}, {Label: "API tokens"}}, body...)
}

// newSecret shows what is shown only once.
func newSecret(title, text, secret string) g.Node {
	return ui.Banner{Tone: ui.Good, Title: title, Text: text, Body: h.Div(h.Class("secret-once"), ui.Code{Text: secret})}
}

func (v *visit) tokenForm(failure *host.Error) g.Node {
	roles := []form.Option{{Value: string(host.RoleViewer), Label: "Viewer: reads"}, {Value: string(host.RoleMember), Label: "Member: reads and changes the catalog"}, {Value: string(host.RoleAdmin), Label: "Admin: everything"}}
	own := slices.IndexFunc(roles, func(o form.Option) bool { return o.Value == string(v.caller.Principal().Role) })
	return ui.Card{Title: "New token", Span: "span-4", Body: h.Form(h.Class("form"), v.post("/settings/tokens"),
		ui.If(failure != nil, func() g.Node { return ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: failure.Hint} }),
		form.Field{Name: "label", Label: "Label", Required: true, Value: v.r.PostFormValue("label"), Placeholder: "deploy from CI", Help: "What it is for, so that you know it again."},
		form.Field{Name: "role", Label: "Role", Kind: form.Select, Options: roles[:own+1], Value: v.r.PostFormValue("role")},
		form.Field{Name: "days", Label: "Expires", Kind: form.Select, Value: "90", Options: []form.Option{{Value: "7", Label: "In 7 days"}, {Value: "30", Label: "In 30 days"}, {Value: "90", Label: "In 90 days"}, {Value: "365", Label: "In a year"}, {Value: "0", Label: "Never"}}},
		form.Field{Name: "scopes", Label: "Scopes", Optional: true, Mono: true, Value: v.r.PostFormValue("scopes"), Placeholder: "catalog.*", Help: "Actions or patterns with spaces between. Empty allows all that the role does."},
		ui.Buttons(ui.Button{Label: "Make token", Kind: ui.Primary}))}
}

// createToken makes a token and shows it this once, in the answer itself: it
// never travels in an address or a cookie.
func (s *site) createToken(v *visit) error {
	n := auth.NewToken{Label: strings.TrimSpace(v.r.PostFormValue("label")), Role: host.Role(v.r.PostFormValue("role")), Scopes: strings.Fields(v.r.PostFormValue("scopes"))}
	days, err := strconv.Atoi(v.r.PostFormValue("days"))
	if err != nil || days < 0 || days > 3650 {
		return v.tokens(http.StatusUnprocessableEntity, "", host.Errorf(host.CodeInvalid, "The expiry is not a number of days."))
	}
	if days > 0 {
		n.Expires = v.now().Add(time.Duration(days) * 24 * time.Hour)
	}
	secret, _, err := v.Tokens.CreateToken(v.ctx(), v.caller, n)
	if err != nil {
		e := host.AsError(err)
		if e.Code.Status() >= http.StatusInternalServerError {
			return err
		}
		return v.tokens(http.StatusUnprocessableEntity, "", e)
	}
	return v.tokens(http.StatusOK, secret, nil)
}

// origin is the token's id, and that of the token that it was made with.
func origin(t auth.Token) string {
	if t.Parent == "" {
		return t.ID
	}
	return t.ID + ", made with " + t.Parent
}

// revokeToken ends a token.
func (s *site) revokeToken(v *visit) error {
	if err := v.Tokens.RevokeToken(v.ctx(), v.caller, v.r.PathValue("id")); err != nil {
		return err
	}
	return v.redirect("/settings/tokens", good("The token is revoked."))
}
