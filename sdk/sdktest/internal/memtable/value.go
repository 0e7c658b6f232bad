package memtable

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	plugin "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// decimal is what a column of type decimal may hold.
var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)

// parse reads a value: a string, int64, float64, *big.Rat, bool, time.Time,
// json.RawMessage or []byte, by the column's type; nil for null.
func parse(kind string, raw json.RawMessage) (any, *plugin.Error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	bad := fault(plugin.CodeInvalid, "is not a %s: %s", kind, raw)
	var text string
	isText := json.Unmarshal(raw, &text) == nil
	digits := string(raw)
	if isText {
		digits = text
	}
	switch kind {
	case manifest.ColumnInteger:
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && digits[0] != '+' {
			return n, nil
		}
	case manifest.ColumnNumber:
		if f, err := strconv.ParseFloat(digits, 64); err == nil && !isText && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f + 0, nil
		}
	case manifest.ColumnDecimal:
		if r, ok := new(big.Rat).SetString(digits); ok && decimal.MatchString(digits) {
			return r, nil
		}
	case manifest.ColumnBoolean:
		if b, err := strconv.ParseBool(string(raw)); err == nil && len(raw) > 3 {
			return b, nil
		}
	case manifest.ColumnJSON:
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return json.RawMessage(b.Bytes()), nil
		}
	case manifest.ColumnText:
		if isText {
			return text, nil
		}
	case manifest.ColumnBytes:
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && isText {
			return b, nil
		}
	case manifest.ColumnTimestamp:
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil && isText {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	return nil, bad
}

// compare orders two values of one column; null comes first.
func compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case *big.Rat:
		return a.Cmp(b.(*big.Rat))
	case bool:
		return cmp.Compare(strconv.FormatBool(a), strconv.FormatBool(b.(bool)))
	case time.Time:
		return a.Compare(b.(time.Time))
	case []byte:
		return bytes.Compare(a, b.([]byte))
	default:
		return 0
	}
}

// write writes a value as JSON.
func write(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case *big.Rat:
		return strconv.Quote(plain(v))
	case time.Time:
		return strconv.Quote(v.Format("2006-01-02T15:04:05.999999Z07:00"))
	case json.RawMessage:
		return string(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return "null" // cannot be: strings, numbers, bytes
		}
		return string(b)
	}
}

// plain writes a decimal in full, without needless zeros.
func plain(r *big.Rat) string {
	s := r.FloatString(200)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}
