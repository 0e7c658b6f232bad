// Package postgrestest starts a real PostgreSQL for tests: one server for each
// test binary, one database for each test. It is for tests alone.
package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/callboard-dev/callboard/host"
)

// shared is the test binary's server: the one thing that tests may share, as a
// start takes most of a second. It ends with the process (see watch).
var shared = sync.OnceValues(start)

// Database makes an empty database that is the test's own, and returns its URL.
// Its user owns it and may make roles, and is no superuser. Where PostgreSQL is
// not installed the test is skipped, or fails if CI is set.
func Database(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	if err != nil {
		t.Skipf("SKIPPED, as PostgreSQL cannot be started: %v", err)
	}
	name := host.NewID("test_")
	if err := s.admin("CREATE DATABASE " + name + " OWNER " + owner + " STRATEGY FILE_COPY"); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.admin("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("dropping a database: %v", err)
		}
	})
	return s.url(owner, name)
}

func (s *server) url(user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, s.password),
		Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// admin runs statements as the superuser.
func (s *server) admin(statements ...string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url(superuser, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
