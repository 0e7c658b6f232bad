// Package value is one value of a plugin's table: how it is read from JSON,
// how it is written as JSON, and the one form in which it is stored, compared
// and sorted. That form keeps the order of the values as the order of bytes, so
// it is the same on every database. What a row or a query is does not belong
// here.
package value

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Kind is the type of a column.
type Kind uint8

// The kinds.
const (
	Text Kind = iota + 1
	Integer
	Number
	Decimal
	Boolean
	Timestamp
	JSON
	Bytes
)

// KindOf returns the kind with that name in manifests.
func KindOf(name string) (Kind, bool) {
	switch name {
	case manifestv1.ColumnText:
		return Text, true
	case manifestv1.ColumnInteger:
		return Integer, true
	case manifestv1.ColumnNumber:
		return Number, true
	case manifestv1.ColumnDecimal:
		return Decimal, true
	case manifestv1.ColumnBoolean:
		return Boolean, true
	case manifestv1.ColumnTimestamp:
		return Timestamp, true
	case manifestv1.ColumnJSON:
		return JSON, true
	case manifestv1.ColumnBytes:
		return Bytes, true
	}
	return 0, false
}

// Sorts reports whether values of the kind can be compared and indexed.
func (k Kind) Sorts() bool { return k != JSON }

// Strung reports whether values of the kind have a beginning: text and bytes.
func (k Kind) Strung() bool { return k == Text || k == Bytes }

// Value is a value in its stored form: a zero byte for null, else a one and
// what the kind makes of it. Two values of one kind sort as their bytes do, and
// a value is never the beginning of another, so values that stand one after
// another sort as tuples do.
type Value []byte

// Null is the value that is none. It sorts first.
func Null() Value { return Value{tagNull} }

const (
	tagNull  = 0
	tagValue = 1
)

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return len(v) == 0 || v[0] == tagNull }

// Compare returns -1, 0 or 1, as a sorts before, with or after b.
func Compare(a, b Value) int { return bytes.Compare(a, b) }

// HasPrefix reports whether v, a text or bytes, begins with p.
func HasPrefix(v, p Value) bool { return !p.IsNull() && bytes.HasPrefix(v, Stem(p)) }

// Stem returns the bytes with which all texts (or bytes) begin that begin with
// p: p without its end mark.
func Stem(p Value) []byte { return p[:len(p)-len(endMark)] }

// After returns the least bytes that are greater than all that begin with b, or
// nil where there are none.
func After(b []byte) []byte {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xff {
			out := bytes.Clone(b[:i+1])
			out[i]++
			return out
		}
	}
	return nil
}

// endMark ends a text: a zero byte inside is written as escaped, which sorts
// after it.
const endMark = "\x00\x01"

const escaped = 0xff

// Parse reads a value from JSON. The error says what is wrong with it.
func Parse(k Kind, raw json.RawMessage) (Value, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return Null(), nil
	}
	switch k {
	case Text:
		s, err := stringOf(raw)
		return appendString(Value{tagValue}, s), err
	case Bytes:
		s, err := stringOf(raw)
		if err != nil {
			return nil, err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, errors.New("is not base64")
		}
		return appendString(Value{tagValue}, string(b)), nil
	case Integer:
		n, err := integerOf(raw)
		return OfInteger(n), err
	case Number:
		f, err := numberOf(raw)
		return OfNumber(f), err
	case Decimal:
		d, err := decimalOf(raw)
		return d.encode(), err
	case Boolean:
		return booleanOf(raw)
	case Timestamp:
		return timestampOf(raw)
	case JSON:
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil, errors.New("is not JSON")
		}
		return appendString(Value{tagValue}, b.String()), nil
	}
	return nil, fmt.Errorf("has a column of an unknown type %d", k)
}

// OfInteger returns the value of a whole number.
func OfInteger(n int64) Value {
	return binary.BigEndian.AppendUint64(Value{tagValue}, uint64(n)^signBit)
}

// OfNumber returns the value of a finite double; the two zeros are one value.
func OfNumber(f float64) Value {
	if f == 0 {
		f = 0
	}
	bits := math.Float64bits(f)
	if bits&signBit != 0 {
		bits = ^bits
	} else {
		bits |= signBit
	}
	return binary.BigEndian.AppendUint64(Value{tagValue}, bits)
}

const signBit = 1 << 63

// AsInteger returns the number of a value of Integer that is not null.
func (v Value) AsInteger() int64 { return int64(binary.BigEndian.Uint64(v[1:]) ^ signBit) }

