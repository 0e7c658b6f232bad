// Package limit is what one call of a plugin may use at most: the host's
// defaults, what manifests and admins ask for, and the operator's ceiling.
// Keeping to the limits is the runtimes' business.
package limit

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// Limits is what one call may use at most.
type Limits struct {
	Timeout time.Duration
	// Memory is the sum of the sandbox's linear memories, in bytes.
	Memory int64
	// Output is the size of the answer, in bytes.
	Output int64
	// Input is the size of the call, in bytes.
	Input int64
	// HostCalls is how many calls of host services one call may make, and
	// HostBytes how much they may move.
	HostCalls, HostBytes int64
	// Fuel is how much the call may execute, in units of the meter.
	Fuel int64
	// FuelPerByte and MemoryPerByte are added to Fuel and Memory for each byte
	// of the request: what is larger needs more.
	FuelPerByte, MemoryPerByte int64
	// LogRate is how many bytes the instance may log in a second.
	LogRate int64
	// Concurrency is how many calls of the instance run at a time.
	Concurrency int
	// Log receives what the guest writes to its standard output and error;
	// nil drops it. At most LogBytes of it are kept.
	Log      func(stream string, text []byte)
	LogBytes int
}

// Defaults returns what a call may use where nobody says, and what it may use
// at most. Two billion instructions are one to two seconds of one core;
// a thousand for each byte parse it some five times over.
func Defaults() (limits, ceiling Limits) {
	return Limits{
			Timeout: 10 * time.Second, Memory: 64 << 20, MemoryPerByte: 16, Output: 4 << 20, Input: 1 << 20, HostCalls: 200, HostBytes: 32 << 20,
			Fuel: 2e9, FuelPerByte: 1000, LogRate: 64 << 10, LogBytes: 16 << 10, Concurrency: 8,
		}, Limits{
			Timeout: 30 * time.Second, Memory: 256 << 20, MemoryPerByte: 64, Output: 16 << 20, Input: 8 << 20, HostCalls: 1000, HostBytes: 256 << 20,
			Fuel: 60e9, FuelPerByte: 100_000, LogRate: 1 << 20, LogBytes: 64 << 10, Concurrency: 64,
		}
}

// Or returns l with the fields that are zero taken from d.
func (l Limits) Or(d Limits) Limits {
	return Limits{
		Timeout: cmp.Or(l.Timeout, d.Timeout), Memory: cmp.Or(l.Memory, d.Memory), MemoryPerByte: cmp.Or(l.MemoryPerByte, d.MemoryPerByte),
		Output: cmp.Or(l.Output, d.Output), Input: cmp.Or(l.Input, d.Input),
		HostCalls: cmp.Or(l.HostCalls, d.HostCalls), HostBytes: cmp.Or(l.HostBytes, d.HostBytes),
		Fuel: cmp.Or(l.Fuel, d.Fuel), FuelPerByte: cmp.Or(l.FuelPerByte, d.FuelPerByte),
		LogRate: cmp.Or(l.LogRate, d.LogRate), Concurrency: cmp.Or(l.Concurrency, d.Concurrency),
		Log: l.Log, LogBytes: cmp.Or(l.LogBytes, d.LogBytes),
	}
}

// Within returns l with no field above the ceiling's.
func (l Limits) Within(c Limits) Limits {
	return Limits{
		Timeout: min(l.Timeout, c.Timeout), Memory: min(l.Memory, c.Memory), MemoryPerByte: min(l.MemoryPerByte, c.MemoryPerByte),
		Output: min(l.Output, c.Output), Input: min(l.Input, c.Input),
		HostCalls: min(l.HostCalls, c.HostCalls), HostBytes: min(l.HostBytes, c.HostBytes),
		Fuel: min(l.Fuel, c.Fuel), FuelPerByte: min(l.FuelPerByte, c.FuelPerByte),
		LogRate: min(l.LogRate, c.LogRate), Concurrency: min(l.Concurrency, c.Concurrency),
		Log: l.Log, LogBytes: min(l.LogBytes, c.LogBytes),
	}
}

// ForRequest returns the limits of a call with a request of n bytes: what is
// larger needs more.
func (l Limits) ForRequest(n int64, ceiling *Limits) Limits {
	l.Fuel = min(l.Fuel+n*l.FuelPerByte, ceiling.Fuel)
	l.Memory = min(l.Memory+n*l.MemoryPerByte, ceiling.Memory)
	return l
}

