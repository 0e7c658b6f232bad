package mail_test

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// smtpServer speaks enough of RFC 5321 and RFC 4954 to take messages.
type smtpServer struct {
	net.Listener
	mu       sync.Mutex
	messages []received
	// refuse answers commands that begin with a word: "RCPT" -> "550 no such user".
	refuse map[string]string
}

// received is one message with its envelope.
type received struct {
	from, data string
	to         []string
	user       string
}

func newSMTP(t *testing.T) *smtpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{Listener: l, refuse: map[string]string{}}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.talk(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return s
}

func (s *smtpServer) talk(c net.Conn) {
	defer c.Close()
	r := textproto.NewReader(bufio.NewReader(c))
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 mail.test ESMTP")
	var m received
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		s.mu.Lock()
		answer := s.refuse[verb]
		s.mu.Unlock()
		if answer != "" {
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-mail.test")
			say("250 AUTH PLAIN")
		case "AUTH":
			m.user = rest
			say("235 welcome")
		case "MAIL":
			m.from, m.to = rest, nil
			say("250 ok")
		case "RCPT":
			m.to = append(m.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			lines, err := r.ReadDotLines()
			if err != nil {
				return
			}
			m.data = strings.Join(lines, "\n")
			s.mu.Lock()
			s.messages = append(s.messages, m)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *smtpServer) taken() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}
