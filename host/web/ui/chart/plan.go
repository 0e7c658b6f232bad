package chart

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// plan is a chart laid out: which series are drawn, and on what scales.
type plan struct {
	kind, label string
	drawn       []Series
	all         []Series
	times       []time.Time // of all drawn points, ascending
	from, to    time.Time
	lo, hi      float64
	steps       int  // between gridlines
	left        int  // series that are not drawn by themselves
	grouped     bool // they are drawn together as Other
}

func (c Chart) plan() plan {
	if c.Kind != Bar && c.Kind != Stacked {
		c.Kind = Line
	}
	p := plan{kind: c.Kind, from: c.From, to: c.To}
	for _, s := range c.Series {
		p.all = append(p.all, clean(s))
	}
	p.choose()
	p.times = timesOf(p.drawn)
	if len(p.times) > 0 {
		if p.from.IsZero() {
			p.from = p.times[0]
		}
		if p.to.IsZero() || p.to.Before(p.from) {
			p.to = p.times[len(p.times)-1]
		}
		if p.from.Equal(p.to) {
			p.from, p.to = p.from.Add(-30*time.Minute), p.to.Add(30*time.Minute)
		}
	}
	p.scale()
	p.label = p.describe(c)
	return p
}

// clean drops what cannot be drawn and thins what nobody could see.
func clean(s Series) Series {
	points := make([]Point, 0, len(s.Points))
	for _, pt := range s.Points {
		if pt.Value != nil && !finite(*pt.Value) {
			pt.Value = nil
		}
		points = append(points, pt)
	}
	slices.SortStableFunc(points, func(a, b Point) int { return a.Time.Compare(b.Time) })
	return Series{Name: s.Name, Points: thin(points, plotPoints)}
}

