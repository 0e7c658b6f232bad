package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/form"
	"github.com/callboard-dev/callboard/host/web/ui/viewtree"
)

// act calls the operation that a button or form of a plugin's view names, with
// the reader's rights, and goes back to where the reader was.
func (s *site) act(v *visit) error {
	short, sent := v.r.PathValue("plugin"), v.r.PostForm
	back := local(sent.Get("next"), "/")
	params, body, err := callOf(sent, v.parametersOf(short, sent.Get(viewtree.InputOperation)))
	if err != nil {
		return v.redirect(back, bad(host.AsError(err).Error()))
	}
	response, err := v.Operations.Invoke(v.ctx(), v.caller, short, sent.Get(viewtree.InputOperation), params, body)
	if err != nil {
		return v.redirect(back, bad(host.AsError(err).Error()))
	}
	return v.redirect(back, answer(response.Status, response.Body))
}

// parametersOf are the names of an operation's path and query parameters, as
// far as it names them itself. A field of such a name is no part of the body.
func (v *visit) parametersOf(short, id string) map[string]bool {
	out := map[string]bool{}
	for _, op := range v.Operations.Operations(v.caller.TenantID()) {
		if op.Short != short || op.OperationID != id {
			continue
		}
		var described struct {
			Parameters []struct {
				Name string `json:"name"`
			} `json:"parameters"`
		}
		_ = json.Unmarshal(op.Fragment, &described) // a fragment was checked at install
		for _, p := range described.Parameters {
			out[p.Name] = true
		}
	}
	return out
}

// callOf reads the parameters and the body of an action's form.
func callOf(sent url.Values, parameters map[string]bool) (params map[string]string, body []byte, err error) {
	params = map[string]string{}
	fields := map[string]any{}
	for name, values := range sent {
		if key, ok := strings.CutPrefix(name, viewtree.PrefixParam); ok && len(values) > 0 {
			params[key] = values[0]
		}
		if key, ok := strings.CutPrefix(name, viewtree.PrefixKind); ok && len(values) > 0 {
			value, set, err := fieldValue(values[0], key, sent.Get(viewtree.PrefixField+key))
			if err != nil {
				return nil, nil, err
			}
			switch {
			case set && parameters[key]:
				params[key] = fmt.Sprint(value)
			case set:
				fields[key] = value
			}
		}
	}
	if len(fields) == 0 {
		return params, nil, nil
	}
	body, err = json.Marshal(fields)
	return params, body, err
}

// fieldValue gives what was typed the JSON type of its kind; an empty field is
// not sent.
func fieldValue(kind, name, text string) (value any, set bool, err error) {
	switch {
	case kind == form.Checkbox:
		return text == "true", true, nil
	case text == "":
		return nil, false, nil
	case kind == form.Number:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, false, host.Errorf(host.CodeInvalid, "%s must be a number, not %q.", name, text)
		}
		return n, true, nil
	}
	return text, true, nil
}

// answer says in a notice how an operation ended: in its own words where it
// has any.
func answer(status int, body json.RawMessage) ui.Toast {
	var words struct {
		Message string `json:"message"`
		Detail  string `json:"detail"`
		Title   string `json:"title"`
	}
	_ = json.Unmarshal(body, &words) // an answer without words is none
	text := words.Message
	for _, other := range []string{words.Detail, words.Title} {
		if text == "" {
			text = other
		}
	}
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	if status >= 400 {
		if text == "" {
			text = "The plugin answered with status " + strconv.Itoa(status) + "."
		}
		return bad(text)
	}
	if text == "" {
		text = "Done."
	}
	return good(text)
}
