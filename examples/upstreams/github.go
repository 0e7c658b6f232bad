package upstreams

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// github simulates GitHub's REST API. What it remembers is what a client
// changed: re-runs, and the requests of the current hour.
type github struct {
	Settings

	mu     sync.Mutex
	reruns map[int64]rerun
	spent  map[string]int // by token
	window time.Time      // the hour that spent counts
}

// GitHub simulates the Actions part of GitHub's REST API: workflow runs, jobs,
// logs, re-run, rate limit. It pages with Link headers, answers 304 to a
// matching ETag without spending the rate limit, and answers 403 with the
// limit's headers once the hour's requests are used up. Any owner/name has
// runs; the token "bad" is refused, and writing needs a token.
func GitHub(s Settings) http.Handler {
	g := &github{Settings: s.withDefaults(), reruns: map[int64]rerun{}, spent: map[string]int{}}
	mux := http.NewServeMux()
	const repo = "/repos/{owner}/{repo}"
	mux.HandleFunc("GET /rate_limit", g.rateLimit)
	mux.HandleFunc("GET "+repo, g.counted(g.repository))
	mux.HandleFunc("GET "+repo+"/actions/runs", g.counted(g.listRuns))
	mux.HandleFunc("GET "+repo+"/actions/runs/{run}", g.counted(g.getRun))
	mux.HandleFunc("GET "+repo+"/actions/runs/{run}/jobs", g.counted(g.listJobs))
	mux.HandleFunc("GET "+repo+"/actions/jobs/{job}/logs", g.counted(g.jobLogs))
	mux.HandleFunc("POST "+repo+"/actions/runs/{run}/rerun", g.counted(g.rerunAll))
	mux.HandleFunc("POST "+repo+"/actions/runs/{run}/rerun-failed-jobs", g.counted(g.rerunAll))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { githubError(w, http.StatusNotFound, "Not Found") })
	return label("GitHub", mux)
}

// answer is what a handler of the simulator returns: a status and a body.
type answer struct {
	status int
	body   any
	header http.Header
}

// counted wraps a handler with authentication, the rate limit and conditional
// requests.
func (g *github) counted(next func(*http.Request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
		if token == "bad" {
			githubError(w, http.StatusUnauthorized, "Bad credentials")
			return
		}
		if r.Method != http.MethodGet && token == "" {
			githubError(w, http.StatusForbidden, "Must have admin rights to Repository.")
			return
		}
		left := g.left(token)
		if left <= 0 {
			g.limitHeaders(w.Header(), 0)
			githubError(w, http.StatusForbidden, "API rate limit exceeded for the simulated account.")
			return
		}
		a := next(r)
		tag := etag(a)
		for k, v := range a.header {
			w.Header()[k] = v
		}
		w.Header().Set("X-GitHub-Media-Type", "github.v3; format=json")
		if r.Method == http.MethodGet && a.status == http.StatusOK {
			w.Header().Set("ETag", tag)
			w.Header().Set("Cache-Control", "private, max-age=60, s-maxage=60")
			if matches(r.Header.Get("If-None-Match"), tag) {
				g.limitHeaders(w.Header(), left)
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		g.limitHeaders(w.Header(), g.spend(token))
		if text, ok := a.body.(string); ok {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(a.status)
			_, _ = w.Write([]byte(text))
			return
		}
		writeJSON(w, a.status, a.body)
	}
}

func etag(a answer) string {
	return fmt.Sprintf("W/\"%x\"", sha256.Sum256(fmt.Append(nil, a.body)))
}

// matches reports whether an If-None-Match header names the tag.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// left is how many requests the token has in this hour.
func (g *github) left(token string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if hour := g.Now().Truncate(time.Hour); !hour.Equal(g.window) {
		g.window = hour
		clear(g.spent)
	}
	return g.RateLimit - g.spent[token]
}

// spend takes one request and returns what is left.
func (g *github) spend(token string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent[token]++
	return max(0, g.RateLimit-g.spent[token])
}

func (g *github) limitHeaders(h http.Header, left int) {
	reset := g.Now().Truncate(time.Hour).Add(time.Hour)
	h.Set("X-RateLimit-Limit", strconv.Itoa(g.RateLimit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Used", strconv.Itoa(g.RateLimit-left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}

func (g *github) rateLimit(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	left := max(0, g.left(token))
	g.limitHeaders(w.Header(), left)
	core := map[string]any{"limit": g.RateLimit, "remaining": left, "used": g.RateLimit - left,
		"reset": g.Now().Truncate(time.Hour).Add(time.Hour).Unix()}
	writeJSON(w, http.StatusOK, map[string]any{"resources": map[string]any{"core": core}, "rate": core})
}

func githubError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

func notFound() answer {
	return answer{status: http.StatusNotFound, body: map[string]string{
		"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}}
}

func (g *github) repository(r *http.Request) answer {
	return answer{status: http.StatusOK, body: g.repo(r)}
}

func (g *github) repo(r *http.Request) map[string]any {
	owner, name := r.PathValue("owner"), r.PathValue("repo")
	full := owner + "/" + name
	return map[string]any{"id": int64(g.number(full) % 1e9), "name": name, "full_name": full, "private": false,
		"html_url": "https://github.com/" + full, "url": origin(r) + "/repos/" + full, "default_branch": "main", "owner": user(owner)}
}

func user(login string) map[string]any {
	return map[string]any{"login": login, "html_url": "https://github.com/" + login, "type": "User", "site_admin": false}
}

// origin is the simulator's own address as the client sees it.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
