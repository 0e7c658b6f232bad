package upstreams

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// alertRule is one alerting rule of the simulated world. Each service is in
// one of its states for an hour at a time.
type alertRule struct {
	name, query, severity, summary string
	holds                          time.Duration // the rule's "for"
	share                          float64       // of the hours in which a service is over the limit
}

func alertRules() []alertRule {
	return []alertRule{
		{"HighErrorRate", `sum by (service) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (service) (rate(http_requests_total[5m])) > 0.02`,
			"page", "%s answers more than 2 %% of its requests with an error", 10 * time.Minute, 0.16},
		{"HighLatency", `histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m]))) > 0.75`,
			"ticket", "%s answers its slowest percent of requests in more than 750 ms", 5 * time.Minute, 0.22},
		{"TargetDown", `up == 0`, "page", "%s cannot be scraped", 5 * time.Minute, 0.03},
	}
}

// active is one alert that is pending or firing.
type active struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
	Value       string            `json:"value"`
}

// active returns the rule's alerts now.
func (r alertRule) active(s Settings) []active {
	now := s.Now().UTC()
	hour := now.Truncate(time.Hour)
	list := []active{}
	for _, service := range s.Services {
		if s.chance(r.name, service, hour.Format(time.RFC3339)) >= r.share {
			continue
		}
		since := hour.Add(time.Duration(s.number(r.name, service) % uint64(15*time.Minute)))
		if now.Before(since) {
			continue
		}
		state := "pending"
		if now.Sub(since) >= r.holds {
			state = "firing"
		}
		value := waveOf(r.query).at(s, r.name+service, now)
		list = append(list, active{
			Labels: map[string]string{"alertname": r.name, "service": service, "severity": r.severity},
			Annotations: map[string]string{"summary": fmt.Sprintf(r.summary, service),
				"description": "Made by Callboard's simulator; no server is in trouble."},
			State: state, ActiveAt: since, Value: strconv.FormatFloat(value, 'e', -1, 64),
		})
	}
	return list
}

// state of a rule is the worst of its alerts.
func stateOf(list []active) string {
	state := "inactive"
	for _, a := range list {
		if a.State == "firing" {
			return "firing"
		}
		state = "pending"
	}
	return state
}

func (p prometheus) alerts(w http.ResponseWriter, _ *http.Request) {
	all := []active{}
	for _, r := range alertRules() {
		all = append(all, r.active(p.Settings)...)
	}
	success(w, map[string]any{"alerts": all})
}

func (p prometheus) rules(w http.ResponseWriter, r *http.Request) {
	kind := r.FormValue("type")
	if kind != "" && kind != "alert" && kind != "record" {
		badData(w, "invalid parameter \"type\": not supported value %q", kind)
		return
	}
	evaluated := p.Now().UTC().Truncate(15 * time.Second)
	rules := []any{}
	if kind != "record" {
		for _, rule := range alertRules() {
			list := rule.active(p.Settings)
			rules = append(rules, map[string]any{
				"state": stateOf(list), "name": rule.name, "query": rule.query, "duration": rule.holds.Seconds(),
				"labels": map[string]string{"severity": rule.severity}, "annotations": map[string]string{"summary": fmt.Sprintf(rule.summary, "{{ $labels.service }}")},
				"alerts": list, "health": "ok", "evaluationTime": 0.0004, "lastEvaluation": evaluated, "type": "alerting",
			})
		}
	}
	if kind != "alert" {
		rules = append(rules, map[string]any{
			"name": "service:http_requests:rate5m", "query": "sum by (service) (rate(http_requests_total[5m]))",
			"health": "ok", "evaluationTime": 0.0003, "lastEvaluation": evaluated, "type": "recording",
		})
	}
	success(w, map[string]any{"groups": []any{map[string]any{
		"name": "services", "file": "simulated.rules.yml", "rules": rules, "interval": 15, "limit": 0,
		"evaluationTime": 0.002, "lastEvaluation": evaluated,
	}}})
}
