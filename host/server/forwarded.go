package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Headers in which a proxy says for whom it asks, and how it was asked.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
)

// Forwarded is the ring that believes proxies, and nobody else. Of a request
// that one of the trusted addresses sends, RemoteAddr becomes the client's
// address, without a port, and X-Forwarded-Proto is http, https or gone.
// From anybody else the two headers are taken off, so that what is inside may
// read them.
func Forwarded(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sources, protos := r.Header[forwardedFor], r.Header[forwardedProto]
		if len(sources) == 0 && len(protos) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		told := *r
		told.Header = r.Header.Clone()
		told.Header.Del(forwardedFor)
		told.Header.Del(forwardedProto)
		if peer, ok := addressOf(r.RemoteAddr); ok && within(trusted, peer) {
			if proto := strings.ToLower(strings.Join(protos, ",")); proto == "http" || proto == "https" {
				told.Header.Set(forwardedProto, proto)
			}
			if client := clientOf(trusted, peer, sources); client != peer {
				told.RemoteAddr = client.String()
			}
		}
		next.ServeHTTP(w, &told)
	})
}

// clientOf follows a trail of proxies from the last one back, as far as they
// are trusted: what stands before the first stranger is that stranger's word.
func clientOf(trusted []netip.Prefix, peer netip.Addr, sources []string) netip.Addr {
	client := peer
	for _, source := range slices.Backward(strings.Split(strings.Join(sources, ","), ",")) {
		addr, ok := addressOf(strings.TrimSpace(source))
		if !ok {
			break
		}
		client = addr
		if !within(trusted, addr) {
			break
		}
	}
	return client
}

// addressOf reads an address, with or without a port.
func addressOf(text string) (netip.Addr, bool) {
	if name, _, err := net.SplitHostPort(text); err == nil {
		text = name
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
