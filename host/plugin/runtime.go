package plugin

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/callboard-dev/callboard/host"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Runtime turns a release's code into something that can be called. Compile
// may take seconds where nothing is cached; it never runs guest code.
type Runtime interface {
	// Check looks at the code without compiling it: its form, what it imports
	// and exports. It takes milliseconds.
	Check(code []byte) error
	// Compile compiles the code or loads what an earlier Compile left on disk.
	// Digest names the code and is the key of the cache.
	Compile(ctx context.Context, digest string, code []byte) (Module, error)
	// Cached reports whether Compile would find its work done on disk.
	Cached(digest string) bool
	// Forget removes what is cached for the digest.
	Forget(digest string) error
	// Close frees what the runtime holds. Modules are closed before.
	Close(ctx context.Context) error
}

// Module is compiled code. It is safe for concurrent use; every Call runs in a
// sandbox of its own in which nothing of another call is left.
type Module interface {
	// Call hands in to the guest and returns what it answers. It returns when
	// lim.Timeout is over, at the latest, whatever the guest does. Failures
	// are *host.Error of the CodePlugin... codes.
	Call(ctx context.Context, in []byte, lim Limits, host HostFunc) (out []byte, err error)
	// Close frees the code. Calls that still run finish first.
	Close(ctx context.Context) error
}

// HostFunc answers a guest's call of a host service.
type HostFunc func(ctx context.Context, call pluginv1.HostCall) pluginv1.Result

// Limits is what one call may use at most.
type Limits struct {
	Timeout time.Duration
	// Memory is the sum of the sandbox's linear memories, in bytes.
	Memory int64
	// Output is the size of the answer, in bytes.
	Output int64
	// Input is the size of the call, in bytes.
	Input int64
	// HostCalls is how many calls of host services one call may make.
	HostCalls int64
	// Log receives what the guest writes to its standard output and error;
	// nil drops it. At most LogBytes of it are kept.
	Log      func(stream string, text []byte)
	LogBytes int
}

// Service answers the calls of one host service, for example "http/v1". Body
// is the request of the service's schema; the answer is marshalled to JSON.
// Failures are *host.Error or *pluginv1.Error.
type Service interface {
	Serve(ctx context.Context, s *Session, method string, body json.RawMessage) (any, error)
}

// ServiceSet maps the name of a host service to what answers it.
type ServiceSet map[string]Service

// Session is one call of a guest, as host services see it: for whom, by which
// instance, and what it has used up so far.
type Session struct {
	Caller   host.Caller
	Instance *Instance

	secret func(ctx context.Context, name string) (string, error)
	mu     sync.Mutex
	spent  map[string]int64
}

// NewSession returns a session; secret opens the instance's secrets by name
// and may be nil.
func NewSession(c host.Caller, in *Instance, secret func(ctx context.Context, name string) (string, error)) *Session {
	return &Session{Caller: c, Instance: in, secret: secret, spent: map[string]int64{}}
}

// Secret returns the value of one of the instance's secrets, empty if it has
// none. It is for host services only and must not reach the guest.
func (s *Session) Secret(ctx context.Context, name string) (string, error) {
	if s.secret == nil {
		return "", nil
	}
	return s.secret(ctx, name)
}

// Spend adds n to what the call has used of a budget and returns the sum.
func (s *Session) Spend(budget string, n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[budget] += n
	return s.spent[budget]
}
