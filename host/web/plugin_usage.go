package web

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/grant"
	"github.com/callboard-dev/callboard/host/plugin/ledger"
	"github.com/callboard-dev/callboard/host/web/ui"
	"github.com/callboard-dev/callboard/host/web/ui/chart"
	"github.com/callboard-dev/callboard/host/web/ui/data"
	"github.com/callboard-dev/callboard/host/web/ui/form"
)

// Spans of the usage tab.
const (
	spanDay   = "24h"
	spanMonth = "30d"
)

// usageTab shows what the tenant's calls of a plugin used, and what bounds it.
func (v *visit) usageTab(in plugin.Instance, failure *host.Error) g.Node {
	span := cmp.Or(v.r.URL.Query().Get("span"), spanDay)
	q := ledger.Query{From: v.now().Add(-24 * time.Hour).Truncate(time.Hour), To: v.now(), Step: ledger.StepHour}
	if span == spanMonth {
		q = ledger.Query{From: v.now().AddDate(0, 0, -30).Truncate(24 * time.Hour), To: v.now(), Step: ledger.StepDay}
	}
	report, err := v.Meter.Usage(v.ctx(), v.caller, in.Name, q)
	if err != nil {
		return ui.Card{Title: "Usage", Body: v.failed(host.AsError(err))}
	}
	quotas, err := v.Meter.Quotas(v.ctx(), v.caller, in.Name)
	if err != nil {
		return ui.Card{Title: "Quota", Body: v.failed(host.AsError(err))}
	}
	return h.Div(h.Class("grid"),
		ui.Card{Title: "What it used", Span: "span-12", Actions: []g.Node{spanLinks(in, span)}, Body: usageStats(report.Total)},
		ui.Card{Title: "Calls", Span: "span-8", Body: callChart(report)},
		v.quotaCard(in, quotas, failure),
		ui.Card{Title: "By capability", Span: "span-12", Flush: true, Body: shareTable(report.Capabilities)})
}

// spanLinks choose how far back the figures go.
func spanLinks(in plugin.Instance, current string) g.Node {
	link := func(span, label string) g.Node {
		return h.A(h.Href(pluginURL(in.Short)+"?tab=usage&span="+span), g.If(span == current, g.Attr("aria-current", "true")), g.Text(label))
	}
	return h.Span(h.Class("small"), link(spanDay, "24 hours"), g.Text(" · "), link(spanMonth, "30 days"))
}

func usageStats(t ledger.Total) g.Node {
	failed := data.Stat{Label: "Failed", Value: ui.Count(int(t.Errors))}
	if t.Errors > 0 {
		failed.Tone, failed.Change = ui.Bad, mostOften(t.ByCode)
	}
	return data.Stats{
		{Label: "Calls", Value: ui.Count(int(t.Calls))}, failed,
		{Label: "Fuel", Value: amount(t.Fuel), Unit: "units"},
		{Label: "Time", Value: tookInWords(t.Wall)},
		{Label: "Host calls", Value: ui.Count(int(t.HostCalls))},
		{Label: "Moved", Value: bytesInWords(t.Input + t.Output + t.HostBytes)},
	}
}

// mostOften names the most frequent failure.
func mostOften(codes map[host.Code]int64) string {
	var most host.Code
	for code, n := range codes {
		if n > codes[most] || n == codes[most] && code < most {
			most = code
		}
	}
	if most == "" {
		return ""
	}
	return fmt.Sprintf("mostly %s", most)
}

