// Package guard is the last gate before a database: it lets through single
// SELECT, INSERT, UPDATE and DELETE statements inside a transaction and
// nothing else. Only drivers of the store use it.
//
// It is a second wall. The first is that no room and no plugin can pass SQL
// text, the third that the database gives a tenant's transaction no right
// outside its namespace. What the guard adds is that a mistake in a query
// fragment of our own cannot end, widen or leave the transaction: no second
// statement, no change of role, search path or session, no ATTACH, PRAGMA,
// VACUUM or COPY, no function that runs SQL out of a string.
//
// It refuses more than it must: constructs that the two dialects read in
// different ways (comments, dollar quotes, escape strings) never come from
// Bun's builders, so they are refused and not understood.
package guard

import (
	"errors"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store/driver"
)

// ErrRefused is the cause of every refusal.
var ErrRefused = errors.New("statement refused")

// Check returns nil where sql may run in a guarded transaction. A refusal
// wraps ErrRefused. Its code is CodeInvalid where a value cannot be kept (text
// with a NUL byte), else CodeInternal: the statement is a mistake of ours.
func Check(d driver.Dialect, sql string) error {
	s := scanner{dialect: d, text: sql}
	var previous token
	for first := true; ; {
		t, err := s.next()
		if err != nil {
			return err
		}
		if t.kind == end {
			if first {
				return refuse("it is empty")
			}
			return nil
		}
		if first && t.kind != open {
			if t.kind != word || !starters[t.text] {
				return refuse("it does not begin with SELECT, INSERT, UPDATE, DELETE or WITH")
			}
			first = false
		}
		if err := checkName(t, previous); err != nil {
			return err
		}
		previous = t
	}
}

// starters are the words that a statement may begin with.
var starters = map[string]bool{"select": true, "insert": true, "update": true, "delete": true, "with": true}

// prefixes begin the names of what lies beneath the data: catalogues that can
// be updated to change a session, functions that read files, lock, or run SQL
// out of strings.
var prefixes = []string{"pg_", "sqlite_", "pragma_", "lo_", "dblink"}

// names are single functions, schemas and tables of that sort.
var names = map[string]bool{
	"set_config": true, "current_setting": true, "information_schema": true,
	"schema_migrations": true, "load_extension": true, "fts3_tokenizer": true, "ts_stat": true, "ts_rewrite": true,
}

// checkName refuses names that reach beneath the data, quoted or not.
func checkName(t, previous token) error {
	if t.kind != word && t.kind != quoted {
		return nil
	}
	for _, p := range prefixes {
		if strings.HasPrefix(t.text, p) {
			return refuse("it names " + t.text)
		}
	}
	if names[t.text] || strings.Contains(t.text, "_to_xml") {
		return refuse("it names " + t.text)
	}
	if t.kind == word && t.text == "into" && previous.text != "insert" && previous.text != "ignore" && previous.text != "replace" {
		return refuse("it is a SELECT INTO, which makes a table")
	}
	return nil
}

func refuse(reason string) error {
	return host.Errorf(host.CodeInternal, "%w: %s", ErrRefused, reason).
		WithHint("build the query with the Querier's builders, one statement at a time")
}
