// Package ui is the set of components that every page, and every plugin's
// view, is made of: one Go value per component, rendered to HTML on the
// server. Components are values with zero defaults that implement
// gomponents.Node; they hold no state, do no I/O, and never write inline
// scripts or styles, so that they work under the strict content policy.
//
// Richer parts live beside it: ui/data (tables, lists, facts), ui/chart,
// ui/form, ui/text (Markdown) and ui/frame (the page around it all).
package ui

import (
	"io"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Tone gives a meaning that shows as colour and as shape, never as colour alone.
type Tone string

// The tones. Accent is "you are here" and nothing else.
const (
	Neutral Tone = "neutral"
	Good    Tone = "good"
	Warn    Tone = "warn"
	Bad     Tone = "bad"
	Info    Tone = "info"
	Accent  Tone = "accent"
)

// ToneOf returns the tone called name, or Neutral for any other word.
func ToneOf(name string) Tone {
	switch t := Tone(name); t {
	case Good, Warn, Bad, Info, Accent:
		return t
	}
	return Neutral
}

// class returns the CSS class of the tone.
func (t Tone) class() string {
	if t == "" {
		return "tone-neutral"
	}
	return "tone-" + string(t)
}

// Class joins the given class names, leaving out the empty ones.
func Class(names ...string) g.Node {
	kept := names[:0:0]
	for _, n := range names {
		if n != "" {
			kept = append(kept, n)
		}
	}
	return h.Class(strings.Join(kept, " "))
}

// Icon is one of the outline set, 16 px, hidden from screen readers: a word
// always stands beside it or in the label of what carries it.
func Icon(name string) g.Node {
	return g.El("svg", h.Class("icon"), g.Attr("aria-hidden", "true"), g.Attr("focusable", "false"),
		g.El("use", g.Attr("href", "/assets/icons.svg#"+name)))
}

// Hidden is text for screen readers only.
func Hidden(text string) g.Node { return h.Span(h.Class("sr"), g.Text(text)) }

// Nodes renders each of its children in turn.
type Nodes []g.Node

// Render writes the children.
func (n Nodes) Render(w io.Writer) error { return g.Group(n).Render(w) }

// If returns what then builds where ok holds, and nothing otherwise.
func If(ok bool, then func() g.Node) g.Node {
	if !ok {
		return nil
	}
	return then()
}

// Map builds one node for each item.
func Map[T any](items []T, build func(T) g.Node) g.Node {
	out := make(g.Group, len(items))
	for i, item := range items {
		out[i] = build(item)
	}
	return out
}
