package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/callboard-dev/callboard/host/server"
)

func TestForwarded(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")}
	const proxy, stranger = "10.1.2.3:4711", "203.0.113.9:4711"
	for name, tt := range map[string]struct {
		trusted     []netip.Prefix
		peer        string
		sources     []string
		protos      []string
		addr, proto string
	}{
		"NothingSaid":            {proxies, proxy, nil, nil, proxy, ""},
		"StrangerIsNotBelieved":  {proxies, stranger, []string{"198.51.100.7"}, []string{"https"}, stranger, ""},
		"NobodyIsTrusted":        {nil, proxy, []string{"198.51.100.7"}, []string{"https"}, proxy, ""},
		"NoAddress":              {proxies, "@", []string{"198.51.100.7"}, []string{"https"}, "@", ""},
		"ProxyIsBelieved":        {proxies, proxy, []string{"198.51.100.7"}, []string{"https"}, "198.51.100.7", "https"},
		"ProxyWithoutAddress":    {proxies, proxy, nil, []string{"HTTPS"}, proxy, "https"},
		"ClientMadeSomethingUp":  {proxies, proxy, []string{"192.0.2.1, 198.51.100.7"}, nil, "198.51.100.7", ""},
		"ClientMadeUpAProxy":     {proxies, proxy, []string{"10.9.9.9, 198.51.100.7"}, nil, "198.51.100.7", ""},
		"TwoProxies":             {proxies, proxy, []string{"192.0.2.1, 198.51.100.7, 10.0.0.1"}, nil, "198.51.100.7", ""},
		"TwoHeaders":             {proxies, proxy, []string{"192.0.2.1", "198.51.100.7"}, nil, "198.51.100.7", ""},
		"OnlyProxies":            {proxies, proxy, []string{"10.0.0.2, 10.0.0.1"}, nil, "10.0.0.2", ""},
		"Nonsense":               {proxies, proxy, []string{"unknown"}, []string{"gopher"}, proxy, ""},
		"NonsenseBeforeAProxy":   {proxies, proxy, []string{"unknown, 10.0.0.1"}, nil, "10.0.0.1", ""},
		"Port":                   {proxies, proxy, []string{"198.51.100.7:99"}, nil, "198.51.100.7", ""},
		"IPv6":                   {proxies, "[fd00::1]:80", []string{"2001:db8::7"}, []string{"http"}, "2001:db8::7", "http"},
		"IPv6InBrackets":         {proxies, proxy, []string{"[2001:db8::7]:443"}, nil, "2001:db8::7", ""},
		"IPv4WithinIPv6":         {proxies, "[::ffff:10.1.2.3]:80", []string{"::ffff:198.51.100.7"}, []string{"https"}, "198.51.100.7", "https"},
		"TwoProtocolsAreNone":    {proxies, proxy, nil, []string{"https", "http"}, proxy, ""},
		"ListOfProtocolsIsNone":  {proxies, proxy, nil, []string{"https, http"}, proxy, ""},
		"OtherIPv6IsNotBelieved": {proxies, "[fd00::2]:80", []string{"198.51.100.7"}, []string{"https"}, "[fd00::2]:80", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			for _, v := range tt.sources {
				r.Header.Add("X-Forwarded-For", v)
			}
			for _, v := range tt.protos {
				r.Header.Add("X-Forwarded-Proto", v)
			}
			asked := false
			next := http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
				asked = true
				if got.RemoteAddr != tt.addr || got.Header.Get("X-Forwarded-Proto") != tt.proto || got.Header.Get("X-Forwarded-For") != "" {
					t.Errorf("inside it comes from %q, by %q, with %q", got.RemoteAddr, got.Header.Get("X-Forwarded-Proto"), got.Header["X-Forwarded-For"])
				}
			})
			server.Forwarded(tt.trusted, next).ServeHTTP(httptest.NewRecorder(), r)
			if !asked || r.RemoteAddr != tt.peer || len(r.Header.Values("X-Forwarded-For")) != len(tt.sources) {
				t.Errorf("asked %t; outside it is %s %v", asked, r.RemoteAddr, r.Header)
			}
		})
	}
}
