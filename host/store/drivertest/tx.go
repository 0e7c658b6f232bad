package drivertest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var txCases = []testCase{
	{"error rolls back", txError},
	{"panic rolls back", txPanic},
	{"ended context rolls back", txContext},
	{"read refuses to write", txReadOnly},
	{"read sees one snapshot", txSnapshot},
	{"violated uniqueness is a conflict", txConflict},
	{"missing row is sql.ErrNoRows", txNoRows},
	{"inner write joins the outer one", txJoin},
	{"inner error dooms the outer write", txDoom},
	{"inner read sees what the outer wrote", txReadInside},
	{"nesting that could wait in a circle is refused", txNesting},
	{"context that outlives its transaction begins a new one", txOutlived},
	{"closed store refuses", txClosed},
}

var errBoom = errors.New("boom")

// failing returns a Work that does its work and fails.
func failing(work store.Work) store.Work {
	return func(ctx context.Context, q store.Querier) error {
		return errors.Join(work(ctx, q), errBoom)
	}
}

func txError(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	if err := tn.Write(t.Context(), failing(add("a"))); !errors.Is(err, errBoom) {
		t.Errorf("got %v, want the error of the work", err)
	}
	if got := names(t, tn); len(got) != 0 {
		t.Errorf("the namespace holds %q", got)
	}
}

func txPanic(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
			must(t, add("a")(ctx, q))
			panic("boom")
		})
	}()
	must(t, tn.Write(t.Context(), add("b"))) // the panic let go of the namespace
	if got := names(t, tn); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the namespace holds %q", got)
	}
}

func txContext(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	ctx, cancel := context.WithCancel(t.Context())
	err := tn.Write(ctx, func(ctx context.Context, q store.Querier) error {
		must(t, add("a")(ctx, q))
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := names(t, tn); len(got) != 0 {
		t.Errorf("the namespace holds %q", got)
	}
}

func txReadOnly(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	for _, n := range []namespace{tn, db.Control()} {
		wantCode(t, n.Read(t.Context(), add("a")), host.CodeInternal)
		if got := names(t, n); len(got) != 0 {
			t.Errorf("a read wrote %q", got)
		}
	}
}

func txSnapshot(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	must(t, tn.Write(t.Context(), add("a")))
	must(t, tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		before, err := q.NewSelect().Model((*note)(nil)).Count(ctx)
		must(t, err)
		must(t, tn.Write(t.Context(), add("b"))) // not this context: another caller
		after, err := q.NewSelect().Model((*note)(nil)).Count(ctx)
		must(t, err)
		if before != 1 || after != 1 {
			t.Errorf("one read counted %d and then %d", before, after)
		}
		return nil
	}))
	if got := names(t, tn); len(got) != 2 {
		t.Errorf("the namespace holds %q", got)
	}
}

func txConflict(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	must(t, tn.Write(t.Context(), add("a")))
	wantCode(t, tn.Write(t.Context(), add("a")), host.CodeConflict)
}

func txNoRows(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	err := tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(new(note)).Where("name = ?", "nobody").Scan(ctx)
	})
	if !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("got %v, want sql.ErrNoRows", err)
	}
}

func txJoin(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	both := func(ctx context.Context, q store.Querier) error {
		return errors.Join(add("outer")(ctx, q), tn.Write(ctx, add("inner")))
	}
	if err := tn.Write(t.Context(), failing(both)); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	if got := names(t, tn); len(got) != 0 {
		t.Errorf("after the outer failed the namespace holds %q", got)
	}
	must(t, tn.Write(t.Context(), both))
	if got := names(t, tn); !slices.Equal(got, []string{"inner", "outer"}) {
		t.Errorf("the namespace holds %q", got)
	}
}

func txDoom(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	err := tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		must(t, add("outer")(ctx, q))
		_ = tn.Write(ctx, failing(add("inner"))) // swallowed, and yet
		return nil
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("got %v, want the error of the inner work", err)
	}
	if got := names(t, tn); len(got) != 0 {
		t.Errorf("the namespace holds %q", got)
	}
}

func txReadInside(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		must(t, add("a")(ctx, q))
		return tn.Read(ctx, func(ctx context.Context, q store.Querier) error {
			if n, err := q.NewSelect().Model((*note)(nil)).Count(ctx); n != 1 || err != nil {
				t.Errorf("the inner read counted %d, %v", n, err)
			}
			return nil
		})
	}))
}

func txNesting(t *testing.T, h Harness) {
	db := h.fresh(t)
	a, b, control := tenant(t, db), tenant(t, db), db.Control()
	type run = func(context.Context, store.Work) error
	nothing := func(context.Context, store.Querier) error { return nil }
	for name, c := range map[string]struct {
		outer, inner run
		ok           bool
	}{
		"read in control write":         {control.Write, a.Read, true},
		"write in control write":        {control.Write, a.Write, true},
		"control read in write":         {a.Write, control.Read, true},
		"control read in read":          {a.Read, control.Read, true},
		"control read in control write": {control.Write, control.Read, true},
		"control write in write":        {a.Write, control.Write, false},
		"control write in read":         {a.Read, control.Write, false},
		"read in control read":          {control.Read, a.Read, false},
		"write in control read":         {control.Read, a.Write, false},
		"another tenant's write":        {a.Write, b.Write, false},
		"another tenant's read":         {a.Read, b.Read, false},
		"write in read":                 {a.Read, a.Write, false},
		"control write in control read": {control.Read, control.Write, false},
		"control write below its tenant": {control.Write, func(ctx context.Context, w store.Work) error {
			return a.Write(ctx, func(ctx context.Context, _ store.Querier) error { return control.Write(ctx, w) })
		}, true},
	} {
		err := c.outer(t.Context(), func(ctx context.Context, _ store.Querier) error { return c.inner(ctx, nothing) })
		if c.ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok && (host.CodeOf(err) != host.CodeInternal || host.AsError(err).Hint == "") {
			t.Errorf("%s gave %v, want a refusal with a hint", name, err)
		}
	}
}

func txOutlived(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	var kept context.Context
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		kept = ctx
		return nil
	}))
	must(t, tn.Write(kept, add("later")))
	if got := names(t, tn); !slices.Equal(got, []string{"later"}) {
		t.Errorf("the namespace holds %q", got)
	}
}

func txClosed(t *testing.T, h Harness) {
	db := h.fresh(t)
	tn := tenant(t, db)
	must(t, db.Close())
	must(t, db.Close())
	if err := tn.Write(t.Context(), add("a")); err == nil {
		t.Error("a closed store wrote")
	}
}
