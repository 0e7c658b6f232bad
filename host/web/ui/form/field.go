// Package form is what one types into: fields with label, help and error; the
// form that a JSON Schema describes; and the list of permissions to consent to.
package form

import (
	"io"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host/web/ui"
)

// The kinds of fields.
const (
	Text     = "text"
	Number   = "number"
	Checkbox = "checkbox"
	Select   = "select"
	TextArea = "textarea"
	Password = "password"
	Email    = "email"
	URL      = "url"
	Search   = "search"
	File     = "file"
)

// Option is one choice of a Select or of Combo suggestions.
type Option struct {
	Value, Label string
}

// Field is one input with its label, help and error.
type Field struct {
	// Name is the input's name; ID is derived from it unless set.
	Name, ID string
	Label    string
	// Help says what the value is for; it stays in sight.
	Help string
	// Error says what is wrong with the value and what would be right.
	Error    string
	Kind     string // Text unless set
	Value    string
	Required bool
	// Optional says so beside the label, in forms where most fields are required.
	Optional    bool
	Disabled    bool
	Placeholder string
	Mono        bool
	Icon        string
	// Options are the choices of a Select, and suggestions of any other kind.
	Options []Option
	// HideLabel leaves the label to screen readers.
	HideLabel    bool
	AutoComplete string
	Attrs        []g.Node
}

// Render writes the field.
func (f Field) Render(w io.Writer) error {
	if f.ID == "" {
		f.ID = "f-" + f.Name
	}
	if f.Kind == Checkbox {
		return f.checkbox().Render(w)
	}
	label := h.Label(h.For(f.ID), g.If(f.HideLabel, h.Class("sr")), g.Text(f.Label),
		ui.If(f.Optional, func() g.Node { return h.Span(h.Class("optional"), g.Text("optional")) }))
	return h.Div(h.Class("field"), label, f.help(), f.input(), f.failure(), f.suggestions()).Render(w)
}

func (f Field) help() g.Node {
	if f.Help == "" {
		return nil
	}
	return h.Div(h.Class("field-help"), h.ID(f.ID+"-help"), g.Text(f.Help))
}

func (f Field) failure() g.Node {
	if f.Error == "" {
		return nil
	}
	return h.Div(h.Class("field-error"), h.ID(f.ID+"-error"), ui.Icon("error"), h.Span(g.Text(f.Error)))
}

func (f Field) suggestions() g.Node {
	if len(f.Options) == 0 || f.Kind == Select {
		return nil
	}
	return h.DataList(h.ID(f.ID+"-list"), ui.Map(f.Options, func(o Option) g.Node { return h.Option(h.Value(o.Value), g.Text(o.Label)) }))
}

// common are the attributes of every kind of input.
func (f Field) common() g.Node {
	described := ""
	if f.Help != "" {
		described = f.ID + "-help"
	}
	if f.Error != "" {
		if described != "" {
			described += " "
		}
		described += f.ID + "-error"
	}
	class := "input"
	if f.Mono {
		class += " input-mono"
	}
	return g.Group{
		h.ID(f.ID), h.Name(f.Name), g.If(f.Kind != Checkbox, h.Class(class)),
		g.If(f.Required, h.Required()), g.If(f.Disabled, h.Disabled()),
		g.If(described != "", g.Attr("aria-describedby", described)),
		g.If(f.Error != "", g.Attr("aria-invalid", "true")),
		g.If(f.Placeholder != "", h.Placeholder(f.Placeholder)),
		g.If(f.AutoComplete != "", h.AutoComplete(f.AutoComplete)),
		g.Group(f.Attrs),
	}
}

func (f Field) input() g.Node {
	switch f.Kind {
	case Select:
		return h.Span(h.Class("select"), h.Select(f.common(), ui.Map(f.Options, func(o Option) g.Node {
			return h.Option(h.Value(o.Value), g.If(o.Value == f.Value, h.Selected()), g.Text(o.Label))
		})), ui.Icon("chevron-down"))
	case TextArea:
		return h.Textarea(f.common(), g.Attr("spellcheck", "false"), g.Text(f.Value))
	}
	kind := f.Kind
	if kind == "" {
		kind = Text
	}
	input := h.Input(h.Type(kind), f.common(), g.If(kind != Password && kind != File, h.Value(f.Value)),
		g.If(kind == Number, g.Attr("step", "any")),
		g.If(len(f.Options) > 0, g.Attr("list", f.ID+"-list")))
	if f.Icon == "" {
		return input
	}
	return h.Span(h.Class("with-icon"), ui.Icon(f.Icon), input)
}

func (f Field) checkbox() g.Node {
	return h.Div(h.Class("field"),
		h.Div(h.Class("check"), h.Input(h.Type("checkbox"), f.common(), h.Value("true"), g.If(f.Value == "true", h.Checked())),
			h.Div(h.Label(h.For(f.ID), g.Text(f.Label)), f.help())), f.failure())
}

// Hidden is a hidden input.
func Hidden(name, value string) g.Node {
	return h.Input(h.Type("hidden"), h.Name(name), h.Value(value))
}

// Post are the attributes of a form that changes something: its address and
// the token that proves that one of our own pages sent it.
func Post(action, csrf string) g.Node {
	return g.Group{h.Method("post"), h.Action(action), Hidden("csrf", csrf)}
}
