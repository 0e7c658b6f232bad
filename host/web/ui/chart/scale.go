package chart

import (
	"math"
	"strconv"
	"strings"
)

// Measures of a plot, in its own units; the page stretches it.
const (
	plotW      = 1000.0
	plotH      = 300.0
	sparkH     = 32.0
	plotPoints = 400 // more are thinned out: nobody sees them
)

// finite reports whether v can be drawn: a number whose sums and differences
// with others are numbers too.
func finite(v float64) bool { return math.Abs(v) < 1e200 }

// bounds returns the least and the greatest of values.
func bounds(values []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		lo, hi = math.Min(lo, v), math.Max(hi, v)
	}
	return lo, hi
}

// scaled places v between lo and hi as 0 to 1; a flat line lies in the middle.
func scaled(v, lo, hi float64) float64 {
	if hi-lo <= 0 || !finite(hi-lo) {
		return 0.5
	}
	return (v - lo) / (hi - lo)
}

// nice widens lo and hi to multiples of a round step and says how many steps
// lie between them: three to five, whichever leaves the least empty. It begins
// at zero where no value is below.
func nice(lo, hi float64) (low, high float64, steps int) {
	lo, hi = math.Min(lo, 0), math.Max(hi, 0)
	if hi-lo == 0 {
		hi = lo + 1
	}
	if !finite(hi - lo) { // no value at all
		return 0, 1, 4
	}
	for _, n := range []int{4, 5, 3} {
		l, h := widened(lo, hi, n)
		if steps == 0 || h-l < high-low {
			low, high, steps = l, h, n
		}
	}
	return low, high, steps
}

func widened(lo, hi float64, steps int) (low, high float64) {
	step := roundStep((hi - lo) / float64(steps))
	low = math.Floor(lo/step) * step
	for low+step*float64(steps) < hi {
		step = roundStep(step * 1.01)
		low = math.Floor(lo/step) * step
	}
	return low, low + step*float64(steps)
}

// roundStep returns the next of 1, 2, 2.5, 5 or 10 times a power of ten.
func roundStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	if power < 1e-300 {
		return 1e-300
	}
	for _, m := range []float64{1, 2, 2.5, 5} {
		if step <= m*power*1.000001 {
			return m * power
		}
	}
	return 10 * power
}

// short writes v as an axis does: 1.2k, 3M, 0.25.
func short(v float64) string {
	size := math.Abs(v)
	switch {
	case size >= 1e15 || size > 0 && size < 1e-4:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case size >= 1e12:
		return trim(v/1e12) + "T"
	case size >= 1e9:
		return trim(v/1e9) + "G"
	case size >= 1e6:
		return trim(v/1e6) + "M"
	case size >= 1e4:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

// trim writes v with four significant digits and no trailing zeros; with an
// exponent where it would be long otherwise.
func trim(v float64) string {
	if size := math.Abs(v); size >= 1e15 || size > 0 && size < 1e-6 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(round(v, 4), 'f', -1, 64)
}

func round(v float64, digits int) float64 {
	if v == 0 || !finite(v) {
		return v
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// thin keeps at most n of the values, evenly, with the first and the last.
func thin[T any](values []T, n int) []T {
	if len(values) <= n {
		return values
	}
	out := make([]T, n)
	for i := range n {
		out[i] = values[i*(len(values)-1)/(n-1)]
	}
	return out
}

// pen collects the commands of a path; lift begins a new stroke at a gap.
type pen struct {
	b      strings.Builder
	down   bool
	strips [][2]float64 // first and last x of each stroke
}

func (p *pen) to(x, y float64) {
	if p.down {
		p.b.WriteByte('L')
		p.strips[len(p.strips)-1][1] = x
	} else {
		p.b.WriteByte('M')
		p.strips = append(p.strips, [2]float64{x, x})
		p.down = true
	}
	p.b.WriteString(coord(x) + " " + coord(y))
}

func (p *pen) lift() { p.down = false }

// String returns the path.
func (p *pen) String() string { return p.b.String() }

// closed returns the area between each stroke and the height base.
func (p *pen) closed(base float64) string {
	var out strings.Builder
	for i, stroke := range strings.Split(p.b.String(), "M")[1:] {
		ends := p.strips[i]
		out.WriteString("M" + stroke + "L" + coord(ends[1]) + " " + coord(base) + "L" + coord(ends[0]) + " " + coord(base) + "Z")
	}
	return out.String()
}

func coord(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
