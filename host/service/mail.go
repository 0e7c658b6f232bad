package service

import (
	"context"
	"html"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/mail"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	mailv1 "github.com/callboard-dev/callboard/schemas/service/mail/v1"
)

// Mailer is what mail/v1 needs of the operator's mail server.
type Mailer interface {
	Send(ctx context.Context, m mail.Message) (id string, err error)
}

var _ Mailer = (*mail.Sender)(nil)

// messagesPerCall is how many messages one call of a plugin may send.
const messagesPerCall = 10

// Mail is mail/v1: messages to the domains of the grant, so many an hour.
type Mail struct {
	mailer Mailer
	now    func() time.Time

	mu    sync.Mutex
	hours map[string]*hour
}

var _ plugin.Service = (*Mail)(nil)

// hour counts the recipients of an instance.
type hour struct {
	since      time.Time
	recipients int
}

// NewMail returns the service over a mail server; nil says that there is none.
func NewMail(m Mailer) *Mail { return &Mail{mailer: m, now: time.Now, hours: map[string]*hour{}} }

// Serve answers one call.
func (m *Mail) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != mailv1.MethodSend {
		return nil, unknownMethod(mailv1.Name, call.Method)
	}
	grants, err := granted(s, mailv1.Name)
	if err != nil {
		return nil, err
	}
	in, err := read[mailv1.Message](call.Body)
	if err != nil {
		return nil, err
	}
	if m.mailer == nil {
		return nil, host.Errorf(host.CodePluginNotReady, "the portal has no mail server").WithHint("the operator sets mail.host and mail.from")
	}
	if err := checkMessage(&in); err != nil {
		return nil, err
	}
	perHour := 0
	for _, list := range []*[]string{&in.To, &in.Cc} {
		if perHour, err = m.recipients(s, grants, *list, perHour); err != nil {
			return nil, err
		}
	}
	if in.ReplyTo != "" {
		reply := []string{in.ReplyTo}
		if _, err := m.recipients(s, grants, reply, 0); err != nil {
			return nil, err
		}
		in.ReplyTo = reply[0]
	}
	if s.Spend("mail.messages", 1) > messagesPerCall {
		return nil, host.Errorf(host.CodeLimit, "one call may send at most %d messages", messagesPerCall)
	}
	if err := m.spend(s.Instance.ID, len(in.To)+len(in.Cc), perHour); err != nil {
		return nil, err
	}
	id, err := m.mailer.Send(ctx, m.message(s, &in))
	if err != nil {
		return nil, err
	}
	return mailv1.Receipt{ID: id}, nil
}

func checkMessage(in *mailv1.Message) error {
	switch n := len(in.To) + len(in.Cc); {
	case len(in.To) == 0 || n > mailv1.MaxRecipients:
		return host.Errorf(host.CodeInvalid, "a message has 1 to %d recipients, not %d", mailv1.MaxRecipients, n)
	case strings.TrimSpace(in.Subject) == "" || len(in.Subject) > mailv1.MaxSubject:
		return host.Errorf(host.CodeInvalid, "the subject is empty or longer than %d bytes", mailv1.MaxSubject)
	case strings.TrimSpace(in.Text) == "":
		return host.Errorf(host.CodeInvalid, "the message has no text").WithHint("HTML needs a plain form beside it")
	case len(in.Text) > mailv1.MaxText || len(in.HTML) > mailv1.MaxHTML:
		return host.Errorf(host.CodeTooLarge, "the text has at most %d bytes and the HTML %d", mailv1.MaxText, mailv1.MaxHTML)
	}
	return nil
}

// domainName is a domain as it stands in grants; an address of another form
// could be read as one thing here and as another by the mail server.
var domainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// recipients checks addresses against the grants and writes them in their one
// spelling. It returns the largest hourly number of the grants that cover one.
func (m *Mail) recipients(s *plugin.Session, grants []plugin.Grant, list []string, most int) (int, error) {
	for i, address := range list {
		a, err := netmail.ParseAddress(address)
		if err != nil || len(address) > 254 || strings.ContainsAny(address, "\r\n\x00\"") {
			return 0, host.Errorf(host.CodeInvalid, "%q is not an address of mail", clip(address, 100))
		}
		at := strings.LastIndexByte(a.Address, '@')
		domain := strings.ToLower(a.Address[at+1:])
		if !domainName.MatchString(domain) || strings.ContainsAny(a.Address[:at], "@ %!\"") {
			return 0, host.Errorf(host.CodeInvalid, "%q is not an address of mail", clip(address, 100)).WithHint("domains outside of ASCII are written in punycode")
		}
		covered := false
		for _, g := range grants {
			if slices.ContainsFunc(g.Domains, func(d string) bool { return grant.DomainCovers(d, domain) }) {
				covered, most = true, max(most, g.PerHour)
			}
		}
		if !covered {
			return 0, host.Errorf(host.CodeNotGranted, "%s may not write to addresses of %s", s.Instance.Short, domain).
				WithHint("an admin can grant the domain where the manifest asks for it")
		}
		list[i] = a.Address[:at+1] + domain
	}
	return most, nil
}

// spend counts recipients against the hourly number of this host.
func (m *Mail) spend(instance string, n, most int) error {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hours[instance]
	if h == nil || now.Sub(h.since) >= time.Hour {
		for id, old := range m.hours {
			if now.Sub(old.since) >= time.Hour {
				delete(m.hours, id)
			}
		}
		h = &hour{since: now}
		m.hours[instance] = h
	}
	if h.recipients+n > most {
		e := host.Errorf(host.CodeRateLimited, "%d recipients of this hour have been written to, and %d are allowed", h.recipients, most)
		e.RetryAfter = h.since.Add(time.Hour).Sub(now)
		return e
	}
	h.recipients += n
	return nil
}

func (m *Mail) message(s *plugin.Session, in *mailv1.Message) mail.Message {
	title := s.Instance.Manifest.Title
	if title == "" {
		title = s.Instance.Short
	}
	return mail.Message{
		To: in.To, Cc: in.Cc, ReplyTo: in.ReplyTo,
		Subject: fill(in.Subject, in.Data, false), Text: fill(in.Text, in.Data, false), HTML: fill(in.HTML, in.Data, true),
		Sender: title, Footer: "Sent by the plugin " + s.Instance.Name + " of " + s.Caller.Tenant().Slug + " on Callboard.",
	}
}

// placeholder is what data fills.
var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z][A-Za-z0-9_.-]{0,63})\s*\}\}`)

// fill puts data into the placeholders of a text; a name without data stays
// empty. In HTML the values are escaped. A value is not filled again.
func fill(s string, data map[string]string, escape bool) string {
	if data == nil {
		return s
	}
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		value := data[placeholder.FindStringSubmatch(p)[1]]
		if escape {
			return html.EscapeString(value)
		}
		return value
	})
}
