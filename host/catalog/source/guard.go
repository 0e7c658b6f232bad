package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// guard sends requests to public addresses, and to the hosts that an operator
// allowed wherever they are. The address is checked when it is dialled, so a
// name that changes its address in between gains nothing; redirects pass
// through here too. Environment proxies are not used: they would dial for us.
type guard struct {
	allow           []Allow
	public, private *http.Transport
}

func newGuard(allow []Allow) *guard {
	return &guard{allow: allow, public: newTransport(refusePrivate), private: newTransport(nil)}
}

func newTransport(control func(network, address string, c syscall.RawConn) error) *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}
	return &http.Transport{
		DialContext: d.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
		MaxIdleConns: 20, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// errPrivate is why a dial was refused.
var errPrivate = errors.New("the address is private")

func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errPrivate, address)
	}
	if !isPublic(ap.Addr()) {
		return fmt.Errorf("%w: %s", errPrivate, ap.Addr())
	}
	return nil
}

// reserved are ranges that are no place in the Internet, beside those that
// package netip knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("::ffff:0:0:0/96"),
}

// isPublic reports whether an address belongs to the public Internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	// ISATAP carries an IPv4 address behind any network.
	if b := a.As16(); a.Is6() && b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return false
	}
	return !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, host.Errorf(host.CodeForbidden, "the scheme %q is not read", r.URL.Scheme).WithHint("use http or https")
	}
	if allows(g.allow, r.URL) {
		return g.private.RoundTrip(r)
	}
	resp, err := g.public.RoundTrip(r)
	if errors.Is(err, errPrivate) {
		return nil, host.Errorf(host.CodeForbidden, "%s has a private address, which the catalog may not read", r.URL.Host).
			WithHint("ask the operator to add %s to backend.reading.allow", authority(r.URL))
	}
	return resp, err
}

// authority returns host:port of a URL.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port)
}

// allows reports whether an entry of the list is for exactly this host, port
// and path.
func allows(list []Allow, u *url.URL) bool {
	for _, a := range list {
		want := strings.ToLower(a.Host)
		if _, _, err := net.SplitHostPort(want); err != nil {
			want = authority(&url.URL{Scheme: u.Scheme, Host: want})
		}
		have := authority(u)
		if rest, wild := strings.CutPrefix(want, "*."); wild {
			_, parent, _ := strings.Cut(have, ".")
			if parent != rest && !strings.HasSuffix(have, "."+rest) {
				continue
			}
		} else if want != have {
			continue
		}
		if len(a.Paths) == 0 || slices.ContainsFunc(a.Paths, func(p string) bool { return strings.HasPrefix(u.EscapedPath(), p) }) && !strings.Contains(u.Path, "..") {
			return true
		}
	}
	return false
}

// sameScheme refuses redirects that go round in circles or give up encryption.
func sameScheme(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return host.Errorf(host.CodeUpstream, "the address redirects more than 5 times").WithHint("use the address that it leads to")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return host.Errorf(host.CodeForbidden, "the address redirects from https to %s", r.URL.Scheme).WithHint("use an address that stays on https")
	}
	return nil
}

// agent names the portal to servers.
type agent struct {
	next http.RoundTripper
	name string
}

// RoundTrip implements http.RoundTripper.
func (a agent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", a.name)
	return a.next.RoundTrip(r)
}

// limited ends answers that are longer than a limit.
type limited struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: l.limit}
	}
	return resp, err
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLargeRepository()
	}
	return n, err
}

func tooLargeRepository() *host.Error {
	return host.Errorf(host.CodeTooLarge, "the repository is larger than the catalog reads").
		WithHint("use the URL of the raw file instead, or keep catalog files in a repository of their own")
}

// upstream explains why a server could not be asked.
func upstream(ctx context.Context, what string, err error) error {
	var he *host.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &he):
		return he
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		he = host.Errorf(host.CodeUpstream, "%s did not answer in time", what).WithHint("try again later; check that the server is up")
	case errors.As(err, &dns):
		he = host.Errorf(host.CodeUpstream, "the host name of %s is not known", what).WithHint("check its spelling and the portal's DNS")
	default:
		he = host.Errorf(host.CodeUpstream, "%s could not be reached: %v", what, withoutURL(err)).WithHint("check that the portal's machine can reach the server")
	}
	he.Err = err
	return he
}

// withoutURL drops the URL that net/http puts before its errors.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
