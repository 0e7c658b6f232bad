package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func parse(t interface{ Fatalf(string, ...any) }, k Kind, raw string) Value {
	v, err := Parse(k, json.RawMessage(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

func TestParse(t *testing.T) {
	cases := []struct {
		kind     Kind
		in, want string
	}{
		{Text, `"a\u0000é"`, `"a\u0000é"`}, {Text, `""`, `""`}, {Text, ` null `, "null"},
		{Integer, "-9223372036854775808", "-9223372036854775808"}, {Integer, `"9223372036854775807"`, "9223372036854775807"},
		{Number, "-0", "0"}, {Number, "1e3", "1000"}, {Number, "-1.5", "-1.5"},
		{Decimal, `"-12.50"`, `"-12.5"`}, {Decimal, "0.10", `"0.1"`}, {Decimal, `"-0.00"`, `"0"`}, {Decimal, `"1e-3"`, `"0.001"`},
		{Decimal, `"1200e2"`, `"120000"`}, {Decimal, `"99999999999999999999999999999999999.999"`, `"99999999999999999999999999999999999.999"`},
		{Boolean, "true", "true"}, {Boolean, "false", "false"},
		{Timestamp, `"2026-03-01T01:02:03.1234567+02:00"`, `"2026-02-28T23:02:03.123456Z"`}, {Timestamp, `"1969-12-31T23:59:59.5Z"`, `"1969-12-31T23:59:59.5Z"`},
		{JSON, ` {"a": [1, 2.50]} `, `{"a":[1,2.50]}`}, {JSON, "null", "null"},
		{Bytes, `"AP8A"`, `"AP8A"`}, {Bytes, `""`, `""`},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.kind, c.in), func(t *testing.T) {
			v := parse(t, c.kind, c.in)
			if got := string(AppendJSON(nil, c.kind, v)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			first, rest, err := Next(c.kind, append(bytes.Clone(v), 7, 0))
			if err != nil || !bytes.Equal(first, v) || !bytes.Equal(rest, []byte{7, 0}) {
				t.Errorf("cut into %x and %x, %v", first, rest, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for in, kinds := range map[string][]Kind{
		`1.0`: {Text, Integer, Boolean, Timestamp, Bytes}, `"x"`: {Integer, Number, Decimal, Boolean, Timestamp, Bytes},
		`9223372036854775808`: {Integer}, `"+1"`: {Integer, Decimal}, `1e400`: {Number, Decimal}, `"1"`: {Number},
		`"1."`: {Decimal}, `".5"`: {Decimal}, `"1e"`: {Decimal}, `"--1"`: {Decimal}, `"0x10"`: {Integer, Decimal}, `""`: {Integer, Decimal},
		`"1234567890123456789012345678901234567890"`: {Decimal}, `"1e101"`: {Decimal}, `"1e-102"`: {Decimal}, `"1e99999999999999999999"`: {Decimal},
		`{"a":1`: {JSON, Text}, `"2026-02-30T00:00:00Z"`: {Timestamp}, `{}`: {Integer, Number, Decimal, Boolean, Timestamp, Bytes},
		`"` + strings.Repeat("1", 5000) + `"`: {Decimal, Integer},
	} {
		for _, k := range kinds {
			if v, err := Parse(k, json.RawMessage(in)); err == nil {
				t.Errorf("%.40s as %d gave %x", in, k, v)
			}
		}
	}
	if _, err := Parse(99, json.RawMessage("1")); err == nil {
		t.Error("an unknown kind was read")
	}
	for _, name := range []string{"text", "integer", "number", "decimal", "boolean", "timestamp", "json", "bytes"} {
		if _, ok := KindOf(name); !ok {
			t.Errorf("%s is no kind", name)
		}
	}
	if _, ok := KindOf("blob"); ok {
		t.Error("blob is a kind")
	}
}

// sample draws JSON of a kind, and something that compares two of them.
func sample(k Kind) (*rapid.Generator[string], func(a, b string) int) {
	rat := func(s string) *big.Rat {
		r, _ := new(big.Rat).SetString(strings.Trim(s, `"`))
		return r
	}
	numeric := func(a, b string) int { return rat(a).Cmp(rat(b)) }
	switch k {
	case Integer:
		return rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }), numeric
	case Number:
		finite := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) })
		return rapid.Map(finite, func(f float64) string { b, _ := json.Marshal(f); return string(b) }), numeric
	case Decimal:
		return rapid.StringMatching(`"-?[0-9]{1,20}(\.[0-9]{1,15})?"`), numeric
	case Timestamp:
		stamp := rapid.Map(rapid.Int64Range(-6e13, 2e14), func(ms int64) string { return time.UnixMilli(ms).UTC().Format(`"2006-01-02T15:04:05.999Z"`) })
		return stamp, func(a, b string) int {
			x, _ := time.Parse(`"2006-01-02T15:04:05.999Z"`, a)
			y, _ := time.Parse(`"2006-01-02T15:04:05.999Z"`, b)
			return x.Compare(y)
		}
	default:
		text := rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', 'b', 0xff, 0x10ffff})), func(s string) string { b, _ := json.Marshal(s); return string(b) })
		return text, func(a, b string) int {
			var x, y string
			_ = json.Unmarshal([]byte(a), &x)
			_ = json.Unmarshal([]byte(b), &y)
			return strings.Compare(x, y)
		}
	}
}

func TestBytesSortAsValuesDo(t *testing.T) {
	for _, k := range []Kind{Text, Integer, Number, Decimal, Timestamp} {
		gen, compare := sample(k)
		t.Run(fmt.Sprint(k), rapid.MakeCheck(func(t *rapid.T) {
			a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
			x, y := parse(t, k, a), parse(t, k, b)
			if got, want := Compare(x, y), compare(a, b); got != want {
				t.Fatalf("%s and %s compare as %d, want %d", a, b, got, want)
			}
			if Compare(Null(), x) != -1 {
				t.Fatalf("null does not sort before %s", a)
			}
			back := parse(t, k, string(AppendJSON(nil, k, x)))
			if !bytes.Equal(back, x) {
				t.Fatalf("%s came back as %x, was %x", a, back, x)
			}
			// Of two values in a row, the first decides.
			if Compare(x, y) < 0 && bytes.Compare(append(bytes.Clone(x), 0xff), y) >= 0 {
				t.Fatalf("what follows %s decides over %s", a, b)
			}
			if k == Text && HasPrefix(x, y) != strings.HasPrefix(unquote(a), unquote(b)) {
				t.Fatalf("%s begins with %s: %v", a, b, HasPrefix(x, y))
			}
		}))
	}
}

func unquote(s string) (out string) {
	_ = json.Unmarshal([]byte(s), &out)
	return out
}

func TestAfter(t *testing.T) {
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "\x00": "\x01"} {
		if got := After([]byte(in)); string(got) != want {
			t.Errorf("after %q comes %q", in, got)
		}
	}
	if After([]byte("\xff\xff")) != nil || After(nil) != nil {
		t.Error("there is something after everything")
	}
}

func TestSum(t *testing.T) {
	cases := []struct {
		name        string
		kind        Kind
		in          []string
		total, mean string
	}{
		{"Nothing", Integer, nil, "null", "null"},
		{"Integers", Integer, []string{"9223372036854775807", "-1", "1"}, "9223372036854775807", `"3074457345618258602.333333333333"`},
		{"DecimalsExactly", Decimal, []string{`"0.1"`, `"0.2"`, `"-0.30"`}, `"0"`, `"0"`},
		{"DecimalsOfManyPlaces", Decimal, []string{`"1"`, `"0.0000000000001"`}, `"1.0000000000001"`, `"0.5"`},
		{"HalfToEven", Decimal, []string{`"0.000000000001"`, `"0"`}, `"0.000000000001"`, `"0"`},
		{"HalfToEvenUp", Decimal, []string{`"0.000000000003"`, `"0"`}, `"0.000000000003"`, `"0.000000000002"`},
		{"HalfToEvenBelowZero", Decimal, []string{`"-0.000000000003"`, `"0"`}, `"-0.000000000003"`, `"-0.000000000002"`},
		{"Numbers", Number, []string{"1.5", "2"}, "3.5", "1.75"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var s Sum
			for _, raw := range c.in {
				s.Add(c.kind, parse(t, c.kind, raw))
			}
			total, err := s.AppendTotal(nil, c.kind)
			mean, bad := s.AppendMean(nil, c.kind)
			if err != nil || bad != nil || string(total) != c.total || string(mean) != c.mean {
				t.Errorf("got %s and %s, %v, %v", total, mean, err, bad)
			}
		})
	}
	for k, raw := range map[Kind]string{Integer: "9223372036854775807", Number: "1.7e308"} {
		var s Sum
		for range 2 {
			s.Add(k, parse(t, k, raw))
		}
		if _, err := s.AppendTotal(nil, k); err == nil {
			t.Errorf("an overflow of kind %d was not seen", k)
		}
	}
}