// amount writes a large number in three digits and a letter.
func amount(n int64) string {
	v := float64(n)
	for _, u := range []struct {
		size float64
		unit string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if v >= u.size {
			return strconv.FormatFloat(v/u.size, 'g', 3, 64) + u.unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// callChart draws calls over time, well and failed.
func callChart(r ledger.Report) g.Node {
	step := time.Hour
	title := "By the hour"
	if r.Step == ledger.StepDay {
		step, title = 24*time.Hour, "By the day"
	}
	at := map[int64]ledger.Total{}
	for _, p := range r.Points {
		at[p.Start.Unix()] = p.Total
	}
	c := chart.Chart{Title: title, Kind: chart.Stacked, Unit: "calls", From: r.From, To: r.To, Empty: "No calls in this time.",
		Series: []chart.Series{{Name: "well"}, {Name: "failed"}}}
	if len(r.Points) == 0 {
		c.Series = nil
		return c
	}
	for t := r.From.UTC(); t.Before(r.To); t = t.Add(step) {
		total := at[t.Unix()]
		well, failed := float64(total.Calls-total.Errors), float64(total.Errors)
		c.Series[0].Points = append(c.Series[0].Points, chart.Point{Time: t, Value: &well})
		c.Series[1].Points = append(c.Series[1].Points, chart.Point{Time: t, Value: &failed})
	}
	return c
}

func shareTable(shares []ledger.Share) g.Node {
	t := data.Table{Caption: "By capability", Empty: ui.Empty{Icon: "clock", Title: "No calls in this time"},
		Columns: []data.Column{{Title: "Capability", Telling: true}, {Title: "Calls", Numeric: true, Telling: true}, {Title: "Failed", Numeric: true}, {Title: "Fuel", Numeric: true}, {Title: "Time", Numeric: true}, {Title: "Waited", Numeric: true}}}
	for _, s := range shares {
		t.Rows = append(t.Rows, data.Row{h.Code(g.Text(s.Capability)), g.Text(ui.Count(int(s.Calls))), g.Text(ui.Count(int(s.Errors))),
			g.Text(amount(s.Fuel)), g.Text(tookInWords(s.Wall)), g.Text(tookInWords(s.Waited))})
	}
	return t
}

// quotaCard shows what bounds the plugin; admins set the tenant's part.
func (v *visit) quotaCard(in plugin.Instance, q ledger.Quotas, failure *host.Error) g.Node {
	bounds := data.Facts{
		{Key: "Calls per minute", Value: g.Text(boundInWords(q.Effective.CallsPerMinute))},
		{Key: "Fuel per day", Value: g.Text(boundInWords(q.Effective.FuelPerDay))},
	}
	card := ui.Card{Title: "Quota", Span: "span-4", Body: bounds}
	if !v.may(host.ActionPluginManage) {
		return card
	}
	field := func(name, label string, value int64) form.Field {
		f := form.Field{Name: name, Label: label, Kind: form.Number, Optional: true, Attrs: []g.Node{h.Min("0")}}
		if value > 0 {
			f.Value = strconv.FormatInt(value, 10)
		}
		if failure != nil && strings.Contains(failure.Message, name) {
			f.Error = failure.Message
		}
		return f
	}
	card.Body = h.Div(h.Class("stack"), bounds, h.Form(h.Class("form"), v.post(pluginURL(in.Short)+"/quota"),
		field("callsPerMinute", "Calls per minute", q.Tenant.CallsPerMinute), field("fuelPerDay", "Fuel per day (UTC)", q.Tenant.FuelPerDay),
		h.P(h.Class("small soft"), g.Text("Empty is no bound of yours. What the operator has set holds as well.")),
		ui.Button{Label: "Save", Kind: ui.Primary}))
	return card
}

func boundInWords(n int64) string {
	if n == 0 {
		return "no bound"
	}
	return amount(n)
}

// setQuota saves the tenant's quota for a plugin.
func (s *site) setQuota(v *visit) error {
	in, err := v.Plugins.Get(v.ctx(), v.caller, v.r.PathValue("plugin"))
	if err != nil {
		return err
	}
	var q ledger.Quota
	for name, to := range map[string]*int64{"callsPerMinute": &q.CallsPerMinute, "fuelPerDay": &q.FuelPerDay} {
		text := strings.TrimSpace(v.r.PostFormValue(name))
		if text == "" {
			continue
		}
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 0 {
			return v.showPlugin(http.StatusUnprocessableEntity, in, "usage", nil, host.Errorf(host.CodeInvalid, "%s must be a whole number, 0 or more.", name))
		}
	}
	if _, err := v.Meter.SetQuota(v.ctx(), v.caller, in.Name, q); err != nil {
		if e := host.AsError(err); e.Code == host.CodeInvalid {
			return v.redirect(pluginURL(in.Short)+"?tab=usage", bad(e.Error()))
		}
		return err
	}
	return v.redirect(pluginURL(in.Short)+"?tab=usage", good("The quota is saved."))
}

// sandboxFacts say how calls of the plugin are run.
func sandboxFacts(f *plugin.Facts) data.Facts {
	if f == nil {
		return nil
	}
	how := map[string]string{
		"page-scan": "a clean sandbox for each call, restored page by page",
		"pagemap":   "a clean sandbox for each call, restored page by page",
		"madvise":   "a clean sandbox for each call, its pages given back",
		"fresh":     "a new sandbox for each call",
		"process":   "a process of its own for this tenant",
	}
	out := data.Facts{{Key: "Runs as", Value: ui.Nodes{g.Text(cmp.Or(how[f.Path], f.Path)),
		ui.If(f.Why != "", func() g.Node { return h.Div(h.Class("small soft"), g.Text(f.Why)) })}}}
	return out
}

// evidence shows which grants were really used, and offers to take the rest
// away.
func (v *visit) evidence(in plugin.Instance) g.Node {
	if len(in.Grants) == 0 {
		return nil
	}
	findings, err := v.Meter.Evidence(v.ctx(), v.caller, in.Name)
	if err != nil {
		return ui.Card{Title: "What it used", Body: v.failed(host.AsError(err))}
	}
	t := data.Table{Caption: "What it used in the last 30 days",
		Columns: []data.Column{{Title: "Grant", Telling: true}, {Title: "Used", Telling: true}, {Title: "What"}, {Title: "Times", Numeric: true}, {Title: "Last", Numeric: true}}}
	spare := false
	for _, f := range findings {
		used, times, last := ui.Chip{Text: "Never", Tone: ui.Warn}, int64(0), time.Time{}
		var targets []string
		for _, u := range f.Uses {
			times += u.Count
			if u.Last.After(last) {
				last = u.Last
			}
			if u.Target != "" {
				targets = append(targets, u.Target)
			}
		}
		if f.Used {
			used = ui.Chip{Text: "Yes", Tone: ui.Good}
		}
		spare = spare || f.Narrowed == nil || !reflect.DeepEqual(*f.Narrowed, f.Grant)
		when := g.Node(g.Text("–"))
		if !last.IsZero() {
			when = ui.Ago(last, v.now())
		}
		t.Rows = append(t.Rows, data.Row{g.Text(grant.Words(f.Grant, nil).Verb + " " + grant.Words(f.Grant, nil).Object), used,
			h.Span(h.Class("break"), g.Text(strings.Join(targets, ", "))), g.Text(ui.Count(int(times))), when})
	}
	card := ui.Card{Title: "What it used in the last 30 days", Flush: true, Body: t}
	if spare {
		card.Foot = h.Form(v.post(pluginURL(in.Short)+"/narrow"), ui.Buttons(ui.Button{Label: "Narrow to what is used", Icon: "shield"}))
	}
	return card
}
