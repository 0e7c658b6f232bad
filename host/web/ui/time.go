package ui

import (
	"fmt"
	"math"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Ago is a time said relative to now, with the exact one on hover; the script
// turns the latter into the reader's zone. A zero time is "never".
func Ago(t, now time.Time) g.Node {
	if t.IsZero() {
		return h.Span(h.Class("quiet"), g.Text("never"))
	}
	return h.Time(h.DateTime(stamp(t)), g.Attr("data-as", "ago"),
		g.Attr("title", t.UTC().Format("2 Jan 2006, 15:04:05 UTC")), g.Text(AgoText(t, now)))
}

// AgoText is Ago without markup: "4 min ago", "in 2 h", "3 Feb 2026".
func AgoText(t, now time.Time) string {
	d := now.Sub(t)
	far := d.Abs()
	switch {
	case far < 45*time.Second && d < -5*time.Second:
		return "in a moment"
	case far < 45*time.Second:
		return "just now"
	case far >= 30*24*time.Hour:
		return t.UTC().Format("2 Jan 2006")
	case d < 0:
		return "in " + span(far)
	}
	return span(far) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < 59*time.Minute+30*time.Second:
		return fmt.Sprintf("%d min", max(1, int(math.Round(d.Minutes()))))
	case d < 36*time.Hour:
		return fmt.Sprintf("%d h", int(math.Round(d.Hours())))
	}
	return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
}

// Exact is a full time; the script turns it into the reader's zone.
func Exact(t time.Time) g.Node {
	if t.IsZero() {
		return h.Span(h.Class("quiet"), g.Text("never"))
	}
	return h.Time(h.DateTime(stamp(t)), g.Attr("data-as", "exact"), h.Class("nowrap"),
		g.Text(t.UTC().Format("2 Jan 2006, 15:04:05")))
}

// Clock is a time of day, for axes and log lines, in the reader's zone.
func Clock(t time.Time) g.Node {
	return h.Time(h.DateTime(stamp(t)), g.Attr("data-as", "clock"), g.Text(t.UTC().Format("15:04")))
}

// Day is a date, for axes, in the reader's zone.
func Day(t time.Time) g.Node {
	return h.Time(h.DateTime(stamp(t)), g.Attr("data-as", "day"), g.Text(t.UTC().Format("2 Jan")))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Count writes n with thousands set apart: 1,284.
func Count(n int) string {
	s := fmt.Sprint(n)
	if n < 0 {
		return "−" + Count(-n)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural is n and the noun that fits: "1 entity", "12 entities".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}