// leastStorm is how many host calls one call may try, however few it may make.
const leastStorm = 1000

// Storm ends a call that goes on to ask for host services long after it may
// not: each refusal costs the host time, and the guest no fuel. It is nil up to
// ten times the limit.
func (l *Limits) Storm(tried int64) error {
	if l.HostCalls <= 0 || (tried-1)/10 < l.HostCalls || tried <= leastStorm {
		return nil
	}
	return host.Errorf(host.CodeLimit, "the call asked for host services %d times, though it may only %d times", tried, l.HostCalls).
		WithHint("this is a defect of the plugin: it does not heed the error with the code limit")
}

// Made returns how many of the host calls that a guest tried were not refused
// for their number.
func (l *Limits) Made(tried int64) int64 {
	if l.HostCalls <= 0 {
		return tried
	}
	return min(tried, l.HostCalls)
}

// Of returns what is written in a manifest or by an admin; what does not
// parse was refused before, and is as if it were not written.
func Of(m manifestv1.Limits) Limits {
	size := func(s string) int64 {
		n, err := manifest.Bytes(s)
		if err != nil {
			return 0
		}
		return n
	}
	l := Limits{
		Memory: size(m.Memory), Input: size(m.Input), Output: size(m.Output), HostBytes: size(m.HostBytes), LogRate: size(m.LogRate),
		Fuel: m.Fuel, HostCalls: m.HostCalls, Concurrency: m.Concurrency,
	}
	if d, err := time.ParseDuration(m.Timeout); err == nil {
		l.Timeout = d
	}
	return l
}

// Parse is Of for what was not checked before.
func Parse(m manifestv1.Limits) (Limits, error) {
	const all = math.MaxInt64
	none := Limits{Timeout: all, Memory: all, Input: all, Output: all, HostCalls: all, HostBytes: all, Fuel: all, LogRate: all, Concurrency: all}
	if err := Check(m, none); err != nil {
		return Limits{}, err
	}
	return Of(m), nil
}

// Check refuses what does not parse, or is above the operator's ceiling.
func Check(l manifestv1.Limits, ceiling Limits) error {
	var fields []host.FieldError
	refuse := func(name, why string, args ...any) {
		fields = append(fields, host.FieldError{Pointer: "/limits/" + name, Message: fmt.Sprintf(why, args...)})
	}
	if d, err := time.ParseDuration(l.Timeout); l.Timeout != "" && (err != nil || d <= 0) {
		refuse("timeout", "write a Go duration, for example 10s")
	} else if d > ceiling.Timeout {
		refuse("timeout", "is above the operator's ceiling of %s", ceiling.Timeout)
	}
	for _, f := range []struct {
		name, value string
		most        int64
	}{
		{"memory", l.Memory, ceiling.Memory}, {"input", l.Input, ceiling.Input}, {"output", l.Output, ceiling.Output},
		{"hostBytes", l.HostBytes, ceiling.HostBytes}, {"logRate", l.LogRate, ceiling.LogRate},
	} {
		if n, err := manifest.Bytes(f.value); f.value != "" && err != nil {
			refuse(f.name, "write a whole number and B, KiB, MiB or GiB, for example 64MiB")
		} else if n > f.most {
			refuse(f.name, "is above the operator's ceiling of %s", manifest.FormatBytes(f.most))
		}
	}
	for _, f := range []struct {
		name        string
		value, most int64
	}{{"fuel", l.Fuel, ceiling.Fuel}, {"hostCalls", l.HostCalls, ceiling.HostCalls}, {"concurrency", int64(l.Concurrency), int64(ceiling.Concurrency)}} {
		if f.value < 0 {
			refuse(f.name, "must not be negative")
		} else if f.value > f.most {
			refuse(f.name, "is above the operator's ceiling of %d", f.most)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	e := host.Errorf(host.CodeInvalid, "the limit %s %s", strings.TrimPrefix(fields[0].Pointer, "/limits/"), fields[0].Message).
		WithHint("the operator can raise the ceiling: plugins.ceiling in the configuration file")
	e.Fields = fields
	return e
}
