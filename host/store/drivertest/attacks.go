package drivertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
	"github.com/callboard-dev/callboard/host/store/guard"
)

var attackCases = []testCase{
	{"statement that is none of four is refused", attackStatements},
	{"fragment that leaves its statement is refused", attackFragments},
	{"function that runs SQL or changes the session is refused", attackFunctions},
	{"statement outside of a transaction is refused", attackOutside},
	{"value is never read as SQL", attackValues},
}

// refused runs an attack in a tenant's read and write and in the control
// namespace's write, and checks that the guard stops it and nothing changed.
func refused(t *testing.T, db *store.DB, victim, attacker *store.Tenant, name string, attack store.Work) {
	t.Helper()
	for where, run := range map[string]func(context.Context, store.Work) error{
		"tenant read": attacker.Read, "tenant write": attacker.Write, "control write": db.Control().Write,
	} {
		if err := run(t.Context(), attack); !errors.Is(err, guard.ErrRefused) {
			t.Errorf("%s in a %s gave %v, want a refusal of the guard", name, where, err)
		}
	}
	if got := names(t, victim); !slices.Equal(got, []string{"precious"}) {
		t.Fatalf("after %s the victim holds %q", name, got)
	}
}

// arena returns a store with a victim, who has one note, and an attacker.
func arena(t *testing.T, h Harness) (db *store.DB, victim, attacker *store.Tenant) {
	t.Helper()
	db = h.fresh(t)
	victim, attacker = tenant(t, db), tenant(t, db)
	must(t, victim.Write(t.Context(), add("precious")))
	return db, victim, attacker
}

func attackStatements(t *testing.T, h Harness) {
	db, victim, attacker := arena(t, h)
	for _, sql := range []string{
		"", " ", "SET ROLE postgres", "SET LOCAL ROLE NONE", "RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT",
		"SET search_path TO public", "SET LOCAL search_path TO {victim}", "RESET ALL", "DISCARD ALL", "COMMIT", "ROLLBACK", "BEGIN",
		"SAVEPOINT a", "RELEASE a", "END", "ABORT", "PREPARE TRANSACTION 'a'", "LOCK TABLE notes",
		"ATTACH DATABASE '{victim}.db' AS v", "DETACH DATABASE main", "VACUUM", "VACUUM INTO '/tmp/copy.db'",
		"PRAGMA query_only = 0", "PRAGMA writable_schema = 1", "REINDEX", "ANALYZE",
		"CREATE TABLE mine (id BIGINT)", "CREATE TEMP TABLE mine (id BIGINT)", "DROP TABLE notes", "ALTER TABLE notes ADD COLUMN x TEXT",
		"TRUNCATE notes", "GRANT ALL ON notes TO PUBLIC", "REVOKE ALL ON notes FROM PUBLIC",
		"COPY notes TO PROGRAM 'id'", "COPY notes TO '/tmp/notes'", "DO $$ BEGIN RESET ROLE; END $$", "CALL x()",
		"PREPARE x AS SELECT 1", "EXECUTE x", "DEALLOCATE ALL", "DECLARE c CURSOR FOR SELECT 1", "LISTEN x", "NOTIFY x",
		"EXPLAIN ANALYZE DELETE FROM notes", "VALUES (1)", "TABLE notes", "SHOW role", "LOAD 'x'", "IMPORT FOREIGN SCHEMA x",
		"\x00SELECT 1", ";SELECT 1", "/* */SELECT 1", "-- \nSELECT 1", "(RESET ROLE)", "{victim}",
	} {
		sql := strings.ReplaceAll(sql, "{victim}", string(victim.ID()))
		refused(t, db, victim, attacker, sql, func(ctx context.Context, q store.Querier) error {
			_, err := q.NewSelect().NewRaw(strings.ReplaceAll(sql, "?", `\?`)).Exec(ctx)
			return err
		})
	}
}

