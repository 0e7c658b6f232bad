// Package log is the host service log/v1: structured log lines that the host
// writes with plugin, release and tenant beside them. It needs no permission
// and is limited in rate and size.
package log

const (
	// Name is the service's name in calls.
	Name = "log/v1"
	// MethodWrite takes a Line and returns nothing.
	MethodWrite = "write"
)

// Line is one log line.
type Line struct {
	Level   string            `json:"level"` // debug, info, warn or error
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}
