package web

import (
	"math"
	"net/http"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/auth"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/form"
)

// loginPage asks for e-mail address and password.
func (s *site) loginPage(v *visit) error {
	return v.loginForm(http.StatusOK, "", nil)
}

func (v *visit) loginForm(status int, email string, failure *host.Error) error {
	tenant := hostTenant(v.r.Host, v.BaseDomain)
	body := []g.Node{h.H1(g.Text("Sign in"))}
	if failure != nil {
		text := failure.Hint
		if failure.RetryAfter > 0 {
			v.w.Header().Set("Retry-After", retryAfter(failure.RetryAfter))
			text = "Try again " + ui.AgoText(v.now().Add(failure.RetryAfter), v.now()) + "."
		}
		body = append(body, ui.Banner{Tone: ui.Bad, Title: failure.Message, Text: text})
	}
	body = append(body, ui.Card{Body: h.Form(h.Class("form"), h.Method("post"), h.Action("/login"),
		form.Hidden("next", local(v.r.FormValue("next"), "/")),
		ui.If(tenant == "" && (v.r.FormValue("tenant") != "" || failure != nil), func() g.Node {
			return form.Field{Name: "tenant", Label: "Tenant", Optional: true, Value: v.r.FormValue("tenant"), Help: "Its short name. Needed where this portal has several.", AutoComplete: "organization"}
		}),
		form.Field{Name: "email", Label: "E-mail address", Kind: form.Email, Value: email, Required: true, AutoComplete: "username", Attrs: []g.Node{h.AutoFocus()}},
		form.Field{Name: "password", Label: "Password", Kind: form.Password, Required: true, AutoComplete: "current-password"},
		ui.Button{Label: "Sign in", Kind: ui.Primary, Wide: true})},
		h.P(h.Class("quiet small"), g.Text("No password? Ask an admin for a one-time sign-in link, or make one on the server with "), h.Code(g.Text("callboard user link")), g.Text(".")))
	return v.plain(status, "Sign in", body...)
}

// login checks the password and opens a session.
func (s *site) login(v *visit) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, formMax)
	if err := v.parse(); err != nil {
		return err
	}
	tenant := hostTenant(v.r.Host, v.BaseDomain)
	if tenant == "" {
		tenant = v.r.PostFormValue("tenant")
	}
	email := v.r.PostFormValue("email")
	session, err := v.Door.Login(auth.WithAddress(v.ctx(), v.address()), tenant, email, v.r.PostFormValue("password"))
	switch code := host.CodeOf(err); code {
	case "":
		return v.enter(session, v.r.PostFormValue("next"))
	case host.CodeUnauthenticated, host.CodeRateLimited, host.CodeInvalid:
		return v.loginForm(code.Status(), email, host.AsError(err))
	}
	return err
}

// linkPage shows a button: a one-time link that is only looked at, by a mail
// program for instance, stays good.
func (s *site) linkPage(v *visit) error {
	token := v.r.URL.Query().Get("token")
	if token == "" {
		return notFound("The link has no token.")
	}
	return v.plain(http.StatusOK, "Sign in with your link",
		h.H1(g.Text("Sign in with your link")),
		ui.Card{Body: h.Form(h.Class("form"), h.Method("post"), h.Action("/login/link"), form.Hidden("token", token), form.Hidden("next", local(v.r.URL.Query().Get("next"), "/")),
			h.P(h.Class("soft"), g.Text("The link works once. It is used when you press the button, not when it is opened.")),
			ui.Button{Label: "Sign in", Kind: ui.Primary, Wide: true, Attrs: []g.Node{h.AutoFocus()}})})
}

// redeem uses the link up and opens a session.
func (s *site) redeem(v *visit) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, formMax)
	if err := v.parse(); err != nil {
		return err
	}
	session, err := v.Door.RedeemLink(auth.WithAddress(v.ctx(), v.address()), v.r.PostFormValue("token"))
	if code := host.CodeOf(err); code == host.CodeUnauthenticated || code == host.CodeRateLimited || code == host.CodeInvalid {
		return v.loginForm(code.Status(), "", host.AsError(err))
	}
	if err != nil {
		return err
	}
	return v.enter(session, v.r.PostFormValue("next"))
}

// enter hands the session to the browser and goes on.
func (v *visit) enter(session auth.Session, next string) error {
	v.hand(session)
	return v.redirect(local(next, "/"))
}

// hand gives the browser the cookie of a session.
func (v *visit) hand(session auth.Session) {
	http.SetCookie(v.w, &http.Cookie{Name: sessionCookie, Value: session.Value, Path: "/", Expires: session.Expires, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: v.tls()})
}

// logout ends the session. The form carries the session's token where there is
// a session; without one there is nothing to protect.
func (s *site) logout(v *visit) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, formMax)
	if err := v.parse(); err != nil {
		return err
	}
	if v.session != "" {
		if !v.Door.CheckCSRF(v.session, v.r.PostFormValue("csrf")) {
			return host.Errorf(host.CodeForbidden, "The form does not belong to your session.").WithHint("Open the page again and sign out there.")
		}
		if err := v.Door.Logout(v.ctx(), v.session); err != nil {
			return err
		}
	}
	v.cookie(sessionCookie, "", -1)
	return v.redirect("/login", good("You are signed out."))
}

// retryAfter is a wait in whole seconds, as the header wants it.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
