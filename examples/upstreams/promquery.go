package upstreams

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// promQuery is what the simulator reads out of a PromQL expression: enough to
// give each series the labels that its reader expects.
type promQuery struct {
	text   string
	metric string
	equals map[string]string // from {label="value"}
	by     []string          // from by (a, b)
	sums   bool              // an aggregation without by leaves one bare series
	scalar string            // the expression is a number
}

var (
	promNumber   = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	promMetric   = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	promEquals   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"([^"]*)"`)
	promBy       = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
	promWords    = " sum avg max min count quantile topk bottomk stddev rate irate increase delta deriv histogram_quantile by without on ignoring group_left group_right and or unless offset bool label_replace clamp_max clamp_min avg_over_time max_over_time min_over_time sum_over_time vector scalar abs ceil floor round time absent "
	promSums     = regexp.MustCompile(`\b(sum|avg|max|min|count|histogram_quantile)\b`)
	promBrackets = map[rune]rune{')': '(', '}': '{', ']': '['}
)

// parseProm reads an expression, and refuses what no PromQL parser would take:
// nothing at all, and brackets or quotes that do not close.
func parseProm(text string) (promQuery, error) {
	q := promQuery{text: text, equals: map[string]string{}}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return q, fmt.Errorf("unknown position: parse error: no expression found in input")
	}
	if promNumber.MatchString(trimmed) {
		q.scalar = trimmed
		return q, nil
	}
	if err := balanced(text); err != nil {
		return q, err
	}
	for _, m := range promEquals.FindAllStringSubmatch(text, -1) {
		q.equals[m[1]] = m[2]
	}
	if m := promBy.FindStringSubmatch(text); m != nil {
		for name := range strings.SplitSeq(m[1], ",") {
			if name = strings.TrimSpace(name); name != "" && name != "le" {
				q.by = append(q.by, name)
			}
		}
	}
	q.sums = promSums.MatchString(text)
	q.metric = metricName(text)
	return q, nil
}

// balanced reports the first bracket or quote that does not close.
func balanced(text string) error {
	var open []rune
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '{' || c == '[':
			open = append(open, c)
		case promBrackets[c] != 0:
			if len(open) == 0 || open[len(open)-1] != promBrackets[c] {
				return fmt.Errorf("1:%d: parse error: unexpected %q", i+1, string(c))
			}
			open = open[:len(open)-1]
		}
	}
	if quoted {
		return fmt.Errorf("1:%d: parse error: unterminated quoted string", len(text))
	}
	if len(open) > 0 {
		return fmt.Errorf("1:%d: parse error: unexpected end of input", len(text)+1)
	}
	return nil
}

// metricName is the first name of the expression that is no word of the language.
func metricName(text string) string {
	outside := promEquals.ReplaceAllString(promBy.ReplaceAllString(text, ""), "")
	for _, name := range promMetric.FindAllString(outside, -1) {
		if !strings.Contains(promWords, " "+name+" ") {
			return name
		}
	}
	return ""
}

// labels returns the label sets of the expression's series, at most twelve.
func (q promQuery) labels(s Settings) []map[string]string {
	if len(q.by) == 0 && q.sums {
		return []map[string]string{{}}
	}
	if len(q.by) == 0 {
		return q.instances(s)
	}
	sets := []map[string]string{{}}
	for _, name := range q.by {
		var next []map[string]string
		for _, set := range sets {
			for _, value := range q.values(s, name) {
				grown := map[string]string{name: value}
				for k, v := range set {
					grown[k] = v
				}
				next = append(next, grown)
			}
		}
		sets = next[:min(len(next), 12)]
	}
	return sets
}

// instances are the two replicas that a bare selector finds.
func (q promQuery) instances(s Settings) []map[string]string {
	var sets []map[string]string
	job := s.Services[0]
	for _, n := range []string{"0", "1"} {
		set := map[string]string{"instance": "10.20.0.1" + n + ":9100", "job": job}
		if q.metric != "" && !strings.Contains(q.text, "(") {
			set["__name__"] = q.metric
		}
		for k, v := range q.equals {
			set[k] = v
		}
		sets = append(sets, set)
	}
	return sets
}

// values are the values that a label has in the simulated world.
func (q promQuery) values(s Settings, name string) []string {
	if v, ok := q.equals[name]; ok {
		return []string{v}
	}
	switch name {
	case "service", "job", "app":
		services := append([]string(nil), s.Services...)
		sort.Strings(services)
		return services[:min(len(services), 4)]
	case "code", "status", "status_code":
		return []string{"200", "404", "500"}
	case "method":
		return []string{"GET", "POST"}
	case "handler", "route", "path":
		return []string{"/", "/api/orders", "/api/search"}
	default:
		return []string{name + "-0", name + "-1"}
	}
}

// seriesKey names a series for its wave.
func (q promQuery) seriesKey(set map[string]string) string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	b.WriteString(q.text)
	for _, k := range keys {
		b.WriteString("\x00" + k + "=" + set[k])
	}
	return b.String()
}
