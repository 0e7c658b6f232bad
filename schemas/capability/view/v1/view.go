// Package view is the capability view/v1: a plugin describes what to show as a
// typed tree of components, and the host renders it. A guest ships no script
// and no style.
package view

import (
	"encoding/json"
	"time"
)

const (
	// Name is the capability's name in manifests and calls.
	Name = "view/v1"
	// MethodRender takes a Request and returns a Tree.
	MethodRender = "render"
)

// The slots in which a view can appear.
const (
	SlotEntityTab  = "entity.tab"  // a tab of an entity's page
	SlotEntityCard = "entity.card" // a card on an entity's overview
	SlotPage       = "page"        // a page of its own in the sidebar
	SlotSettings   = "settings"    // a part of the plugin's settings page
)

// Request asks for one view of the manifest.
type Request struct {
	View string `json:"view"` // the view's id in the manifest
	Slot string `json:"slot"`
	// Entity is the entity whose page is shown, in Backstage's format, for the
	// entity slots.
	Entity json.RawMessage `json:"entity,omitempty"`
	// Params are the view's own query parameters, for example a time range.
	Params map[string]string `json:"params,omitempty"`
}

// Tree is what a view shows.
type Tree struct {
	// Source says where the content comes from, for the line under the title.
	Source *Source `json:"source,omitempty"`
	Nodes  []Node  `json:"nodes"`
	// Params are the choices that the view offers, for example its ranges.
	Params []Param `json:"params,omitempty"`
}

// Source names an upstream and when its data were read.
type Source struct {
	Label     string    `json:"label"`
	URL       string    `json:"url,omitempty"`
	FetchedAt time.Time `json:"fetchedAt,omitzero"`
	// Stale is true where the data are older than they should be; Message says why.
	Stale   bool   `json:"stale,omitempty"`
	Message string `json:"message,omitempty"`
}

// Param is a choice whose value comes back in Request.Params.
type Param struct {
	Name    string   `json:"name"`
	Label   string   `json:"label"`
	Value   string   `json:"value"`
	Options []Option `json:"options"`
}

// Option is one value of a Param or of a select field.
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Node is one component: exactly one of its fields is set.
type Node struct {
	Section  *Section  `json:"section,omitempty"`
	Stats    *Stats    `json:"stats,omitempty"`
	Table    *Table    `json:"table,omitempty"`
	List     *List     `json:"list,omitempty"`
	Timeline *Timeline `json:"timeline,omitempty"`
	Chart    *Chart    `json:"chart,omitempty"`
	Status   *Status   `json:"status,omitempty"`
	Link     *Link     `json:"link,omitempty"`
	Markdown *Markdown `json:"markdown,omitempty"`
	Form     *Form     `json:"form,omitempty"`
	Empty    *Empty    `json:"empty,omitempty"`
	Error    *Error    `json:"error,omitempty"`
	KeyValue *KeyValue `json:"keyValue,omitempty"`
	Code     *Code     `json:"code,omitempty"`
}

// Tone gives a meaning that the host shows as colour and shape.
type Tone string

const (
	ToneNeutral Tone = "neutral"
	ToneGood    Tone = "good"
	ToneWarn    Tone = "warn"
	ToneBad     Tone = "bad"
	ToneInfo    Tone = "info"
)

// Section groups nodes under a heading.
type Section struct {
	Title string `json:"title"`
	Nodes []Node `json:"nodes"`
}

// Stats is a row of figures.
type Stats struct {
	Items []Stat `json:"items"`
}

// Stat is one figure with its change.
type Stat struct {
	Label string `json:"label"`
	// Value is shown as written; Unit follows it in quiet ink.
	Value string `json:"value"`
	Unit  string `json:"unit,omitempty"`
	// Change is, for example, "+4.1 % against last week".
	Change string `json:"change,omitempty"`
	Tone   Tone   `json:"tone,omitempty"`
	// Spark is a small line behind the figure.
	Spark []float64 `json:"spark,omitempty"`
}

// Table is rows of cells under columns.
type Table struct {
	Caption string   `json:"caption,omitempty"`
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
	// Empty is shown instead of no rows.
	Empty string `json:"empty,omitempty"`
}

// Column is a table's column. Telling columns stay on a narrow screen.
type Column struct {
	Title   string `json:"title"`
	Numeric bool   `json:"numeric,omitempty"`
	Telling bool   `json:"telling,omitempty"`
}

