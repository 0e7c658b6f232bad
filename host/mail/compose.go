package mail

import (
	"bytes"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	gomail "github.com/wneessen/go-mail"

	"github.com/callboard-dev/callboard/host"
)

// policy is what of HTML may be sent: text with its structure, links and
// pictures over https, and a few inline styles that mail needs. It is made
// once, because that takes longer than a message.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "img", "li", "ol", "p", "pre",
		"s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src", "alt", "width", "height").OnElements("img")
	p.AllowAttrs("colspan", "rowspan", "align").OnElements("td", "th")
	p.AllowStyles("color", "background-color").Matching(regexp.MustCompile(`^#[0-9A-Fa-f]{3,8}$`)).Globally()
	p.AllowStyles("text-align", "font-weight").Matching(regexp.MustCompile(`^(left|right|center|bold|normal)$`)).Globally()
	p.AllowURLSchemes("https", "mailto", "http")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	p.RequireNoFollowOnLinks(true)
	p.RewriteSrc(func(u *url.URL) {
		if u.Scheme != "https" { // a picture over http tells the network who reads
			*u = url.URL{}
		}
	})
	return p
})

// Sanitise returns what of HTML may be sent.
func Sanitise(html string) string { return policy().Sanitize(html) }

// frame puts a message into the portal's form.
var frame = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body style="margin:0;padding:24px;font-family:sans-serif;color:#1f2328;background:#ffffff">
<div style="max-width:640px;margin:0 auto">
{{.Body}}
<hr style="border:0;border-top:1px solid #d0d7de;margin:24px 0 12px">
<p style="font-size:12px;color:#59636e">{{.Footer}}</p>
</div></body></html>
`))

// line makes text fit for one line of a header.
func line(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

func (s *Sender) compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.FromFormat(line(m.Sender), s.settings.From); err != nil {
		return nil, host.Errorf(host.CodeInvalid, "the sender of the message cannot be used")
	}
	for _, set := range []struct {
		put  func(...string) error
		list []string
	}{{msg.To, m.To}, {msg.Cc, m.Cc}} {
		if len(set.list) == 0 {
			continue
		}
		if err := set.put(set.list...); err != nil {
			return nil, host.Errorf(host.CodeInvalid, "a recipient's address cannot be used")
		}
	}
	if m.ReplyTo != "" {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, host.Errorf(host.CodeInvalid, "the address for replies cannot be used")
		}
	}
	subject := line(m.Subject)
	msg.Subject(subject)
	msg.SetMessageID()
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers of machines
	msg.SetBodyString(gomail.TypeTextPlain, strings.TrimRight(strings.ToValidUTF8(m.Text, "\uFFFD"), "\n")+"\n\n-- \n"+line(m.Footer)+"\n")
	if m.HTML == "" {
		return msg, nil
	}
	var body bytes.Buffer
	// The body went through the policy, so it is the HTML that it says it is.
	data := struct {
		Subject, Footer string
		Body            template.HTML
	}{subject, line(m.Footer), template.HTML(Sanitise(m.HTML))} //nolint:gosec // sanitised on this line
	if err := frame.Execute(&body, data); err != nil {
		return nil, host.Errorf(host.CodeInternal, "putting a message together: %w", err)
	}
	msg.AddAlternativeString(gomail.TypeTextHTML, body.String())
	return msg, nil
}
