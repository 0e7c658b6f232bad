package gallery

import (
	"math"
	"time"

	"github.com/callboard-dev/callboard/host/web/ui/chart"
)

// wave is a series that looks alive and is always the same.
func wave(name string, now time.Time, n int, step time.Duration, level, swing, phase float64) chart.Series {
	s := chart.Series{Name: name}
	for i := range n {
		x := float64(i) / float64(n)
		v := level + swing*(math.Sin(x*9+phase)+0.4*math.Sin(x*31+phase*2)+0.25*math.Sin(x*71))
		s.Points = append(s.Points, chart.Point{Time: now.Add(-time.Duration(n-1-i) * step), Value: &v})
	}
	return s
}

func drawings(now time.Time) []Specimen {
	p99 := wave("p99", now, 96, 15*time.Minute, 320, 60, 0)
	p50 := wave("p50", now, 96, 15*time.Minute, 90, 14, 1)
	gap := wave("p99", now, 96, 15*time.Minute, 320, 60, 2)
	for i := 40; i < 52; i++ {
		gap.Points[i].Value = nil
	}
	var many []chart.Series
	for i, name := range []string{"eu-west", "eu-north", "us-east", "us-west", "ap-south", "ap-east", "sa-east"} {
		many = append(many, wave(name, now, 14, 24*time.Hour, 80-float64(i)*9, 8, float64(i)))
	}
	short := many[:3]
	flat := 4.0
	return []Specimen{{ID: "chart", Title: "Charts", About: "Drawn on the server. Dashes tell series apart beside colour; the numbers are in the table behind.", States: []State{
		{Name: "Line", Node: chart.Chart{Title: "Latency, p99", Kind: chart.Line, Unit: "ms", Series: []chart.Series{p99}, Query: "histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket[5m])) by (le))"}},
		{Name: "Lines", Node: chart.Chart{Title: "Latency", Kind: chart.Line, Unit: "ms", Series: []chart.Series{p99, p50}}},
		{Name: "Gap", Node: chart.Chart{Title: "Latency with a gap", Kind: chart.Line, Unit: "ms", Series: []chart.Series{gap}}},
		{Name: "Bars", Node: chart.Chart{Title: "Builds by day", Kind: chart.Bar, Series: short[:2]}},
		{Name: "Stacked", Node: chart.Chart{Title: "Cost by region", Kind: chart.Stacked, Unit: "$ per day", Series: short}},
		{Name: "More series than one can tell apart", Node: chart.Chart{Title: "Cost by region, all", Kind: chart.Stacked, Unit: "$ per day", Series: many}},
		{Name: "One value", Node: chart.Chart{Title: "Replicas", Kind: chart.Line, Series: []chart.Series{{Name: "replicas", Points: []chart.Point{{Time: now, Value: &flat}}}}}},
		{Name: "Empty", Node: chart.Chart{Title: "Latency in an empty range", Kind: chart.Line, Unit: "ms", Empty: "Prometheus has no samples for this service in the last 6 hours.", Query: "up{job=\"payments\"}"}},
		{Name: "Spark", Node: chart.Chart{Title: "Requests over a day", Kind: chart.Spark, Series: []chart.Series{p50}}},
	}}}
}
