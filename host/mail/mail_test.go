package mail_test

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/mail"
)

func sender(t *testing.T, s *smtpServer, user string) *mail.Sender {
	t.Helper()
	out, err := mail.New(mail.Settings{Server: s.Addr().String(), From: "portal@example.com", TLS: mail.TLSNone, Username: user, Password: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parts returns the bodies of a message by their media types.
func parts(t *testing.T, m *netmail.Message) map[string]string {
	t.Helper()
	out := map[string]string{}
	read := func(contentType, encoding string, r io.Reader) {
		if strings.EqualFold(encoding, "quoted-printable") {
			r = quotedprintable.NewReader(r)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		media, _, _ := mime.ParseMediaType(contentType)
		out[media] = string(body)
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(media, "multipart/") {
		read(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return out
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err != nil {
			return out
		}
		read(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p)
	}
}

func TestSend(t *testing.T) {
	s := newSMTP(t)
	id, err := sender(t, s, "robot").Send(t.Context(), mail.Message{
		To: []string{"ann@acme.test"}, Cc: []string{"bob@acme.test"}, ReplyTo: "team@acme.test", Subject: "Grüße\r\nBcc: eve@evil.test", Text: "Hello ✓\n.\n",
		HTML:   `<p onclick="x()">Hi <script>alert(1)</script><a href="javascript:x()">a</a> <a href="https://ok.test">b</a></p><img src="http://spy.test/x.gif"><img src="https://ok.test/y.png"><form action="https://evil.test"><input name=a></form><style>p{}</style>`,
		Sender: "Deploy \"board\"\r\nX-Evil: 1", Footer: "Sent by acme/board.",
	})
	if err != nil || id == "" {
		t.Fatal(id, err)
	}
	got := s.taken()
	if len(got) != 1 || !strings.Contains(got[0].from, "portal@example.com") || len(got[0].to) != 2 || !strings.HasPrefix(got[0].user, "PLAIN ") {
		t.Fatalf("%+v", got)
	}
	m, err := netmail.ReadMessage(strings.NewReader(got[0].data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Grüße Bcc: eve@evil.test" || m.Header.Get("Bcc") != "" || m.Header.Get("X-Evil") != "" {
		t.Errorf("%q %v", subject, m.Header)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(m.Header.Get("Reply-To"), "team@acme.test") || !strings.Contains(m.Header.Get("Message-Id"), id) {
		t.Errorf("%v", m.Header)
	}
	bodies := parts(t, m)
	if text := bodies["text/plain"]; !strings.HasPrefix(text, "Hello ✓") || !strings.Contains(text, "Sent by acme/board.") {
		t.Errorf("%q", text)
	}
	html := bodies["text/html"]
	for _, evil := range []string{"script", "onclick", "javascript", "spy.test", "<form", "<input", "p{}"} {
		if strings.Contains(html, evil) {
			t.Errorf("%s is in %s", evil, html)
		}
	}
	for _, good := range []string{`href="https://ok.test"`, `src="https://ok.test/y.png"`, "Sent by acme/board.", "<title>Grüße Bcc: eve@evil.test</title>"} {
		if !strings.Contains(html, good) {
			t.Errorf("%s is not in %s", good, html)
		}
	}
}

func TestTextAlone(t *testing.T) {
	s := newSMTP(t)
	if _, err := sender(t, s, "").Send(t.Context(), mail.Message{To: []string{"ann@acme.test"}, Subject: "s", Text: "t", Sender: "x", Footer: "f"}); err != nil {
		t.Fatal(err)
	}
	m, err := netmail.ReadMessage(strings.NewReader(s.taken()[0].data))
	if err != nil {
		t.Fatal(err)
	}
	if bodies := parts(t, m); len(bodies) != 1 || bodies["text/plain"] == "" || s.taken()[0].user != "" {
		t.Errorf("%q", bodies)
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		verb, answer string
		code         host.Code
		permanent    bool
	}{
		"NoSuchUser":    {"RCPT", "550 5.1.1 no such user ann@acme.test", host.CodeUpstream, true},
		"MailboxBusy":   {"RCPT", "450 4.2.1 try later", host.CodeUpstream, false},
		"Refused":       {"DATA", "554 5.7.1 spam", host.CodeUpstream, true},
		"ServerDown":    {"MAIL", "421 4.3.2 shutting down", host.CodeUpstream, false},
		"WrongPassword": {"AUTH", "535 5.7.8 hunter2 is wrong", host.CodeUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTP(t)
			s.refuse[c.verb] = c.answer
			_, err := sender(t, s, "robot").Send(t.Context(), mail.Message{To: []string{"ann@acme.test"}, Subject: "s", Text: "t", Sender: "x"})
			if host.CodeOf(err) != c.code || host.Permanent(err) != c.permanent {
				t.Errorf("%v (%s), permanent %v", err, host.CodeOf(err), host.Permanent(err))
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "acme.test") {
				t.Errorf("the message tells too much: %v", err)
			}
		})
	}
	t.Run("Unreachable", func(t *testing.T) {
		s := newSMTP(t)
		out := sender(t, s, "")
		_ = s.Close()
		if _, err := out.Send(t.Context(), mail.Message{To: []string{"ann@acme.test"}, Subject: "s", Text: "t"}); host.CodeOf(err) != host.CodeUnavailable {
			t.Error(err)
		}
	})
	t.Run("NeverWithoutEncryption", func(t *testing.T) {
		s := newSMTP(t) // it knows no STARTTLS
		out, err := mail.New(mail.Settings{Server: s.Addr().String(), From: "portal@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Send(t.Context(), mail.Message{To: []string{"ann@acme.test"}, Subject: "s", Text: "t"}); err == nil || len(s.taken()) != 0 {
			t.Error("the message went out unencrypted", err)
		}
	})
	t.Run("BadAddress", func(t *testing.T) {
		if _, err := sender(t, newSMTP(t), "").Send(t.Context(), mail.Message{To: []string{"nobody"}, Subject: "s", Text: "t"}); host.CodeOf(err) != host.CodeInvalid {
			t.Error(err)
		}
	})
}

func TestSettings(t *testing.T) {
	for name, s := range map[string]mail.Settings{
		"NoSender":  {Server: "mail.test", From: ""},
		"NamedFrom": {Server: "mail.test", From: "Portal <portal@example.com>"},
		"NoServer":  {From: "portal@example.com"},
		"OddPort":   {Server: "mail.test:smtp", From: "portal@example.com"},
		"OddTLS":    {Server: "mail.test", From: "portal@example.com", TLS: "maybe"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := mail.New(s); host.CodeOf(err) != host.CodeInvalid || host.AsError(err).Hint == "" {
				t.Error(err)
			}
		})
	}
	for _, tls := range []string{mail.TLSFull, mail.TLSStart, mail.TLSNone, ""} {
		if _, err := mail.New(mail.Settings{Server: "mail.test", From: "portal@example.com", TLS: tls}); err != nil {
			t.Error(tls, err)
		}
	}
}
