package chart_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/callboard-dev/callboard/host/web/ui/chart"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func series(name string, values ...float64) chart.Series {
	s := chart.Series{Name: name}
	for i, v := range values {
		p := chart.Point{Time: start.Add(time.Duration(i) * time.Hour)}
		if !math.IsNaN(v) {
			p.Value = &v
		}
		s.Points = append(s.Points, p)
	}
	return s
}

func render(t *testing.T, c chart.Chart) string {
	t.Helper()
	var out strings.Builder
	if err := c.Render(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAxesEndAtRoundNumbers(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   []string
	}{
		"small":        {[]float64{0.1, 0.42}, []string{"0", "0.5"}},
		"tight":        {[]float64{320, 590}, []string{"0", "200", "400", "600"}},
		"thousands":    {[]float64{12_000, 46_000}, []string{"0", "10k", "50k"}},
		"millions":     {[]float64{4.2e6}, []string{"0", "1M", "5M"}},
		"below nought": {[]float64{-30, 20}, []string{"-30", "0", "20"}},
		"all the same": {[]float64{7, 7}, []string{"0", "2.5", "7.5"}},
		"all nought":   {[]float64{0, 0}, []string{"0", "1"}},
		"all below":    {[]float64{-5, -3}, []string{"-5", "0"}},
		"tiny":         {[]float64{1e-7, 3e-7}, []string{"0", "1e-07", "3e-07"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := render(t, chart.Chart{Title: "T", Kind: chart.Line, Series: []chart.Series{series("a", test.values...)}})
			axis, _, _ := strings.Cut(out[strings.Index(out, `class="y"`):], "</div>")
			for _, tick := range test.want {
				if !strings.Contains(axis, "<span>"+tick+"</span>") {
					t.Errorf("there is no tick %s in %s", tick, axis)
				}
			}
		})
	}
}

func TestGapsLiftThePen(t *testing.T) {
	out := render(t, chart.Chart{Kind: chart.Line, Series: []chart.Series{series("a", 1, 2, math.NaN(), 3, 4)}})
	line := out[strings.Index(out, `class="path ser-1" d="`)+len(`class="path ser-1" d="`):]
	line, _, _ = strings.Cut(line, `"`)
	if strings.Count(line, "M") != 2 {
		t.Errorf("the line has not two strokes: %s", line)
	}
}

func TestManySeriesAreGroupedOrLeftToTheTable(t *testing.T) {
	var many []chart.Series
	for i := range 9 {
		many = append(many, series(fmt.Sprintf("s%d", i), float64(i+1), float64(i+1)))
	}
	stacked := render(t, chart.Chart{Kind: chart.Stacked, Series: many})
	if !strings.Contains(stacked, "5 smaller series are shown as Other") || !strings.Contains(stacked, `>Other</span>`) {
		t.Error("the smaller parts of a stack are not shown as Other")
	}
	if !strings.Contains(stacked, `&#34;n&#34;:&#34;Other&#34;,&#34;v&#34;:[&#34;15&#34;,&#34;15&#34;]`) {
		t.Error("Other is not the sum of 1 to 5")
	}
	lines := render(t, chart.Chart{Kind: chart.Line, Series: many})
	if !strings.Contains(lines, "4 more series are in the table") || strings.Contains(lines, "Other") {
		t.Error("lines that are not drawn are not told of")
	}
	for i := range 9 {
		if !strings.Contains(lines, fmt.Sprintf(">s%d</th>", i)) {
			t.Errorf("s%d is not in the table", i)
		}
	}
}

func TestThePictureIsToldInWords(t *testing.T) {
	out := render(t, chart.Chart{Title: "Latency", Unit: "ms", Kind: chart.Line, Series: []chart.Series{series("p99", 10, 400, 42)}})
	if !strings.Contains(out, `aria-label="Latency in ms. p99: from 10 to 400, last 42"`) {
		t.Errorf("got %s", out)
	}
}

func TestChartsWithoutValuesSayWhy(t *testing.T) {
	for name, list := range map[string][]chart.Series{"no series": nil, "no points": {{Name: "a"}}, "gaps only": {series("a", math.NaN())}} {
		t.Run(name, func(t *testing.T) {
			out := render(t, chart.Chart{Title: "T", Kind: chart.Bar, Series: list, Empty: "Nothing was measured.", Query: "up"})
			if !strings.Contains(out, "Nothing was measured.") || !strings.Contains(out, "up") || strings.Contains(out, "<rect") {
				t.Errorf("got %s", out)
			}
		})
	}
	if out := render(t, chart.Chart{Kind: chart.Spark}); !strings.Contains(out, "no values") {
		t.Errorf("an empty spark shows %s", out)
	}
}

func TestLongSeriesAreThinnedOut(t *testing.T) {
	values := make([]float64, 50_000)
	for i := range values {
		values[i] = float64(i % 100)
	}
	for _, kind := range []string{chart.Line, chart.Bar, chart.Stacked, chart.Spark} {
		if out := render(t, chart.Chart{Kind: kind, Series: []chart.Series{series("a", values...)}}); len(out) > 150_000 {
			t.Errorf("a %s chart of 50,000 points has %d bytes", kind, len(out))
		}
	}
}

func TestSparksNeedTwoValues(t *testing.T) {
	if chart.SparkLine("x", []float64{1, math.NaN()}) != nil {
		t.Error("one value was drawn")
	}
}
