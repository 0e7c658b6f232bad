package flame

import (
	"fmt"
	"hash/fnv"
	"html"
	"io"
)

// Measures of the picture, in pixels.
const (
	width     = 1200
	rowHeight = 18
	textWidth = 6.6 // of a letter
	// thinnest is the width below which a function is left out.
	thinnest = 0.4
)

// WriteSVG draws the profile as a flame graph: width is fuel, callers stand
// below what they call. It has no script; the text of a box is in its title.
func (p *Profile) WriteSVG(w io.Writer, title string) error {
	total := p.Total()
	if total == 0 {
		total = 1
	}
	d := &drawing{w: w, scale: width / float64(total), total: total, depth: depth(p.root, total)}
	height := (d.depth + 2) * rowHeight
	d.print(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="ui-monospace,monospace" font-size="11">`+"\n", width, height, width, height)
	d.print(`<rect width="%d" height="%d" fill="#fff"/><text x="6" y="13">%s: %d fuel</text>`+"\n", width, height, html.EscapeString(title), p.Total())
	x := 0.0
	for _, c := range p.root.sorted() {
		d.box(c, x, 0)
		x += float64(c.total()) * d.scale
	}
	d.print("</svg>\n")
	return d.err
}

// depth is how many rows the picture has.
func depth(n *node, total int64) int {
	most := 0
	for _, c := range n.children {
		if float64(c.total())*width/float64(total) >= thinnest {
			most = max(most, 1+depth(c, total))
		}
	}
	return most
}

type drawing struct {
	w     io.Writer
	scale float64
	total int64
	depth int
	err   error
}

func (d *drawing) print(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

// box draws a function and what it called.
func (d *drawing) box(n *node, x float64, row int) {
	fuel := n.total()
	wide := float64(fuel) * d.scale
	if wide < thinnest {
		return
	}
	y := (d.depth - row) * rowHeight
	name := html.EscapeString(n.name)
	d.print(`<g><title>%s: %d fuel (%.1f %%), %d of its own</title><rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s" stroke="#fff" stroke-width=".5"/>`,
		name, fuel, 100*float64(fuel)/float64(d.total), n.self, x, y, wide, rowHeight, colour(n.name))
	if letters := int((wide - 6) / textWidth); letters >= 3 {
		text := []rune(n.name)
		if len(text) > letters {
			text = append(text[:letters-1], '…')
		}
		d.print(`<text x="%.2f" y="%d">%s</text>`, x+3, y+13, html.EscapeString(string(text)))
	}
	d.print("</g>\n")
	x += float64(n.self) * d.scale
	for _, c := range n.sorted() {
		d.box(c, x, row+1)
		x += float64(c.total()) * d.scale
	}
}

// colour is a warm one that belongs to the name.
func colour(name string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name) // a hash takes everything
	v := h.Sum32()
	return fmt.Sprintf("#%02x%02x%02x", 205+v%50, 110+v>>8%110, 60+v>>16%50)
}