func attackFragments(t *testing.T, h Harness) {
	db, victim, attacker := arena(t, h)
	for _, fragment := range []string{
		"1 = 1; RESET ROLE", "1 = 1;", "1 = 1) ; DELETE FROM notes WHERE (1 = 1", "1 = 1 -- ", "1 = 1 /* ", "1 = 1 /* */",
		"name = 'open", `"open = 1`, "name = E'\\'; RESET ROLE; --'", "name = $$a$$", "name = $tag$a$tag$", "name = $1",
		`U&"\0073et_config"('role', 'none', true) = ''`, "name = U&'\\0061'", "name = 'a'\x00",
	} {
		refused(t, db, victim, attacker, fragment, func(ctx context.Context, q store.Querier) error {
			return q.NewSelect().Model((*note)(nil)).Column("name").Where(strings.ReplaceAll(fragment, "?", `\?`)).Scan(ctx, new(string))
		})
	}
	refused(t, db, victim, attacker, "SELECT INTO", func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().ColumnExpr("1 AS n INTO TEMP mine").Scan(ctx, new(int))
	})
}

func attackFunctions(t *testing.T, h Harness) {
	db, victim, attacker := arena(t, h)
	for _, expr := range []string{
		"set_config('role', 'none', true)", "SET_CONFIG('role', 'none', true)", `"set_config"('role', 'none', true)`,
		"pg_catalog.set_config('role', 'none', true)", `"pg_catalog"."set_config"('role', 'none', true)`,
		"query_to_xml('RESET ROLE', true, true, '')", "database_to_xml(true, true, '')", "cursor_to_xml('c', 1, true, true, '')",
		"ts_stat('SELECT 1')", "ts_rewrite('a', 'SELECT 1')", "pg_read_file('/etc/passwd')", "pg_ls_dir('/')", "pg_sleep(100)",
		"pg_advisory_lock(1)", "pg_terminate_backend(1)", "pg_cancel_backend(1)", "pg_notify('a', 'b')", "lo_import('/etc/passwd')",
		"dblink('host=x', 'SELECT 1')", "dblink_exec('x')", "current_setting('role')",
		"load_extension('x')", "fts3_tokenizer('x')", "(SELECT count(*) FROM pragma_database_list)", "(SELECT count(*) FROM sqlite_master)",
		"(SELECT count(*) FROM [sqlite_master])", "(SELECT count(*) FROM `sqlite_master`)",
		"(SELECT count(*) FROM pg_settings)", "(SELECT count(*) FROM information_schema.tables)", "(SELECT count(*) FROM schema_migrations)",
	} {
		refused(t, db, victim, attacker, expr, func(ctx context.Context, q store.Querier) error {
			if db.Dialect() == store.Postgres && strings.ContainsAny(expr, "[`") {
				return guard.ErrRefused // not a way to write a name there
			}
			return q.NewSelect().ColumnExpr(expr).Scan(ctx, new(string))
		})
	}
	refused(t, db, victim, attacker, "update of pg_settings", func(ctx context.Context, q store.Querier) error {
		_, err := q.NewUpdate().TableExpr("pg_settings").Set("setting = 'none'").Where("name = 'role'").Exec(ctx)
		return err
	})
}

func attackOutside(t *testing.T, h Harness) {
	_, victim, attacker := arena(t, h)
	var kept store.Querier
	must(t, attacker.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		kept = q
		_, err := q.NewSelect().DB().ExecContext(ctx, "SELECT 1")
		wantCode(t, err, host.CodeInternal)
		return nil
	}))
	if _, err := kept.NewInsert().Model(&note{Name: "late"}).Exec(t.Context()); err == nil {
		t.Error("a Querier wrote after its transaction")
	}
	if got := append(names(t, victim), names(t, attacker)...); !slices.Equal(got, []string{"precious"}) {
		t.Errorf("the namespaces hold %q", got)
	}
}

// attackValues stores attacks as text: each comes back as it went in.
func attackValues(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	texts := []string{
		"'; DROP TABLE notes; --", `\'; RESET ROLE; --`, `"; COMMIT; "`, "$$ RESET ROLE $$", "/* */ -- ;", "?", "?0 ?name", `\`, `\\'`,
		"pg_sleep(1)", "set_config", "E'\\''", "U&'\\0027'", "’ ʼ ＇", "]]>`[",
	}
	for _, text := range texts {
		must(t, tn.Write(t.Context(), add(text)))
		var got string
		must(t, tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
			return q.NewSelect().Model((*note)(nil)).Column("name").
				Where("name = ?", text).Where("? = name", text).Where("name IN (?)", bun.List([]string{text})).Scan(ctx, &got)
		}))
		if got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	if got := names(t, tn); len(got) != len(texts) {
		t.Errorf("%d of %d texts are there", len(got), len(texts))
	}
}