// AsNumber returns the number of a value of Number that is not null.
func (v Value) AsNumber() float64 {
	bits := binary.BigEndian.Uint64(v[1:])
	if bits&signBit != 0 {
		return math.Float64frombits(bits &^ signBit)
	}
	return math.Float64frombits(^bits)
}

func stringOf(raw []byte) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errors.New("is not a string")
	}
	if !utf8.ValidString(s) {
		return "", errors.New("is not valid UTF-8")
	}
	return s, nil
}

// digitsOf returns the text of a number that is written as one or as a string.
func digitsOf(raw []byte) (string, error) {
	if raw[0] == '"' {
		return stringOf(raw)
	}
	var n json.Number
	if err := json.Unmarshal(raw, &n); err != nil {
		return "", errors.New("is not a number")
	}
	return n.String(), nil
}

func integerOf(raw []byte) (int64, error) {
	s, err := digitsOf(raw)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '+' {
		return 0, errors.New("is not a whole number of 64 bits")
	}
	return n, nil
}

func numberOf(raw []byte) (float64, error) {
	if raw[0] == '"' {
		return 0, errors.New("is not a number")
	}
	s, err := digitsOf(raw)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errors.New("is not a finite number")
	}
	return f, nil
}

func booleanOf(raw []byte) (Value, error) {
	switch string(raw) {
	case "true":
		return Value{tagValue, 1}, nil
	case "false":
		return Value{tagValue, 0}, nil
	}
	return nil, errors.New("is neither true nor false")
}

func timestampOf(raw []byte) (Value, error) {
	s, err := stringOf(raw)
	if err != nil {
		return nil, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.UTC().Year() < 0 || t.UTC().Year() > 9999 {
		return nil, errors.New("is not a time in RFC 3339, for example 2026-01-31T23:59:59Z")
	}
	return OfInteger(t.UnixMicro()), nil
}

// appendString writes a text or bytes with its end mark.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, escaped)
		}
	}
	return append(dst, endMark...)
}

// Next cuts the first value, of kind k, from values that stand one after
// another.
func Next(k Kind, b []byte) (v Value, rest []byte, err error) {
	n := k.length(b)
	if n < 0 || n > len(b) {
		return nil, nil, errCorrupt
	}
	return b[:n], b[n:], nil
}

var errCorrupt = errors.New("a stored row cannot be read")

// length returns how long the first value of b is, or -1.
func (k Kind) length(b []byte) int {
	if len(b) == 0 || b[0] > tagValue {
		return -1
	}
	if b[0] == tagNull {
		return 1
	}
	switch k {
	case Integer, Number, Timestamp:
		return 9
	case Boolean:
		return 2
	case Decimal:
		return decimalLength(b)
	case Text, Bytes, JSON:
		for i := 1; i+1 < len(b); {
			z := bytes.IndexByte(b[i:], 0)
			if z < 0 || i+z+1 >= len(b) {
				return -1
			}
			if i += z + 2; b[i-1] == endMark[1] {
				return i
			}
		}
	}
	return -1
}

// unescape returns the text or bytes of a value.
func unescape(v Value) []byte {
	b := v[1 : len(v)-len(endMark)]
	if bytes.IndexByte(b, 0) < 0 {
		return b
	}
	return bytes.ReplaceAll(b, []byte{0, escaped}, []byte{0})
}

// timeFormat writes times in UTC, with as many digits as are needed.
const timeFormat = "2006-01-02T15:04:05.999999Z07:00"

// AppendJSON writes a value of kind k as JSON.
func AppendJSON(dst []byte, k Kind, v Value) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch k {
	case Text:
		return appendQuoted(dst, string(unescape(v)))
	case Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, unescape(v))
		return append(dst, '"')
	case Integer:
		return strconv.AppendInt(dst, v.AsInteger(), 10)
	case Number:
		return appendMarshalled(dst, v.AsNumber())
	case Decimal:
		return appendQuoted(dst, decimalAt(v).String())
	case Boolean:
		return strconv.AppendBool(dst, v[1] != 0)
	case Timestamp:
		return appendQuoted(dst, time.UnixMicro(v.AsInteger()).UTC().Format(timeFormat))
	default:
		return append(dst, unescape(v)...)
	}
}

func appendQuoted(dst []byte, s string) []byte { return appendMarshalled(dst, s) }

func appendMarshalled(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // cannot be: strings and finite numbers
		return append(dst, "null"...)
	}
	return append(dst, b...)
}
