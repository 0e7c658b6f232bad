// Package mail sends messages through the operator's mail server (SMTP). It
// composes what is sent: the sender is the operator's, HTML is sanitised, and a
// frame says who speaks. Who may write to whom is decided before, by those who
// send.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/callboard-dev/callboard/host"
)

// How the connection to the server is encrypted.
const (
	TLSStart = "starttls" // plain first, then encrypted; never without
	TLSFull  = "tls"      // encrypted from the start
	TLSNone  = "none"     // not at all, for a server on the same machine
)

// Settings of a Sender.
type Settings struct {
	// Server is "host" or "host:port"; without a port it is that of TLS.
	Server string
	// From is the address of the sender, for example "portal@example.com".
	From string
	// Username and Password sign in; both are empty where the server wants none.
	Username, Password string
	// TLS is one of the constants above; starttls if empty.
	TLS string
	// Timeout bounds one message, 15 s.
	Timeout time.Duration
}

// Message is one message.
type Message struct {
	To, Cc  []string // addresses alone, without names
	ReplyTo string
	Subject string
	// Text is the plain form; HTML may be empty, and is sanitised.
	Text, HTML string
	// Sender is who speaks, for example "Deploy board"; Footer says it at the end.
	Sender, Footer string
}

// Sender sends messages. It may be used by any number of goroutines.
type Sender struct {
	settings Settings
	host     string
	options  []gomail.Option
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a Sender, or what is wrong with its settings.
func New(s Settings) (*Sender, error) {
	if s.TLS == "" {
		s.TLS = TLSStart
	}
	if s.Timeout <= 0 {
		s.Timeout = 15 * time.Second
	}
	if a, err := netmail.ParseAddress(s.From); err != nil || a.Address != s.From {
		return nil, host.Errorf(host.CodeInvalid, "the sender of mail is %q, which is not an address", s.From).WithHint("set mail.from, for example portal@example.com")
	}
	name, text, err := net.SplitHostPort(s.Server)
	if err != nil {
		name, text = s.Server, map[string]string{TLSStart: "587", TLSFull: "465", TLSNone: "25"}[s.TLS]
	}
	port, err := strconv.Atoi(text)
	if err != nil || name == "" || port < 1 || port > 65535 {
		return nil, host.Errorf(host.CodeInvalid, "the mail server is %q", s.Server).WithHint("set mail.host to host or host:port; mail.tls is starttls, tls or none")
	}
	out := &Sender{settings: s, host: name, dial: (&net.Dialer{}).DialContext, options: []gomail.Option{gomail.WithPort(port), gomail.WithTimeout(s.Timeout)}}
	switch s.TLS {
	case TLSFull:
		out.options = append(out.options, gomail.WithSSL())
		out.dial = (&tls.Dialer{Config: &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}}).DialContext
	case TLSNone:
		out.options = append(out.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		out.options = append(out.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if s.TLS == TLSNone {
			auth = gomail.SMTPAuthPlainNoEnc
		}
		out.options = append(out.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return out, nil
}

// Send hands a message to the server and returns its id. Failures are
// *host.Error: retryable where the server asks to try again or cannot be
// reached, permanent where it refuses the message.
func (s *Sender) Send(ctx context.Context, m Message) (id string, err error) {
	msg, err := s.compose(m)
	if err != nil {
		return "", err
	}
	// The library leaves a connection open on which signing in failed.
	var conn net.Conn
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := s.dial(ctx, network, address)
		conn = c
		return c, err
	}
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithDialContextFunc(dial))...)
	if err != nil {
		return "", fmt.Errorf("preparing to send mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.Timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return "", failure(err)
	}
	return strings.Trim(msg.GetMessageID(), "<>"), nil
}

// failure types what went wrong. The server's words stay in the log: they may
// name other people's addresses, and the portal's account.
func failure(err error) error {
	var sent *gomail.SendError
	if !errors.As(err, &sent) {
		e := host.Errorf(host.CodeUnavailable, "the portal's mail server cannot be reached").WithHint("the operator finds the reason in the portal's log")
		e.Err, e.RetryAfter = err, time.Minute
		return e
	}
	if code := sent.ErrorCode(); code >= 500 && !sent.IsTemp() {
		e := host.Errorf(host.CodeUpstream, "the portal's mail server refuses the message (%d)", code).WithHint("check the recipients' addresses")
		no := false
		e.Err, e.Retryable = err, &no
		return e
	}
	e := host.Errorf(host.CodeUpstream, "the portal's mail server does not take the message now")
	e.Err, e.RetryAfter = err, time.Minute
	return e
}
