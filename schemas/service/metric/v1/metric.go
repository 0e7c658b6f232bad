// Package metric is the host service metric/v1: measurements of a plugin, which
// the host exports with its own. Names, labels and buckets stand in the
// permission; the host adds tenant and plugin.
package metric

const (
	// Name is the service's name in manifests and calls.
	Name = "metric/v1"
	// MethodRecord takes a RecordRequest and returns nothing.
	MethodRecord = "record"
)

// Kinds of metrics.
const (
	KindCounter   = "counter"   // a sum that only grows; points add
	KindGauge     = "gauge"     // a value of now; points replace
	KindHistogram = "histogram" // a distribution; points are observed
)

// Bounds.
const (
	MaxPoints = 100 // of one request
	MaxSeries = 200 // combinations of labels of one metric and instance
	MaxValue  = 64  // bytes of a label's value
)

// RecordRequest holds measurements. A series beyond MaxSeries is counted with
// all its labels set to "other".
type RecordRequest struct {
	Points []Point `json:"points"`
}

// Point is one measurement.
type Point struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	// Labels are some or all of those that the metric declares.
	Labels map[string]string `json:"labels,omitempty"`
}
