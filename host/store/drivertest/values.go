package drivertest

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/store"
)

var valueCases = []testCase{
	{"time comes back in UTC to the microsecond", valuesTime},
	{"times sort by time", valuesTimeOrder},
	{"bytes come back", valuesBytes},
	{"JSON comes back byte for byte", valuesJSON},
	{"text comes back", valuesText},
	{"text with a NUL byte is refused", valuesNUL},
	{"text sorts by its bytes", valuesTextOrder},
	{"numbers and truth come back", valuesNumbers},
	{"identity grows and is returned", valuesIdentity},
	{"upsert returns and replaces", valuesUpsert},
}

// through writes a note and reads it again.
func through(t *testing.T, tn *store.Tenant, in note) note {
	t.Helper()
	in.Name = host.NewID("n")
	out := note{}
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		_, err := q.NewInsert().Model(&in).Exec(ctx)
		return err
	}))
	must(t, tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model(&out).Where("id = ?", in.ID).Scan(ctx)
	}))
	return out
}

func valuesTime(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	zone := time.FixedZone("east", 5*3600+30*60)
	for _, in := range []time.Time{
		time.Date(2024, 2, 29, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2024, 2, 29, 1, 2, 3, 120_000_000, zone),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 1_000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2024, 1, 1, 0, 0, 0, 1_999, time.UTC), // cut, not rounded
	} {
		got := through(t, tn, note{At: &in}).At
		if got == nil || !got.Equal(in.Truncate(time.Microsecond)) {
			t.Errorf("%v came back as %v", in, got)
			continue
		}
		if _, offset := got.Zone(); offset != 0 {
			t.Errorf("%v came back in the zone of %v", in, got)
		}
	}
	if got := through(t, tn, note{}).At; got != nil {
		t.Errorf("no time came back as %v", got)
	}
}

func valuesTimeOrder(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range []time.Duration{time.Second, 0, 10 * time.Microsecond, 500 * time.Millisecond, 9 * time.Microsecond, -time.Second} {
		at := start.Add(d).In(time.FixedZone("", int(d%5)*3600))
		through(t, tn, note{At: &at, Count: d.Microseconds()})
	}
	var got []int64
	must(t, tn.Read(t.Context(), func(ctx context.Context, q store.Querier) error {
		return q.NewSelect().Model((*note)(nil)).Column("count").Where("at >= ?", start).Order("at").Scan(ctx, &got)
	}))
	if want := []int64{0, 9, 10, 500_000, 1_000_000}; !slices.Equal(got, want) {
		t.Errorf("times sorted as %v, want %v", got, want)
	}
}

func valuesBytes(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, in := range [][]byte{all, {0}, {}, []byte(`'; --`), bytes.Repeat(all, 4096)} {
		if got := through(t, tn, note{Data: in}).Data; !bytes.Equal(got, in) || got == nil {
			t.Errorf("%d bytes came back as %d others", len(in), len(got))
		}
	}
	if got := through(t, tn, note{}).Data; got != nil {
		t.Errorf("no bytes came back as %v", got)
	}
}

func valuesJSON(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	for _, in := range []string{
		`{"b": 1,  "a" : [1.0, 1e3, -0]}`, `{"a":1,"a":2}`, `"\u0000\ud83d\ude00 \\u0000 '"`, "null", "{\n}", `{"é":"’"}`,
		`12345678901234567890.123456789`, `"` + strings.Repeat("x", 8<<20) + `"`,
	} {
		if got := through(t, tn, note{Doc: &in}).Doc; got == nil || *got != in {
			t.Errorf("%.80s came back as something else", in)
		}
	}
	if got := through(t, tn, note{}).Doc; got != nil {
		t.Errorf("no JSON came back as %q", *got)
	}
}

func valuesText(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	for _, in := range []string{"", " ", "a'b\"c`d\\e", "tab\tline\nreturn\r", "\x01\x7f", "héé 日本 😀 \u200b\ufeff"} {
		must(t, tn.Write(t.Context(), add(in)))
		if got := names(t, tn); !slices.Contains(got, in) {
			t.Errorf("%q did not come back", in)
		}
	}
	must(t, tn.Write(t.Context(), add("broken \xff UTF-8")))
	if got := names(t, tn); !slices.Contains(got, "broken \ufffd UTF-8") {
		t.Error("broken UTF-8 was not mended")
	}
}

func valuesNUL(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	err := tn.Write(t.Context(), add("a\x00b"))
	wantCode(t, err, host.CodeInvalid)
	if host.AsError(err).Hint == "" {
		t.Error("the error has no hint")
	}
	if got := names(t, tn); len(got) != 0 {
		t.Errorf("the namespace holds %q", got)
	}
}

func valuesTextOrder(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	want := []string{"", "A", "B", "_", "a", "a b", "a-b", "a.b", "aa", "b", "é", "日"}
	for _, name := range []string{"b", "日", "a.b", "A", "é", "aa", "", "_", "B", "a-b", "a", "a b"} {
		must(t, tn.Write(t.Context(), add(name)))
	}
	if got := names(t, tn); !slices.Equal(got, want) {
		t.Errorf("text sorted as %q, want %q", got, want)
	}
}

func valuesNumbers(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	for _, in := range []note{
		{Count: math.MaxInt64, Ratio: 0.1, Flag: true}, {Count: math.MinInt64 + 1, Ratio: -1e300}, {Ratio: 1e-300},
		{Ratio: 12345678.87654321},
	} {
		got := through(t, tn, in)
		if got.Count != in.Count || got.Ratio != in.Ratio || got.Flag != in.Flag {
			t.Errorf("%d, %v, %v came back as %d, %v, %v", in.Count, in.Ratio, in.Flag, got.Count, got.Ratio, got.Flag)
		}
	}
}

func valuesIdentity(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	rows := []note{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		_, err := q.NewInsert().Model(&rows).Exec(ctx)
		return err
	}))
	if !(rows[0].ID > 0 && rows[0].ID < rows[1].ID && rows[1].ID < rows[2].ID) {
		t.Errorf("identities are %d, %d, %d", rows[0].ID, rows[1].ID, rows[2].ID)
	}
	must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
		_, err := q.NewDelete().Model((*note)(nil)).Where("name = ?", "c").Exec(ctx)
		return err
	}))
	if next := through(t, tn, note{}); next.ID <= rows[2].ID {
		t.Errorf("the identity %d was given again: %d", rows[2].ID, next.ID)
	}
}

func valuesUpsert(t *testing.T, h Harness) {
	tn := tenant(t, h.fresh(t))
	for _, count := range []int64{1, 2} {
		row := note{Name: "a", Count: count}
		must(t, tn.Write(t.Context(), func(ctx context.Context, q store.Querier) error {
			_, err := q.NewInsert().Model(&row).On("CONFLICT (name) DO UPDATE").
				Set("count = EXCLUDED.count").Returning("*").Exec(ctx)
			return err
		}))
		if row.Count != count || row.ID == 0 {
			t.Errorf("the upsert returned %+v", row)
		}
	}
	if got := names(t, tn); len(got) != 1 {
		t.Errorf("the namespace holds %q", got)
	}
}
