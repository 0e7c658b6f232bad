package postgresstore

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callboard-dev/callboard/host"
)

func TestExplainOfSQLSTATE(t *testing.T) {
	drv, err := New(Settings{URL: "postgres://localhost/x"})
	if err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]host.Code{
		"23505": host.CodeConflict, "25006": host.CodeInternal, "42501": host.CodeInternal, "54000": host.CodeTooLarge,
		"28P01": host.CodeUnavailable, "53100": host.CodeUnavailable, "53300": host.CodeUnavailable, "57P01": host.CodeUnavailable,
		"57P03": host.CodeUnavailable, "08006": host.CodeUnavailable, "40P01": host.CodeUnavailable, "58030": host.CodeUnavailable,
		"42P01": "", "22012": "",
	} {
		e := drv.Explain(&pgconn.PgError{Code: state, Message: "said the server"})
		switch {
		case want == "" && e != nil:
			t.Errorf("%s became %v", state, e)
		case want != "" && (e == nil || e.Code != want):
			t.Errorf("%s became %v, want code %q", state, e, want)
		case want == host.CodeUnavailable && (e.Hint == "" || e.RetryAfter == 0):
			t.Errorf("%s has no hint or no time to try again: %+v", state, e)
		}
	}
	if e := drv.Explain(errors.New("something else")); e != nil {
		t.Errorf("an unknown error became %v", e)
	}
}
