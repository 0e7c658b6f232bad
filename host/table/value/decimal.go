package value

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

const (
	// maxDigits is how many significant digits a decimal may have.
	maxDigits = 38
	// maxPoint is how far from its first digit the point of a decimal may be.
	maxPoint = 100
	// avgPlaces is how many places an average of integers or decimals has.
	avgPlaces = 12
)

// decimal is 0.d1d2d3... times ten to the power of point, with d1 not zero and
// without zeros at the end; zero has no digits.
type decimal struct {
	negative bool
	digits   string
	point    int
}

// Form of a stored decimal after its tag: a class byte, then for numbers other
// than zero the point and the digits in pairs, all of it inverted where the
// number is negative.
const (
	classNegative = 1
	classZero     = 2
	classPositive = 3
)

// decimalOf reads "-12.50", "1e3" and the like, as a string or as a number.
func decimalOf(raw []byte) (decimal, error) {
	s, err := digitsOf(raw)
	if err != nil {
		return decimal{}, errors.New("is not a decimal number")
	}
	return parseDecimal(s)
}

func parseDecimal(s string) (decimal, error) {
	bad := errors.New(`is not a decimal number, for example "-12.50"`)
	d := decimal{}
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		d.negative, s = true, rest
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(strings.TrimPrefix(s[i+1:], "+"))
		if err != nil || e < -10*maxPoint || e > 10*maxPoint {
			return d, bad
		}
		s, exponent = s[:i], e
	}
	whole, fraction, dotted := strings.Cut(s, ".")
	if whole == "" || dotted && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(s) > 10*maxPoint {
		return d, bad
	}
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	d.point = len(whole) - (len(all) - len(d.digits)) + exponent
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}, nil
	}
	if len(d.digits) > maxDigits {
		return d, errors.New("has more than " + strconv.Itoa(maxDigits) + " significant digits")
	}
	if d.point < -maxPoint || d.point > maxPoint {
		return d, errors.New("is too large or too small for a decimal")
	}
	return d, nil
}

func (d decimal) encode() Value {
	switch {
	case d.digits == "":
		return Value{tagValue, classZero}
	case d.negative:
		v := append(Value{tagValue, classNegative}, d.magnitude()...)
		for i := 2; i < len(v); i++ {
			v[i] = ^v[i]
		}
		return v
	default:
		return append(Value{tagValue, classPositive}, d.magnitude()...)
	}
}

// magnitude is the point in one byte and the digits in pairs, from 1 to 100,
// with a zero at the end.
func (d decimal) magnitude() []byte {
	b := []byte{byte(d.point + maxPoint + 1)}
	for i := 0; i < len(d.digits); i += 2 {
		pair := 10 * (d.digits[i] - '0')
		if i+1 < len(d.digits) {
			pair += d.digits[i+1] - '0'
		}
		b = append(b, pair+1)
	}
	return append(b, 0)
}

// decimalLength returns how long the decimal is that b begins with, or -1.
func decimalLength(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	end := byte(0)
	switch b[1] {
	case classZero:
		return 2
	case classNegative:
		end = ^end
	case classPositive:
	default:
		return -1
	}
	for i := 3; i < len(b); i++ {
		if b[i] == end {
			return i + 1
		}
	}
	return -1
}

// decimalAt decodes a value that is not null.
func decimalAt(v Value) decimal {
	if v[1] == classZero {
		return decimal{}
	}
	d := decimal{negative: v[1] == classNegative}
	flip := byte(0)
	if d.negative {
		flip = 0xff
	}
	d.point = int(v[2]^flip) - maxPoint - 1
	digits := make([]byte, 0, 2*len(v))
	for _, b := range v[3 : len(v)-1] {
		pair := (b ^ flip) - 1
		digits = append(digits, '0'+pair/10, '0'+pair%10)
	}
	d.digits = strings.TrimRight(string(digits), "0")
	return d
}

// String writes the number in full, without an exponent.
func (d decimal) String() string {
	sign := ""
	if d.negative {
		sign = "-"
	}
	switch {
	case d.digits == "":
		return "0"
	case d.point <= 0:
		return sign + "0." + strings.Repeat("0", -d.point) + d.digits
	case d.point >= len(d.digits):
		return sign + d.digits + strings.Repeat("0", d.point-len(d.digits))
	default:
		return sign + d.digits[:d.point] + "." + d.digits[d.point:]
	}
}

// places is how many digits stand behind the point.
func (d decimal) places() int { return max(0, len(d.digits)-d.point) }

// unscaled returns the number times ten to the power of places.
func (d decimal) unscaled(places int) *big.Int {
	n := new(big.Int)
	if d.digits == "" {
		return n
	}
	n.SetString(d.digits, 10)
	n.Mul(n, power10(places-(len(d.digits)-d.point)))
	if d.negative {
		n.Neg(n)
	}
	return n
}

func power10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// formatScaled writes n divided by ten to the power of places, without
// needless zeros.
func formatScaled(n *big.Int, places int) string {
	s := new(big.Int).Abs(n).String()
	if pad := places + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	whole, fraction := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if fraction != "" {
		whole += "." + fraction
	}
	if n.Sign() < 0 {
		whole = "-" + whole
	}
	return whole
}
