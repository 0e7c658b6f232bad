package value

import (
	"errors"
	"math"
	"math/big"
)

// Sum adds up values of one kind. Integers and decimals are added exactly, in
// any order; numbers as doubles, in the order in which they come. The zero
// value is ready.
type Sum struct {
	count  int64
	exact  big.Int
	places int
	float  float64
}

// Add adds a value that is not null, of Integer, Number or Decimal.
func (s *Sum) Add(k Kind, v Value) {
	s.count++
	switch k {
	case Integer:
		s.exact.Add(&s.exact, big.NewInt(v.AsInteger()))
	case Decimal:
		d := decimalAt(v)
		if p := d.places(); p > s.places {
			s.exact.Mul(&s.exact, power10(p-s.places))
			s.places = p
		}
		s.exact.Add(&s.exact, d.unscaled(s.places))
	case Number:
		s.float += v.AsNumber()
	}
}

// ErrOverflow says that a sum does not fit into the column's type.
var ErrOverflow = errors.New("the sum is too large for the column's type")

// AppendTotal writes the sum as JSON; null where nothing was added.
func (s *Sum) AppendTotal(dst []byte, k Kind) ([]byte, error) {
	switch {
	case s.count == 0:
		return append(dst, "null"...), nil
	case k == Integer && !s.exact.IsInt64(), k == Number && math.IsInf(s.float, 0):
		return nil, ErrOverflow
	case k == Integer:
		return s.exact.Append(dst, 10), nil
	case k == Number:
		return appendMarshalled(dst, s.float), nil
	default:
		return appendQuoted(dst, formatScaled(&s.exact, s.places)), nil
	}
}

// AppendMean writes the average as JSON: a number of numbers, else a decimal of
// at most twelve places, rounded half to even; null where nothing was added.
func (s *Sum) AppendMean(dst []byte, k Kind) ([]byte, error) {
	switch {
	case s.count == 0:
		return append(dst, "null"...), nil
	case k == Number && math.IsInf(s.float, 0):
		return nil, ErrOverflow
	case k == Number:
		return appendMarshalled(dst, s.float/float64(s.count)), nil
	}
	// sum / 10^places / count, in units of 10^-avgPlaces.
	numerator := new(big.Int).Mul(&s.exact, power10(avgPlaces))
	denominator := new(big.Int).Mul(power10(s.places), big.NewInt(s.count))
	return appendQuoted(dst, formatScaled(divideHalfEven(numerator, denominator), avgPlaces)), nil
}

// divideHalfEven divides by a positive number and rounds to the nearest, of two
// equally near to the even one.
func divideHalfEven(n, d *big.Int) *big.Int {
	quotient, rest := new(big.Int).DivMod(n, d, new(big.Int)) // rest >= 0
	switch twice := rest.Lsh(rest, 1); twice.Cmp(d) {
	case 1:
		quotient.Add(quotient, big.NewInt(1))
	case 0:
		if quotient.Bit(0) == 1 {
			quotient.Add(quotient, big.NewInt(1))
		}
	}
	return quotient
}
