package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/frame"
)

// memberList shows the people of the tenant.
func (s *site) memberList(v *visit) error { return v.members(http.StatusOK, nil, nil) }

func (v *visit) members(status int, notice g.Node, failure *host.Error) error {
	list, err := v.Members.ListUsers(v.ctx(), v.caller)
	if err != nil {
		return err
	}
	t := data.Table{Caption: "Members", Empty: ui.Empty{Icon: "group", Title: "Nobody is here yet"},
		Columns: []data.Column{{Title: "Name", Telling: true}, {Title: "Role"}, {Title: "In the catalog"}, {Title: "Last sign-in", Numeric: true}, {Title: "Actions", HideTitle: true, Telling: true}}}
	for _, u := range list {
		t.Rows = append(t.Rows, v.memberRow(u))
	}
	body := []g.Node{frame.Head{Title: "Members", Lead: g.Text("Who may sign in to " + v.caller.Tenant().Name + ", and what they may do.")}, notice,
		h.Div(h.Class("grid"), ui.Card{Title: "People", Span: "span-8", Flush: true, Chips: []g.Node{ui.Chip{Text: ui.Count(len(list))}}, Body: t}, v.memberForm(failure))}
	return v.show(status, "/settings/members", "Members", ui.Breadcrumb{{Label: "Members"}}, body...)
}

func (v *visit) memberRow(u auth.User) data.Row {
	role := g.Group{ui.Chip{Text: string(u.Role)}}
	if u.Disabled {
		role = append(role, g.Text(" "), ui.Chip{Text: "disabled", Tone: ui.Warn})
	}
	entity := g.Node(h.Span(h.Class("quiet"), g.Text("not linked")))
	if u.EntityRef != "" {
		entity = ownerLink(u.EntityRef)
	}
	return data.Row{h.Div(h.Class("row"), frame.Avatar(u.Name), h.Div(h.Class("grow"), h.Span(h.Class("strong break"), g.Text(u.Name)), h.Span(h.Class("sub"), g.Text(u.Email)))),
		h.Span(h.Class("nowrap"), role), entity, ui.Ago(u.LastLoginAt, v.now()), v.memberMenu(u)}
}

func (v *visit) memberMenu(u auth.User) g.Node {
	change := func(icon, label, field, value string) g.Node {
		return h.Form(v.post("/settings/members/"+u.ID+"/change"), form.Hidden(field, value), h.Button(h.Type("submit"), ui.Icon(icon), g.Text(label)))
	}
	items := []g.Node{}
	if !u.Disabled {
		items = append(items, h.Form(v.post("/settings/members/"+u.ID+"/link"), h.Button(h.Type("submit"), ui.Icon("key"), g.Text("Make a sign-in link"))))
	}
	for _, role := range roles() {
		if role != u.Role {
			items = append(items, change("shield", "Make "+string(role), "role", string(role)))
		}
	}
	if u.Disabled {
		items = append(items, change("play", "Let in again", "disabled", "false"))
	} else if u.ID != v.caller.Principal().ID {
		items = append(items, change("pause", "Disable", "disabled", "true"))
	}
	id := "entity-" + u.ID
	items = append(items, h.Button(h.Type("button"), g.Attr("commandfor", id), g.Attr("command", "show-modal"), ui.Icon("user"), g.Text("Link to the catalog")))
	return h.Div(ui.Menu{Label: "Actions for " + u.Name, Summary: ui.Icon("more"), Items: items},
		ui.Dialog{ID: id, Title: "Link " + u.Name + " to the catalog", Keep: "Cancel", Act: ui.Button{Label: "Link", Kind: ui.Primary},
			Body: form.Field{Name: "entity", ID: id + "-ref", Label: "User entity", Mono: true, Value: u.EntityRef, Placeholder: "user:default/mara", Help: "What this entity and its groups own stands on the person's home page. Empty unlinks."},
			Form: []g.Node{v.post("/settings/members/" + u.ID + "/change"), form.Hidden("link", "true")}})
}

func roles() []host.Role { return []host.Role{host.RoleViewer, host.RoleMember, host.RoleAdmin} }

