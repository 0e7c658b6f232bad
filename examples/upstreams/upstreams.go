// Package upstreams simulates the servers that plugins talk to, so that the
// demo tenant and the tests are alive without a network: Prometheus's HTTP API
// and the Actions part of GitHub's REST API. The same seed and the same clock
// give the same answers; every answer carries the header Callboard-Simulator,
// so that nobody takes it for the real thing. It is not a test double of the
// protocols' every corner: what a plugin must survive is tested against the
// real servers and their published examples.
package upstreams

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"
	"time"
)

// HeaderSimulator is on every answer; its value names the simulated product.
const HeaderSimulator = "Callboard-Simulator"

// Settings are what a simulator needs. The zero value is usable.
type Settings struct {
	// Seed changes every figure; the same seed gives the same figures.
	Seed string
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Services are the names that alerts and label values are about, for
	// example the names of the catalog's components.
	Services []string
	// RateLimit is how many requests GitHub allows in an hour; 0 means 5000.
	RateLimit int
}

func (s Settings) withDefaults() Settings {
	if s.Now == nil {
		s.Now = time.Now
	}
	if len(s.Services) == 0 {
		s.Services = []string{"petstore", "artist-web", "playback-order"}
	}
	if s.RateLimit == 0 {
		s.RateLimit = 5000
	}
	return s
}

// chance is a figure in [0, 1) that belongs to the seed and the words.
func (s Settings) chance(words ...string) float64 {
	return float64(s.number(words...)>>11) / (1 << 53)
}

// number is a figure that belongs to the seed and the words.
func (s Settings) number(words ...string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s.Seed))
	for _, w := range words {
		h.Write([]byte{0})
		h.Write([]byte(w))
	}
	// FNV leaves the high bits of short words alike; one round of mixing spreads them.
	n := h.Sum64()
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// pick is the choice of the list that belongs to the seed and the words.
func (s Settings) pick(list []string, words ...string) string {
	return list[s.number(words...)%uint64(len(list))]
}

// writeJSON answers with v. Simulated answers are plain maps and structs, so
// that encoding cannot fail.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// label names the simulator on every answer of next.
func label(product string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(HeaderSimulator, product)
		w.Header().Set("Server", "callboard-simulator/"+strings.ToLower(product))
		next.ServeHTTP(w, r)
	})
}
