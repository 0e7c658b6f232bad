package guard

import (
	"errors"
	"strings"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

func TestCheck(t *testing.T) {
	const both, lite = "both", "sqlite"
	for _, c := range []struct {
		sql    string
		passes string // on which dialects; empty: none
	}{
		{"SELECT 1", both},
		{"select 'a;b' -1", both},
		{"SELECT '-- no comment', '/* none */', '$$', 'it''s; RESET ROLE'", both},
		{`SELECT "a;b", "it""s -- " FROM "notes" AS "n" WHERE "n"."into" = 1`, both},
		{"(SELECT 1) UNION (SELECT 2)", both},
		{"WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a RETURNING id", both},
		{"INSERT OR IGNORE INTO b VALUES (1)", both},
		{"UPDATE a SET b = 1 WHERE c ->> 'd' = 'e'", both},
		{"DELETE FROM a WHERE b IN (1, 2)", both},
		{"SELECT * FROM a WHERE b @> '{}'::jsonb AND c[1] = 2", both},
		{"SELECT X'00ff'", lite},
		{"SELECT E'\\''", ""},
		{"SELECT [a;b], `c;d`", lite},
		{"SELECT `a`", both}, // an operator in PostgreSQL, where the server refuses it
		{"", ""},
		{"()", ""},
		{"SELECT 1;", ""},
		{"SELECT 1 -- x", ""},
		{"SELECT 1 /* x */", ""},
		{"SELECT 'open", ""},
		{`SELECT "open`, ""},
		{"SELECT $1", ""},
		{"SELECT $a$b$a$", ""},
		{`SELECT U&"x"`, ""},
		{"SELECT U&'x'", ""},
		{"SELECT 1 INTO a", ""},
		{"VACUUM", ""},
		{"'SELECT' 1", ""},
		{"SELECT PG_SLEEP(1)", ""},
		{`SELECT "Set_Config"('role', '', true)`, ""},
		{"SELECT a.pg_sleep (1)", ""},
		{"SELECT 'pg_sleep'", both},
		{"SELECT 1 \x00", ""},
		{"SELECT ?!(bun: something)", ""},
	} {
		for _, d := range []driver.Dialect{driver.SQLite, driver.Postgres} {
			err := Check(d, c.sql)
			if passes := c.passes == both || c.passes == string(d); passes != (err == nil) {
				t.Errorf("%s: %q gave %v", d, c.sql, err)
			}
			if err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %q gave %v, which is no refusal", d, c.sql, err)
			}
		}
	}
}

func TestCheckNamesTheCaller(t *testing.T) {
	if err := Check(driver.SQLite, "SELECT ?!(bun: string contains a NUL byte (0x00))"); host.CodeOf(err) != host.CodeInvalid {
		t.Errorf("a NUL byte gave %v, want code %q", err, host.CodeInvalid)
	}
	if err := Check(driver.SQLite, "VACUUM"); host.CodeOf(err) != host.CodeInternal {
		t.Errorf("VACUUM gave %v, want code %q", err, host.CodeInternal)
	}
}

// FuzzValue holds that a quoted value passes whatever is in it, and that what
// follows it is still seen.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{"", "'", "''", `\'`, "a;b", "--", "/*", "$$", "?!(", `"`, "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
		for _, d := range []driver.Dialect{driver.SQLite, driver.Postgres} {
			if err := Check(d, "SELECT "+quoted); err != nil {
				t.Errorf("%s: the value %q was refused: %v", d, value, err)
			}
			if err := Check(d, "SELECT "+quoted+" ; RESET ROLE"); err == nil {
				t.Errorf("%s: the value %q hid a second statement", d, value)
			}
		}
	})
}

// FuzzCheck holds that no text makes the guard fail, and that none that holds
// a semicolon outside of quotes passes.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "WITH a AS (SELECT 'b')", "[a", "`", "U&\"", "x'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []driver.Dialect{driver.SQLite, driver.Postgres} {
			if err := Check(d, text); err == nil && strings.Contains(text, ";") && !strings.ContainsAny(text, "'\"[`") {
				t.Errorf("%s: %q passed", d, text)
			}
		}
	})
}
