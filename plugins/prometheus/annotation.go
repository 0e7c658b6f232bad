package main

import (
	"fmt"
	"strings"
)

// The annotations of Roadie's Prometheus plugin for Backstage, which existing
// catalogs carry.
const (
	annotationRule    = "prometheus.io/rule"
	annotationAlert   = "prometheus.io/alert"
	annotationLabels  = "prometheus.io/labels"
	annotationService = "prometheus.io/service-name"
)

// maxRules bounds how many queries one entity can cause in one call.
const maxRules = 12

// rule is one part of the rule annotation: a PromQL expression and the label
// whose value names each series.
type rule struct {
	query, dimension string
}

// parseRules reads "query|dimension,query|dimension". The dimension may be
// left out. Neither part can hold a comma or a bar, as in Roadie's plugin.
func parseRules(s string) ([]rule, error) {
	var rules []rule
	for part := range strings.SplitSeq(s, ",") {
		query, dimension, _ := strings.Cut(part, "|")
		query, dimension = strings.TrimSpace(query), strings.TrimSpace(dimension)
		if query == "" {
			if strings.TrimSpace(part) == "" {
				continue
			}
			return nil, fmt.Errorf("the rule %q has a dimension but no query", part)
		}
		if strings.Contains(dimension, "|") {
			return nil, fmt.Errorf("the rule %q has more than one dimension", part)
		}
		rules = append(rules, rule{query, dimension})
	}
	if len(rules) > maxRules {
		return nil, fmt.Errorf("the annotation names %d rules; at most %d are read", len(rules), maxRules)
	}
	return rules, nil
}

// alertFilter says which alerts belong to an entity.
type alertFilter struct {
	all    bool
	names  map[string]bool
	labels map[string]string
}

// parseAlertFilter reads the alert annotation ("all" or names with commas) and
// the labels annotation ("name=value" with commas; an alert must carry all of
// them, and quotes around a value are dropped).
func parseAlertFilter(alerts, labels string) (alertFilter, error) {
	f := alertFilter{names: map[string]bool{}, labels: map[string]string{}}
	for name := range strings.SplitSeq(alerts, ",") {
		if name = strings.TrimSpace(name); name == "all" {
			f.all = true
		} else if name != "" {
			f.names[name] = true
		}
	}
	for pair := range strings.SplitSeq(labels, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			return f, fmt.Errorf("the label %q is not name=value", strings.TrimSpace(pair))
		}
		f.labels[name] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return f, nil
}

// wants reports whether the filter names the alerting rule.
func (f alertFilter) wants(name string) bool { return f.all || f.names[name] }

// matches reports whether labels carry all the filter's labels.
func (f alertFilter) matches(labels map[string]string) bool {
	for name, value := range f.labels {
		if labels[name] != value {
			return false
		}
	}
	return true
}
