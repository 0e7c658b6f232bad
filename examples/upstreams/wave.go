package upstreams

import (
	"math"
	"strings"
	"time"
)

// wave is the shape of one family of metrics: a level, a daily tide, a faster
// swell and some noise, none below the floor.
type wave struct {
	words              []string // of the query, any of which chooses the wave
	level, tide, noise float64
	floor, ceiling     float64
}

// waves are tried in this order; the last fits everything.
func waves() []wave {
	return []wave{
		{words: []string{"error", "5xx", "failed", "5.."}, level: 0.008, tide: 0.006, noise: 0.004, ceiling: 1},
		{words: []string{"duration", "latency", "histogram_quantile"}, level: 0.18, tide: 0.07, noise: 0.03, floor: 0.01, ceiling: 30},
		{words: []string{"memory", "bytes", "heap"}, level: 320 << 20, tide: 60 << 20, noise: 8 << 20, floor: 1 << 20, ceiling: 4 << 30},
		{words: []string{"cpu"}, level: 0.42, tide: 0.22, noise: 0.06, floor: 0.01, ceiling: 4},
		{words: []string{"goroutines", "threads", "connections", "queue"}, level: 120, tide: 40, noise: 9, floor: 1, ceiling: 5000},
		{words: []string{"rate(", "requests", "http_"}, level: 42, tide: 27, noise: 3.5, floor: 0.1, ceiling: 1e5},
		{level: 10, tide: 4, noise: 1, ceiling: 1e6},
	}
}

// waveOf chooses the wave that fits a query.
func waveOf(query string) wave {
	query = strings.ToLower(query)
	all := waves()
	for _, w := range all {
		for _, word := range w.words {
			if strings.Contains(query, word) {
				return w
			}
		}
	}
	return all[len(all)-1]
}

// at is the wave's value for one series at one time. Each series has a level,
// a phase and a noise of its own.
func (w wave) at(s Settings, series string, t time.Time) float64 {
	sec := float64(t.Unix())
	phase := 2 * math.Pi * s.chance(series, "phase")
	level := w.level * (0.6 + 0.8*s.chance(series, "level"))
	tide := w.tide * math.Sin(2*math.Pi*sec/86400+phase)
	swell := 0.35 * w.tide * math.Sin(2*math.Pi*sec/2700+2.3*phase)
	noise := w.noise * (2*s.smooth(series, sec/20) - 1)
	return math.Min(w.ceiling, math.Max(w.floor, level+tide+swell+noise))
}

// smooth is noise that goes from one whole x to the next without a jump.
func (s Settings) smooth(series string, x float64) float64 {
	left := math.Floor(x)
	at := func(n float64) float64 {
		return s.chance(series, "noise", time.Unix(int64(n), 0).UTC().Format(time.RFC3339))
	}
	f := x - left
	f = f * f * (3 - 2*f)
	return at(left)*(1-f) + at(left+1)*f
}
