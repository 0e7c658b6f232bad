package service

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
	metricv1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
)

const (
	// allSeries bounds the series of all plugins of this process: a collector
	// pays for each of them.
	allSeries     = 20_000
	pointsPerCall = 500
)

// Metrics is metric/v1: measurements of plugins, exported with the host's own
// under callboard_plugin_<short>_<name> with the labels tenant and plugin.
type Metrics struct {
	meter metric.Meter

	mu          sync.Mutex
	instruments map[string]*instrument // by exported name
	series      map[string]map[string]bool
	all         int
}

var _ plugin.Service = (*Metrics)(nil)

// instrument is one exported metric; record adds one point.
type instrument struct {
	shape  string // kind, unit and buckets: what all releases must agree on
	record func(ctx context.Context, value float64, o metric.MeasurementOption)
}

// NewMetrics returns the service; a nil meter is the process's.
func NewMetrics(m metric.Meter) *Metrics {
	if m == nil {
		m = otel.Meter("github.com/callboard-dev/callboard/host/service/plugins")
	}
	return &Metrics{meter: m, instruments: map[string]*instrument{}, series: map[string]map[string]bool{}}
}

// Serve answers one call.
func (m *Metrics) Serve(ctx context.Context, s *plugin.Session, call pluginv1.HostCall) (any, error) {
	if call.Method != metricv1.MethodRecord {
		return nil, unknownMethod(metricv1.Name, call.Method)
	}
	grants, err := granted(s, metricv1.Name)
	if err != nil {
		return nil, err
	}
	in, err := read[metricv1.RecordRequest](call.Body)
	if err != nil {
		return nil, err
	}
	if len(in.Points) > metricv1.MaxPoints {
		return nil, host.Errorf(host.CodeInvalid, "record at most %d points at a time, not %d", metricv1.MaxPoints, len(in.Points))
	}
	if s.Spend("metric.points", int64(len(in.Points))) > pointsPerCall {
		return nil, host.Errorf(host.CodeLimit, "one call may record at most %d points", pointsPerCall)
	}
	type measured struct {
		as *manifestv1.Metric
		to *instrument
	}
	ready := make([]measured, len(in.Points))
	for i, p := range in.Points { // all or none
		declared := metricOf(grants, p.Metric)
		if declared == nil {
			return nil, host.Errorf(host.CodeNotGranted, "%s may not measure %q", s.Instance.Short, clip(p.Metric, 64)).
				WithHint("declare it under metrics of the permission metric/v1")
		}
		if err := checkPoint(declared, p); err != nil {
			return nil, err
		}
		to, err := m.instrument(s.Instance.Short, declared)
		if err != nil {
			return nil, err
		}
		ready[i] = measured{declared, to}
	}
	for i, r := range ready {
		r.to.record(ctx, in.Points[i].Value, m.labels(s, r.as, in.Points[i]))
	}
	return nil, nil
}

func metricOf(grants []plugin.Grant, name string) *manifestv1.Metric {
	for _, g := range grants {
		for i := range g.Metrics {
			if g.Metrics[i].Name == name {
				return &g.Metrics[i]
			}
		}
	}
	return nil
}

func checkPoint(m *manifestv1.Metric, p metricv1.Point) error {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || m.Kind == metricv1.KindCounter && p.Value < 0 {
		return host.Errorf(host.CodeInvalid, "%v is no value of the %s %s", p.Value, m.Kind, m.Name)
	}
	for label := range p.Labels {
		if !slices.Contains(m.Labels, label) {
			return host.Errorf(host.CodeInvalid, "the metric %s has no label %q", m.Name, clip(label, 40)).WithHint("declare it in the manifest")
		}
	}
	return nil
}

// instrument returns the exported metric. All releases and tenants share it, so
// they must agree on what it is.
func (m *Metrics) instrument(short string, d *manifestv1.Metric) (*instrument, error) {
	name := "callboard.plugin." + strings.ReplaceAll(short, "-", "_") + "." + d.Name
	shape := fmt.Sprint(d.Kind, d.Unit, d.Buckets)
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.instruments[name]; i != nil {
		if i.shape != shape {
			return nil, host.Errorf(host.CodeConflict, "the metric %s is known as another kind, or with other buckets", d.Name).
				WithHint("another release of a plugin of this name measures it on this portal; give the metric a new name")
		}
		return i, nil
	}
	i := &instrument{shape: shape}
	var err error
	switch d.Kind {
	case metricv1.KindCounter:
		var c metric.Float64Counter
		c, err = m.meter.Float64Counter(name, metric.WithUnit(d.Unit), metric.WithDescription(d.Description))
		i.record = func(ctx context.Context, v float64, o metric.MeasurementOption) { c.Add(ctx, v, o) }
	case metricv1.KindGauge:
		var g metric.Float64Gauge
		g, err = m.meter.Float64Gauge(name, metric.WithUnit(d.Unit), metric.WithDescription(d.Description))
		i.record = func(ctx context.Context, v float64, o metric.MeasurementOption) { g.Record(ctx, v, o) }
	default:
		options := []metric.Float64HistogramOption{metric.WithUnit(d.Unit), metric.WithDescription(d.Description)}
		if len(d.Buckets) > 0 {
			options = append(options, metric.WithExplicitBucketBoundaries(d.Buckets...))
		}
		var h metric.Float64Histogram
		h, err = m.meter.Float64Histogram(name, options...)
		i.record = func(ctx context.Context, v float64, o metric.MeasurementOption) { h.Record(ctx, v, o) }
	}
	if err != nil {
		return nil, fmt.Errorf("making the metric %s: %w", name, err)
	}
	m.instruments[name] = i
	return i, nil
}

// labels returns a point's labels. Beyond the bounds of series they are all
// "other", so that what is counted stays right.
func (m *Metrics) labels(s *plugin.Session, d *manifestv1.Metric, p metricv1.Point) metric.MeasurementOption {
	values := make([]string, len(d.Labels))
	for i, label := range d.Labels {
		values[i] = clip(p.Labels[label], metricv1.MaxValue)
	}
	if len(d.Labels) > 0 && !m.admit(s.Instance.ID+"/"+d.Name, strings.Join(values, "\x00")) {
		for i := range values {
			values[i] = "other"
		}
	}
	set := []attribute.KeyValue{attribute.String("tenant", s.Caller.Tenant().Slug), attribute.String("plugin", s.Instance.Name)}
	for i, label := range d.Labels {
		set = append(set, attribute.String(label, values[i]))
	}
	return metric.WithAttributeSet(attribute.NewSet(set...))
}

// admit reports whether a combination of labels is known, or may be.
func (m *Metrics) admit(metric, values string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.series[metric]
	if known[values] {
		return true
	}
	if len(known) >= metricv1.MaxSeries || m.all >= allSeries {
		return false
	}
	if known == nil {
		known = map[string]bool{}
		m.series[metric] = known
	}
	known[values] = true
	m.all++
	return true
}
