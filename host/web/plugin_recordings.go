package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
)

// recordingsShown is how many recordings the tab lists.
const recordingsShown = 50

// recordingsTab lists recorded calls and says which are recorded.
func (v *visit) recordingsTab(in plugin.Instance, failure *host.Error) g.Node {
	list, err := v.Recordings.List(v.ctx(), v.caller, in.Name, recordingsShown)
	if err != nil {
		return ui.Card{Title: "Recorded calls", Body: v.failed(host.AsError(err))}
	}
	rule, err := v.Recordings.Rule(v.ctx(), v.caller, in.Name)
	if err != nil {
		return ui.Card{Title: "What is recorded", Body: v.failed(host.AsError(err))}
	}
	t := data.Table{Caption: "Recorded calls", Empty: ui.Empty{Icon: "clock", Title: "Nothing is recorded yet", Text: "A sample of the plugin's calls is kept here. A new release is tried on them before it takes over."},
		Columns: []data.Column{{Title: "Call", Telling: true}, {Title: "Release"}, {Title: "Fuel", Numeric: true}, {Title: "When", Numeric: true}, {Title: "File", HideTitle: true, Telling: true}}}
	for _, e := range list {
		call := ui.Nodes{h.Code(g.Text(e.Capability + " " + e.Method))}
		if e.Failed {
			call = append(call, ui.Chip{Text: "failed", Tone: ui.Bad})
		}
		if e.Redacted > 0 {
			call = append(call, ui.Chip{Text: ui.Count(e.Redacted) + " redacted"})
		}
		t.Rows = append(t.Rows, data.Row{h.Div(h.Class("row"), call), g.Text(e.Version), g.Text(amount(e.Fuel)), ui.Ago(e.At, v.now()),
			ui.Button{Label: "Export", Small: true, Href: pluginURL(in.Short) + "/recordings/" + e.ID, Attrs: []g.Node{h.Download("recording.json"), g.Attr("aria-label", "Export "+e.Capability+" "+e.Method)}}})
	}
	foot := h.P(h.Class("small soft"), g.Text("An exported call can be made again anywhere, with nothing connected: "), h.Code(g.Text("callboard plugin replay recording.json")))
	return h.Div(h.Class("grid"), ui.Card{Title: "Recorded calls", Span: "span-8", Flush: true, Body: t, Foot: foot}, v.recordingRule(in, rule, failure))
}

// recordingRule is the form that says which calls are recorded.
func (v *visit) recordingRule(in plugin.Instance, rule recording.Rule, failure *host.Error) g.Node {
	problem := ""
	if failure != nil {
		problem = failure.Message
	}
	return ui.Card{Title: "What is recorded", Span: "span-4", Body: h.Form(h.Class("form"), v.post(pluginURL(in.Short)+"/recording-rule"),
		form.Field{Name: "percent", Label: "Share of calls, in percent", Kind: form.Number, Value: strconv.FormatFloat(rule.Sample*100, 'g', -1, 64), Error: problem,
			Help: "0 records nothing. Credentials are replaced before anything is kept.", Attrs: []g.Node{h.Min("0"), h.Max("100"), h.Step("any")}},
		form.Field{Name: "days", Label: "Keep for, in days", Kind: form.Number, Value: strconv.FormatFloat(rule.Keep.Hours()/24, 'g', 4, 64), Attrs: []g.Node{h.Min("0.001"), h.Max("90"), h.Step("any")}},
		form.Field{Name: "most", Label: "Keep at most", Kind: form.Number, Value: strconv.Itoa(rule.Most), Attrs: []g.Node{h.Min("1"), h.Max("1000")}},
		ui.Button{Label: "Save", Kind: ui.Primary})}
}

// setRecordingRule saves which calls are recorded.
func (s *site) setRecordingRule(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	rule, err := ruleSent(v.r)
	if err == nil {
		_, err = v.Recordings.SetRule(v.ctx(), v.caller, in.Name, rule)
	}
	if e := host.AsError(err); err != nil && e.Code == host.CodeInvalid {
		return v.showPlugin(http.StatusUnprocessableEntity, in, "recordings", nil, e)
	}
	if err != nil {
		return err
	}
	return v.redirect(pluginURL(in.Short)+"?tab=recordings", good("What is recorded is saved."))
}

func ruleSent(r *http.Request) (recording.Rule, error) {
	number := func(name string) (float64, error) {
		n, err := strconv.ParseFloat(strings.TrimSpace(r.PostFormValue(name)), 64)
		if err != nil {
			return 0, host.Errorf(host.CodeInvalid, "%s must be a number.", name)
		}
		return n, nil
	}
	var rule recording.Rule
	percent, err := number("percent")
	if err != nil {
		return rule, err
	}
	days, err := number("days")
	if err != nil {
		return rule, err
	}
	most, err := number("most")
	if err != nil {
		return rule, err
	}
	return recording.Rule{Sample: percent / 100, Keep: time.Duration(days * 24 * float64(time.Hour)).Round(time.Second), Most: int(most)}, nil
}

// exportRecording sends one recorded call as a file.
func (s *site) exportRecording(v *visit) error {
	rec, err := v.Recordings.Export(v.ctx(), v.caller, v.r.PathValue("plugin"), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	head := v.w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Content-Disposition", `attachment; filename="recording.json"`)
	head.Set("Cache-Control", "no-store")
	return rec.Write(v.w)
}
