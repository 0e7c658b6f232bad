package upstreams

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxPoints is how many points of a series Prometheus answers at most.
const maxPoints = 11000

// prometheus simulates a Prometheus server.
type prometheus struct{ Settings }

// Prometheus simulates the query side of Prometheus's HTTP API: query,
// query_range, rules, alerts, labels, label values, buildinfo, and the health
// endpoints. Any well-formed expression has an answer; its figures come from
// waves that fit the expression's words.
func Prometheus(s Settings) http.Handler {
	p := prometheus{s.withDefaults()}
	mux := http.NewServeMux()
	routes := map[string]http.HandlerFunc{
		"/api/v1/query":               p.query,
		"/api/v1/query_range":         p.queryRange,
		"/api/v1/rules":               p.rules,
		"/api/v1/alerts":              p.alerts,
		"/api/v1/labels":              p.labels,
		"/api/v1/label/{name}/values": p.labelValues,
		"/api/v1/status/buildinfo":    p.buildinfo,
	}
	for path, handle := range routes {
		mux.HandleFunc("GET "+path, handle)
		mux.HandleFunc("POST "+path, handle)
	}
	for _, path := range []string{"/-/ready", "/-/healthy"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "Prometheus Server (simulated) is Ready.")
		})
	}
	return label("Prometheus", mux)
}

func success(w http.ResponseWriter, data any) {
	writeJSON(w, http.StatusOK, map[string]any{"status": "success", "data": data})
}

func badData(w http.ResponseWriter, format string, args ...any) {
	writeJSON(w, http.StatusBadRequest, map[string]any{
		"status": "error", "errorType": "bad_data", "error": fmt.Sprintf(format, args...),
	})
}

func (p prometheus) query(w http.ResponseWriter, r *http.Request) {
	q, err := parseProm(r.FormValue("query"))
	if err != nil {
		badData(w, "invalid parameter \"query\": %v", err)
		return
	}
	at, err := promTime(r.FormValue("time"), p.Now())
	if err != nil {
		badData(w, "invalid parameter \"time\": %v", err)
		return
	}
	if q.scalar != "" {
		success(w, map[string]any{"resultType": "scalar", "result": []any{promStamp(at), q.scalar}})
		return
	}
	shape := waveOf(q.text)
	result := []any{}
	for _, set := range q.labels(p.Settings) {
		result = append(result, map[string]any{"metric": set, "value": []any{promStamp(at), p.value(q, shape, set, at)}})
	}
	success(w, map[string]any{"resultType": "vector", "result": result})
}

func (p prometheus) queryRange(w http.ResponseWriter, r *http.Request) {
	q, err := parseProm(r.FormValue("query"))
	if err != nil {
		badData(w, "invalid parameter \"query\": %v", err)
		return
	}
	start, err := promTime(r.FormValue("start"), time.Time{})
	if err != nil || start.IsZero() {
		badData(w, "invalid parameter \"start\": cannot parse %q to a valid timestamp", r.FormValue("start"))
		return
	}
	end, err := promTime(r.FormValue("end"), time.Time{})
	if err != nil || end.IsZero() {
		badData(w, "invalid parameter \"end\": cannot parse %q to a valid timestamp", r.FormValue("end"))
		return
	}
	if end.Before(start) {
		badData(w, "invalid parameter \"end\": end timestamp must not be before start time")
		return
	}
	step, err := promStep(r.FormValue("step"))
	if err != nil {
		badData(w, "invalid parameter \"step\": %v", err)
		return
	}
	if end.Sub(start)/step > maxPoints {
		badData(w, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
		return
	}
	success(w, map[string]any{"resultType": "matrix", "result": p.matrix(q, start, end, step)})
}

func (p prometheus) matrix(q promQuery, start, end time.Time, step time.Duration) []any {
	shape := waveOf(q.text)
	sets := []map[string]string{{}}
	if q.scalar == "" {
		sets = q.labels(p.Settings)
	}
	result := []any{}
	for _, set := range sets {
		values := []any{}
		for at := start; !at.After(end); at = at.Add(step) {
			values = append(values, []any{promStamp(at), p.value(q, shape, set, at)})
		}
		result = append(result, map[string]any{"metric": set, "values": values})
	}
	return result
}

// value is one sample as Prometheus writes it: a string.
func (p prometheus) value(q promQuery, shape wave, set map[string]string, at time.Time) string {
	if q.scalar != "" {
		return q.scalar
	}
	if q.metric == "up" {
		return "1"
	}
	return strconv.FormatFloat(shape.at(p.Settings, q.seriesKey(set), at), 'g', 10, 64)
}

func (p prometheus) labels(w http.ResponseWriter, _ *http.Request) {
	success(w, []string{"__name__", "alertname", "code", "handler", "instance", "job", "service", "severity"})
}

func (p prometheus) labelValues(w http.ResponseWriter, r *http.Request) {
	values := promQuery{}.values(p.Settings, r.PathValue("name"))
	slices.Sort(values)
	success(w, values)
}

func (p prometheus) buildinfo(w http.ResponseWriter, _ *http.Request) {
	success(w, map[string]string{"version": "2.42.0", "revision": "simulated", "branch": "simulated",
		"buildUser": "callboard", "buildDate": "20260101-00:00:00", "goVersion": "go1.26"})
}

// promTime reads Unix seconds or RFC 3339; an empty text is def.
func promTime(text string, def time.Time) (time.Time, error) {
	if text == "" {
		return def, nil
	}
	if sec, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(sec) < 1e11 {
		whole, part := math.Modf(sec)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
}

// promStep reads seconds or a duration like 15s.
func promStep(text string) (time.Duration, error) {
	step, err := time.ParseDuration(text)
	if sec, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		step, err = time.Duration(sec*float64(time.Second)), nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
	}
	if step <= 0 {
		return 0, fmt.Errorf("zero or negative query resolution step widths are not accepted. Try a positive integer")
	}
	return step, nil
}

// promStamp is a time as the API writes it: seconds with milliseconds.
func promStamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
