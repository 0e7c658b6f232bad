package service

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/callboard-dev/callboard/host"
)

// local are the ranges that a grant opens with private: true.
var local = prefixes(
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // private
	"127.0.0.0/8", "::1/128", // loopback
	"169.254.0.0/16", "fe80::/10", // link-local
	"100.64.0.0/10",         // carrier-grade NAT
	"fc00::/7", "fec0::/10", // unique local, site-local
)

// never are ranges that no grant opens: nothing that answers HTTP lives there,
// or it hands out the machine's own credentials.
var never = prefixes(
	"0.0.0.0/8", "::/128", // this host
	"169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "fd00:ec2::254/128", // cloud metadata
	"192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20", // special and documentation
	"192.88.99.0/24", "2001::/23", // relays of 6to4, Teredo and other protocols
	"100::/32",                // discarded
	"224.0.0.0/4", "ff00::/8", // multicast
	"240.0.0.0/4", // reserved, broadcast
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// nat64 is for translators of one network: where in it the IPv4 address is
// depends on that network, mostly at the end.
var nat64 = netip.MustParsePrefix("64:ff9b:1::/48")

// embedded are IPv6 ranges that stand for IPv4 addresses, with the byte at
// which the IPv4 address begins.
var embedded = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{nat64, 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
}

// inner returns the IPv4 address that an IPv6 address stands for.
func inner(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || a.IsLoopback() {
		return netip.Addr{}, false
	}
	b := a.As16()
	for _, e := range embedded {
		if e.prefix.Contains(a) {
			return netip.AddrFrom4([4]byte(b[e.at : e.at+4])), true
		}
	}
	// ISATAP has it behind any network.
	if b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	return netip.Addr{}, false
}

// checkAddress refuses addresses that a request may not reach.
func checkAddress(a netip.Addr, private bool) error {
	a = a.Unmap().WithZone("")
	if within(a, never) {
		return refused(a, "it is not an address of a server")
	}
	if b := a.As16(); nat64.Contains(a) && b[13] == 0 && b[14] == 0 && b[15] == 0 {
		return refused(a, "it stands for another address, and there is no telling which")
	}
	if !private && within(a, local) {
		return refused(a, "it is in a private or local range")
	}
	if v4, ok := inner(a); ok {
		return checkAddress(v4, private)
	}
	return nil
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func refused(a netip.Addr, why string) error {
	return host.Errorf(host.CodeNotGranted, "the address %s may not be called: %s", a, why).
		WithHint("an admin can grant the host with private: true where the manifest asks for it")
}

// resolver looks up the addresses of a name.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialer connects to addresses that it has checked itself, so that a name
// cannot resolve to one thing for the check and to another for the connection.
type dialer struct {
	resolver resolver
	private  bool
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		// One bad address spoils the name: which one is dialled must not be
		// up to whoever controls the name.
		if err := checkAddress(a, d.private); err != nil {
			return nil, err
		}
	}
	plain := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	var last error
	for _, a := range addrs {
		conn, err := plain.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

func (d *dialer) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no addresses", name)
	}
	return addrs, nil
}
