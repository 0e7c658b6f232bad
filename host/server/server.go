// Package server runs the portal's two listeners: the main one for people and
// programs, and the ops one for operators, which is not for the public. It
// starts them, keeps time limits on every connection, and stops them without
// dropping work. What is served comes from outside; this room knows no routes
// but those of the ops listener.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Settings are what Run needs.
type Settings struct {
	// Main serves Listen. It is expected to carry its own rings (tracing,
	// Recover, routes).
	Main   http.Handler
	Listen string
	// OpsListen is the address of the ops listener; empty runs none.
	OpsListen string
	// Ring goes around the ops listener's routes, as the caller's own rings go
	// around Main; nil adds none.
	Ring func(http.Handler) http.Handler
	// Metrics answers GET /metrics of the ops listener.
	Metrics http.Handler
	// Ready says whether work can be done now: nil, or what is missing. It is
	// asked at each GET /readyz and must answer fast.
	Ready func(context.Context) error
	Log   *slog.Logger
	// Listening is told the addresses once both listeners accept.
	Listening func(main, ops net.Addr)
	// DrainFor is how long answers under way may take once a stop was asked
	// for; 0 means 25 s, which leaves 5 s of the promised 30 for the rest.
	DrainFor time.Duration
	// LingerFor keeps accepting after /readyz turned 503, so that a load
	// balancer can look away first; 0 does not wait.
	LingerFor time.Duration
}

// Limits of every connection. Bodies and answers of a plugin's operation and
// uploads of a package fit within them; a slow client does not keep a
// connection for ever.
const (
	readHeaderWithin = 10 * time.Second
	readWithin       = 2 * time.Minute
	writeWithin      = 3 * time.Minute
	idleFor          = 2 * time.Minute
	maxHeaderBytes   = 64 << 10
)

// Run listens and serves until ctx ends, then stops: /readyz turns 503, no new
// connection is taken, answers under way get DrainFor. It returns nil after a
// stop that was asked for, and the reason where it could not start or go on.
func Run(ctx context.Context, s Settings) error {
	s = s.withDefaults()
	main, err := listen(s.Listen, "--listen")
	if err != nil {
		return err
	}
	var draining atomic.Bool
	servers := []*http.Server{newServer(s.Main, s.Log)}
	listeners := []net.Listener{main}
	var opsAddr net.Addr
	if s.OpsListen != "" {
		ops, err := listen(s.OpsListen, "--ops-listen")
		if err != nil {
			_ = main.Close()
			return err
		}
		servers = append(servers, newServer(s.Ring(opsHandler(s, &draining)), s.Log))
		listeners = append(listeners, ops)
		opsAddr = ops.Addr()
	}
	failed := make(chan error, len(servers))
	for i, srv := range servers {
		go func() { failed <- srv.Serve(listeners[i]) }()
	}
	if s.Listening != nil {
		s.Listening(main.Addr(), opsAddr)
	}
	select {
	case err := <-failed:
		for _, srv := range servers {
			_ = srv.Close()
		}
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	draining.Store(true)
	drain(servers, s)
	return nil
}

// drain stops the main listener first and the ops listener last, so that an
// operator can watch.
func drain(servers []*http.Server, s Settings) {
	if s.LingerFor > 0 {
		time.Sleep(s.LingerFor)
	}
	s.Log.Info("stopping: no new work is taken", "drainFor", s.DrainFor)
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainFor)
	defer cancel()
	for _, srv := range servers {
		err := srv.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			s.Log.Warn("stopping: some answers took too long and were cut off")
			_ = srv.Close()
		}
	}
}

func (s Settings) withDefaults() Settings {
	if s.DrainFor <= 0 {
		s.DrainFor = 25 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Ring == nil {
		s.Ring = func(h http.Handler) http.Handler { return h }
	}
	if s.Ready == nil {
		s.Ready = func(context.Context) error { return nil }
	}
	return s
}

// newServer puts the limits around h.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderWithin, ReadTimeout: readWithin,
		WriteTimeout: writeWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// listen opens one address and says which flag it came from where it cannot.
func listen(addr, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w (choose another address with %s)", addr, err, flag)
	}
	return l, nil
}
