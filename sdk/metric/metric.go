// Package metric measures: the host service metric/v1. Names, kinds, labels and
// buckets stand in the permission in plugin.yaml; the host adds tenant and
// plugin and exports them with its own. Labels are pairs of a name and a value:
// metric.Count(ctx, "builds", 1, "result", "failed").
package metric

import (
	"context"

	v1 "github.com/callboard-dev/callboard/schemas/service/metric/v1"
	"github.com/callboard-dev/callboard/sdk"
)

// Point is one measurement.
type Point = v1.Point

// Count adds n to a counter.
func Count(ctx context.Context, name string, n float64, labels ...string) error {
	return one(ctx, name, n, labels)
}

// Set sets a gauge.
func Set(ctx context.Context, name string, value float64, labels ...string) error {
	return one(ctx, name, value, labels)
}

// Observe adds a value to a histogram.
func Observe(ctx context.Context, name string, value float64, labels ...string) error {
	return one(ctx, name, value, labels)
}

// Record records several measurements in one call of the host: all or none.
func Record(ctx context.Context, points ...Point) error {
	return sdk.Do(ctx, v1.Name, v1.MethodRecord, v1.RecordRequest{Points: points}, nil)
}

func one(ctx context.Context, name string, value float64, labels []string) error {
	if len(labels)%2 != 0 {
		return sdk.Errorf(sdk.CodeInvalid, "measuring %s: a label has no value", name)
	}
	p := Point{Metric: name, Value: value}
	if len(labels) > 0 {
		p.Labels = make(map[string]string, len(labels)/2)
	}
	for i := 0; i < len(labels); i += 2 {
		p.Labels[labels[i]] = labels[i+1]
	}
	return Record(ctx, p)
}