func (v *visit) memberForm(failure *host.Error) g.Node {
	sent := v.r.PostFormValue
	options := []form.Option{}
	for _, r := range roles() {
		options = append(options, form.Option{Value: string(r), Label: strings.ToUpper(string(r[:1])) + string(r[1:])})
	}
	return ui.Card{Title: "Add somebody", Span: "span-4", Body: h.Form(h.Class("form"), v.post("/settings/members"),
		ui.If(failure != nil, func() g.Node { return ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: failure.Hint} }),
		form.Field{Name: "email", Label: "E-mail address", Kind: form.Email, Required: true, Value: sent("email"), AutoComplete: "off"},
		form.Field{Name: "name", Label: "Name", Optional: true, Value: sent("name"), AutoComplete: "off"},
		form.Field{Name: "role", Label: "Role", Kind: form.Select, Options: options, Value: sent("role")},
		form.Field{Name: "entity", Label: "User entity", Optional: true, Mono: true, Value: sent("entity"), Placeholder: "user:default/mara"},
		form.Field{Name: "password", Label: "Password", Kind: form.Password, Optional: true, AutoComplete: "new-password", Help: "Without one you get a one-time sign-in link to pass on."},
		ui.Buttons(ui.Button{Label: "Add", Kind: ui.Primary}))}
}

// createMember adds somebody; without a password, with a link to sign in once.
func (s *site) createMember(v *visit) error {
	sent := v.r.PostFormValue
	u, err := v.Members.CreateUser(v.ctx(), v.caller, auth.NewUser{Email: sent("email"), Name: strings.TrimSpace(sent("name")), Role: host.Role(sent("role")), Password: sent("password"), EntityRef: strings.TrimSpace(sent("entity"))})
	if err != nil {
		e := host.AsError(err)
		if e.Code.Status() >= http.StatusInternalServerError || e.Code == host.CodeForbidden {
			return err
		}
		return v.members(http.StatusUnprocessableEntity, nil, e)
	}
	if sent("password") != "" {
		return v.redirect("/settings/members", good(u.Name+" may sign in."))
	}
	return v.showLink(u)
}

// memberLink makes a link that signs somebody in once.
func (s *site) memberLink(v *visit) error {
	u, err := v.member(v.r.PathValue("id"))
	if err != nil {
		return err
	}
	return v.showLink(u)
}

// member finds somebody of the reader's own tenant, which takes the right to
// manage people.
func (v *visit) member(id string) (auth.User, error) {
	list, err := v.Members.ListUsers(v.ctx(), v.caller)
	if err != nil {
		return auth.User{}, err
	}
	i := slices.IndexFunc(list, func(u auth.User) bool { return u.ID == id })
	if i < 0 {
		return auth.User{}, notFound("There is no such person.")
	}
	return list[i], nil
}

// showLink shows a sign-in link in the answer itself, this once.
func (v *visit) showLink(u auth.User) error {
	if err := v.Authz.Authorize(v.ctx(), v.caller, host.ActionUserManage, "*"); err != nil {
		return err
	}
	token, err := v.Members.CreateLoginLink(v.ctx(), v.caller.TenantID(), u.ID)
	if err != nil {
		return err
	}
	link := v.origin() + "/login/link?" + url.Values{"token": {token}}.Encode()
	return v.members(http.StatusOK, newSecret("A sign-in link for "+u.Name, "It works once, for 15 minutes. Pass it on in private.", link), nil)
}

// origin is where people reach the portal, without a slash at the end.
func (v *visit) origin() string {
	if v.PublicURL != "" && v.BaseDomain == "" {
		return strings.TrimSuffix(v.PublicURL, "/")
	}
	if v.tls() {
		return "https://" + v.r.Host
	}
	return "http://" + v.r.Host
}

// changeMember changes somebody's role, link to the catalog, or whether they
// may sign in.
func (s *site) changeMember(v *visit) error {
	sent := v.r.PostForm
	var n auth.UserChange
	if sent.Has("role") {
		role := host.Role(sent.Get("role"))
		n.Role = &role
	}
	if sent.Has("disabled") {
		off := sent.Get("disabled") == "true"
		n.Disabled = &off
	}
	if sent.Has("link") {
		ref := strings.TrimSpace(sent.Get("entity"))
		n.EntityRef = &ref
	}
	u, err := v.Members.UpdateUser(v.ctx(), v.caller, v.r.PathValue("id"), n)
	if err != nil {
		if host.CodeOf(err) == host.CodeForbidden {
			return err
		}
		return v.redirect("/settings/members", bad(host.AsError(err).Error()))
	}
	return v.redirect("/settings/members", good(u.Name+" is changed."))
}