// choose draws at most five series: the greatest. Of stacked bars the rest is
// added up, because a stack must keep its height.
func (p *plan) choose() {
	p.drawn = p.all
	if len(p.all) <= seriesMax {
		return
	}
	ranked := slices.Clone(p.all)
	slices.SortStableFunc(ranked, func(a, b Series) int {
		return -compare(weight(a), weight(b))
	})
	keep := seriesMax
	if p.kind == Stacked {
		keep, p.grouped = seriesMax-1, true
	}
	p.left = len(ranked) - keep
	p.drawn = ranked[:keep:keep]
	if p.grouped {
		p.drawn = append(p.drawn, sum("Other", ranked[keep:]))
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func weight(s Series) float64 {
	total := 0.0
	for _, pt := range s.Points {
		if pt.Value != nil {
			total += math.Abs(*pt.Value)
		}
	}
	return total
}

func sum(name string, list []Series) Series {
	at := map[int64]float64{}
	for _, s := range list {
		for _, pt := range s.Points {
			if pt.Value != nil {
				at[pt.Time.UnixNano()] += *pt.Value
			}
		}
	}
	out := Series{Name: name}
	for _, t := range timesOf(list) {
		if v, ok := at[t.UnixNano()]; ok {
			out.Points = append(out.Points, Point{Time: t, Value: &v})
		}
	}
	return out
}

func timesOf(list []Series) []time.Time {
	var out []time.Time
	for _, s := range list {
		for _, pt := range s.Points {
			out = append(out, pt.Time)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// scale finds the ends of the value axis.
func (p *plan) scale() {
	lo, hi := math.Inf(1), math.Inf(-1)
	see := func(v float64) { lo, hi = math.Min(lo, v), math.Max(hi, v) }
	for _, t := range p.times {
		up, down := 0.0, 0.0
		for _, s := range p.drawn {
			v, ok := s.at(t)
			if !ok {
				continue
			}
			if p.kind != Stacked {
				see(v)
			} else if v < 0 {
				down += v
				see(down)
			} else {
				up += v
				see(up)
			}
		}
	}
	p.lo, p.hi, p.steps = nice(lo, hi)
}

// at returns the value at exactly t.
func (s Series) at(t time.Time) (float64, bool) {
	i, ok := slices.BinarySearchFunc(s.Points, t, func(pt Point, t time.Time) int { return pt.Time.Compare(t) })
	if !ok || s.Points[i].Value == nil {
		return 0, false
	}
	return *s.Points[i].Value, true
}

func (p *plan) x(t time.Time) float64 {
	return scaled(float64(t.UnixMilli()), float64(p.from.UnixMilli()), float64(p.to.UnixMilli())) * plotW
}

func (p *plan) y(v float64) float64 { return plotH - scaled(v, p.lo, p.hi)*plotH }

// describe says in words what the picture shows.
func (p *plan) describe(c Chart) string {
	text := c.Title
	if c.Unit != "" {
		text += " in " + c.Unit
	}
	for _, s := range p.drawn {
		var values []float64
		for _, pt := range s.Points {
			if pt.Value != nil {
				values = append(values, *pt.Value)
			}
		}
		if len(values) == 0 {
			continue
		}
		lo, hi := bounds(values)
		text += fmt.Sprintf(". %s: from %s to %s, last %s", s.Name, short(lo), short(hi), short(values[len(values)-1]))
	}
	return text
}

// svg draws the plot.
func (p *plan) svg() g.Node {
	marks := p.lines
	if p.kind == Bar || p.kind == Stacked {
		marks = p.bars
	}
	return g.El("svg", g.Attr("viewBox", "0 0 1000 300"), g.Attr("preserveAspectRatio", "none"), h.Role("img"),
		g.Attr("aria-label", p.label), g.Attr("data-points", p.points()),
		g.El("rect", h.Width("1000"), h.Height("300"), g.Attr("fill", "transparent")),
		p.gridlines(), marks(),
		g.El("line", h.Class("crosshair"), g.Attr("y1", "0"), g.Attr("y2", "300"), g.Attr("x1", "0"), g.Attr("x2", "0"), g.Attr("visibility", "hidden")))
}

func (p *plan) gridlines() g.Node {
	out := g.Group{}
	for i := range p.steps + 1 {
		v := p.lo + (p.hi-p.lo)/float64(p.steps)*float64(i)
		class := "gridline"
		if math.Abs(v) < (p.hi-p.lo)*1e-9 {
			class = "axis"
		}
		y := coord(p.y(v))
		out = append(out, g.El("line", h.Class(class), g.Attr("x1", "0"), g.Attr("x2", "1000"), g.Attr("y1", y), g.Attr("y2", y)))
	}
	return out
}

func (p *plan) lines() g.Node {
	out := g.Group{}
	for i, s := range p.drawn {
		path := pen{}
		var lastX, lastY float64
		for _, pt := range s.Points {
			if pt.Value == nil {
				path.lift()
				continue
			}
			lastX, lastY = p.x(pt.Time), p.y(*pt.Value)
			path.to(lastX, lastY)
		}
		if len(path.strips) == 0 {
			continue
		}
		ser := "ser-" + strconv.Itoa(i+1)
		if len(p.drawn) == 1 {
			out = append(out, g.El("path", h.Class("area "+ser), g.Attr("d", path.closed(p.y(math.Max(p.lo, 0))))))
		}
		out = append(out, g.El("path", h.Class("path "+ser), g.Attr("d", path.String())),
			g.El("path", h.Class("last "+ser), g.Attr("d", "M"+coord(lastX)+" "+coord(lastY)+"h0.01")))
	}
	return out
}

// bars draws one group or one stack for each time.
func (p *plan) bars() g.Node {
	slot := plotW / float64(max(1, len(p.times)))
	out := g.Group{}
	for n, t := range p.times {
		up, down := 0.0, 0.0
		for i, s := range p.drawn {
			v, ok := s.at(t)
			if !ok {
				continue
			}
			base, x, width := 0.0, float64(n)*slot+slot*0.15, slot*0.7
			if p.kind == Bar {
				width /= float64(len(p.drawn))
				x += width * float64(i)
			} else if v < 0 {
				base, down = down, down+v
			} else {
				base, up = up, up+v
			}
			top, bottom := p.y(math.Max(base, base+v)), p.y(math.Min(base, base+v))
			out = append(out, g.El("rect", h.Class("bar ser-"+strconv.Itoa(i+1)), g.Attr("x", coord(x)), g.Attr("y", coord(top)),
				h.Width(coord(width)), h.Height(coord(math.Max(bottom-top, 0.5)))))
		}
	}
	return out
}

// points is what the script reads off the plot: places, times, values.
func (p *plan) points() string {
	type series struct {
		Name   string   `json:"n"`
		Values []string `json:"v"`
	}
	out := struct {
		X      []float64 `json:"x"`
		T      []int64   `json:"t"`
		Series []series  `json:"s"`
	}{}
	times := thin(p.times, plotPoints)
	for n, t := range times {
		x := p.x(t) / plotW
		if p.kind != Line {
			x = (float64(n) + 0.5) / float64(len(times))
		}
		out.X = append(out.X, math.Round(x*1e4)/1e4)
		out.T = append(out.T, t.Unix())
	}
	for _, s := range p.drawn {
		line := series{Name: s.Name}
		for _, t := range times {
			text := "no data"
			if v, ok := s.at(t); ok {
				text = trim(v)
			}
			line.Values = append(line.Values, text)
		}
		out.Series = append(out.Series, line)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func (p *plan) yAxis() g.Node {
	out := g.Group{}
	for i := range p.steps + 1 {
		out = append(out, h.Span(g.Text(short(p.lo+(p.hi-p.lo)/float64(p.steps)*float64(i)))))
	}
	return h.Div(h.Class("y"), g.Attr("aria-hidden", "true"), out)
}

func (p *plan) xAxis() g.Node {
	const steps = 4
	out := g.Group{}
	length := p.to.Sub(p.from)
	for i := range steps + 1 {
		t := p.from.Add(length / steps * time.Duration(i))
		if length > 48*time.Hour {
			out = append(out, ui.Day(t))
		} else {
			out = append(out, ui.Clock(t))
		}
	}
	return h.Div(h.Class("x"), g.Attr("aria-hidden", "true"), out)
}