// FuzzParse tries values of strangers: what is read can be written and cut out
// again, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`"a"`, `1`, `"1.50"`, `{"a":[null]}`, `"2026-01-01T00:00:00Z"`, `true`, `-1e-99`, `"AA=="`} {
		f.Add(uint8(1), []byte(s))
		f.Add(uint8(4), []byte(s))
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		k := Kind(kind%8 + 1)
		v, err := Parse(k, raw)
		if err != nil {
			return
		}
		out := AppendJSON(nil, k, v)
		if !json.Valid(out) {
			t.Fatalf("%q is written as %q", raw, out)
		}
		back, err := Parse(k, out)
		if err != nil || !bytes.Equal(back, v) {
			t.Fatalf("%q came back as %x, %v, was %x", raw, back, err, v)
		}
		if cut, rest, err := Next(k, v); err != nil || !bytes.Equal(cut, v) || len(rest) != 0 {
			t.Fatalf("%x was cut to %x, %v", v, cut, err)
		}
	})
}

// FuzzNext tries stored bytes that no parser wrote.
func FuzzNext(f *testing.F) {
	f.Add(uint8(4), []byte{1, 3, 101, 13, 0})
	f.Add(uint8(1), []byte{1, 'a', 0, 255, 0, 1})
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		v, rest, err := Next(Kind(kind%8+1), b)
		if err == nil && len(v)+len(rest) != len(b) {
			t.Fatalf("%x became %x and %x", b, v, rest)
		}
	})
}
