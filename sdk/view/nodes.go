package view

import (
	"errors"
	"time"

	v1 "github.com/callboard-dev/callboard/schemas/capability/view/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// The component tree, as the wire has it.
type (
	Tree     = v1.Tree
	Source   = v1.Source
	Param    = v1.Param
	Option   = v1.Option
	Node     = v1.Node
	Tone     = v1.Tone
	Stat     = v1.Stat
	Table    = v1.Table
	Column   = v1.Column
	Row      = v1.Row
	Cell     = v1.Cell
	ListItem = v1.ListItem
	Event    = v1.Event
	Chart    = v1.Chart
	Series   = v1.Series
	Point    = v1.Point
	Fact     = v1.Fact
	Form     = v1.Form
	Field    = v1.Field
	Action   = v1.Action
	Empty    = v1.Empty
	Error    = v1.Error
)

// The tones: what something means. The host chooses colour and shape.
const (
	Neutral = v1.ToneNeutral
	Good    = v1.ToneGood
	Warn    = v1.ToneWarn
	Bad     = v1.ToneBad
	Info    = v1.ToneInfo
)

// The kinds of a chart.
const (
	Line    = "line"
	Bar     = "bar"
	Stacked = "stacked"
	Spark   = "spark"
)

// The slots in which a view can appear; a view is given its own in plugin.yaml.
const (
	SlotEntityTab  = v1.SlotEntityTab
	SlotEntityCard = v1.SlotEntityCard
	SlotPage       = v1.SlotPage
	SlotSettings   = v1.SlotSettings
)

// Section groups nodes under a heading.
func Section(title string, nodes ...Node) Node {
	if nodes == nil {
		nodes = []Node{}
	}
	return Node{Section: &v1.Section{Title: title, Nodes: nodes}}
}

// StatRow shows figures side by side.
func StatRow(items ...Stat) Node { return Node{Stats: &v1.Stats{Items: items}} }

// TableOf shows rows under columns; each row has one cell for each column.
func TableOf(t Table) Node {
	if t.Rows == nil {
		t.Rows = []Row{}
	}
	return Node{Table: &t}
}

// RowOf returns a row of the cells.
func RowOf(cells ...Cell) Row { return Row{Cells: cells} }

// TextCell is a cell of text.
func TextCell(text string) Cell { return Cell{Text: text} }

// MonoCell is a cell of text in a fixed-width face, for ids and hashes.
func MonoCell(text string) Cell { return Cell{Text: text, Mono: true} }

// LinkCell is a cell that leads out of the portal.
func LinkCell(text, url string) Cell { return Cell{Text: text, URL: url} }

// ToneCell is a cell that shows a status.
func ToneCell(tone Tone, text string) Cell { return Cell{Text: text, Tone: tone} }

// TimeCell is a cell that shows a time relative to now.
func TimeCell(t time.Time) Cell { return Cell{Time: t} }

// ActionCell is a cell with a button.
func ActionCell(a Action) Cell { return Cell{Text: a.Label, Action: &a} }

// List shows titled items; empty is shown instead of none.
func List(empty string, items ...ListItem) Node {
	if items == nil {
		items = []ListItem{}
	}
	return Node{List: &v1.List{Items: items, Empty: empty}}
}

// Timeline shows events; give the newest first.
func Timeline(events ...Event) Node {
	if events == nil {
		events = []Event{}
	}
	return Node{Timeline: &v1.Timeline{Events: events}}
}

// ChartOf draws series over time.
func ChartOf(c Chart) Node {
	if c.Kind == "" {
		c.Kind = Line
	}
	if c.Series == nil {
		c.Series = []Series{}
	}
	return Node{Chart: &c}
}

// At is a point of a chart.
func At(t time.Time, value float64) Point { return Point{Time: t, Value: &value} }

// Gap is a point without a value.
func Gap(t time.Time) Point { return Point{Time: t} }

// Status shows one state with its word.
func Status(tone Tone, label, detail string) Node {
	return Node{Status: &v1.Status{Tone: tone, Label: label, Detail: detail}}
}

// Link leads out of the portal.
func Link(title, url string) Node { return Node{Link: &v1.Link{Title: title, URL: url}} }

// Text shows CommonMark; the host sanitises it.
func Text(commonMark string) Node { return Node{Markdown: &v1.Markdown{Text: commonMark}} }

// Facts shows a list of keys and values.
func Facts(facts ...Fact) Node { return Node{KeyValue: &v1.KeyValue{Items: facts}} }

// FactOf is one fact.
func FactOf(key string, value Cell) Fact { return Fact{Key: key, Cell: value} }

// Code shows a block with a copy button.
func Code(language, text string) Node { return Node{Code: &v1.Code{Language: language, Text: text}} }

// FormOf shows inputs and calls an operation of the same plugin with them.
func FormOf(action Action, fields ...Field) Node {
	if fields == nil {
		fields = []Field{}
	}
	return Node{Form: &Form{Action: action, Fields: fields}}
}

// Nothing says that there is nothing, and the next step with the line to paste.
func Nothing(title, text, code string) Node {
	return Node{Empty: &Empty{Title: title, Text: text, Code: code}}
}

// Failure shows an error in the place of one part; the rest of the tree still
// shows. Hint and time to wait are those of the sdk.Error in err's chain. A nil
// err is a defect of the caller and shows as an unknown failure.
func Failure(title string, err error) Node {
	if err == nil {
		err = errors.New("unknown failure")
	}
	e := sdk.AsError(err)
	wait := int((e.RetryAfter + time.Second - 1) / time.Second)
	return Node{Error: &Error{Title: title, Text: e.Message, Hint: e.Hint, RetryAfterSeconds: wait}}
}