// Row is one row; it has as many cells as the table has columns.
type Row struct {
	Cells []Cell `json:"cells"`
}

// Cell is text, perhaps with a link, a tone (shown as a status) or a time.
type Cell struct {
	Text string    `json:"text"`
	URL  string    `json:"url,omitempty"`
	Tone Tone      `json:"tone,omitempty"`
	Time time.Time `json:"time,omitzero"` // shown relative, Text is ignored
	Mono bool      `json:"mono,omitempty"`
	// Action makes the cell a button.
	Action *Action `json:"action,omitempty"`
}

// List is a list of titled items.
type List struct {
	Items []ListItem `json:"items"`
	Empty string     `json:"empty,omitempty"`
}

// ListItem is one item of a List.
type ListItem struct {
	Title  string    `json:"title"`
	Detail string    `json:"detail,omitempty"`
	URL    string    `json:"url,omitempty"`
	Tone   Tone      `json:"tone,omitempty"`
	Label  string    `json:"label,omitempty"` // the word of the tone, for example "Firing"
	Time   time.Time `json:"time,omitzero"`
}

// Timeline is events in time, newest first.
type Timeline struct {
	Events []Event `json:"events"`
}

// Event is one event of a Timeline.
type Event struct {
	Time   time.Time `json:"time"`
	Title  string    `json:"title"`
	Detail string    `json:"detail,omitempty"`
	Tone   Tone      `json:"tone,omitempty"`
	URL    string    `json:"url,omitempty"`
}

// Chart is series over time. The host draws it and puts a table behind it.
type Chart struct {
	Title string `json:"title"`
	Kind  string `json:"kind"` // line, bar, stacked or spark
	Unit  string `json:"unit,omitempty"`
	// From and To are the ends of the time axis; zero takes them from the points.
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Series []Series  `json:"series"`
	// Empty is shown instead of no series.
	Empty string `json:"empty,omitempty"`
	// Query is what was asked of the upstream, shown on request.
	Query string `json:"query,omitempty"`
}

// Series is one line of a chart.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is a value at a time; a null value is a gap.
type Point struct {
	Time  time.Time `json:"t"`
	Value *float64  `json:"v"`
}

// Status is one state with its word.
type Status struct {
	Tone   Tone   `json:"tone"`
	Label  string `json:"label"`
	Detail string `json:"detail,omitempty"`
}

// Link leads out of the portal.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Markdown is text in CommonMark. The host sanitises it.
type Markdown struct {
	Text string `json:"text"`
}

// KeyValue is a list of facts.
type KeyValue struct {
	Items []Fact `json:"items"`
}

// Fact is one key of a KeyValue with its value.
type Fact struct {
	Key string `json:"key"`
	Cell
}

// Code is a block with a copy button.
type Code struct {
	Language string `json:"language,omitempty"`
	Text     string `json:"text"`
}

// Form calls an operation of the same plugin with what the reader typed.
type Form struct {
	Action Action  `json:"action"`
	Fields []Field `json:"fields"`
}

// Field is one input of a form.
type Field struct {
	Name     string   `json:"name"`
	Label    string   `json:"label"`
	Help     string   `json:"help,omitempty"`
	Kind     string   `json:"kind"` // text, number, checkbox, select or textarea
	Value    string   `json:"value,omitempty"`
	Required bool     `json:"required,omitempty"`
	Options  []Option `json:"options,omitempty"`
}

// Action is a button that calls an operation of the same plugin's route/v1.
type Action struct {
	Label     string `json:"label"`
	Operation string `json:"operation"` // the operation's id in the fragment
	// Params are the operation's path and query parameters.
	Params map[string]string `json:"params,omitempty"`
	// Confirm is asked before the call, where the action cannot be undone.
	Confirm string `json:"confirm,omitempty"`
	Danger  bool   `json:"danger,omitempty"`
}

// Empty says that there is nothing, and the next step with the line to paste.
type Empty struct {
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
	Code  string `json:"code,omitempty"`
}

// Error says what failed and what to do; the rest of the tree still shows.
type Error struct {
	Title             string `json:"title"`
	Text              string `json:"text,omitempty"`
	Hint              string `json:"hint,omitempty"`
	RetryAfterSeconds int    `json:"retryAfterSeconds,omitempty"`
}
