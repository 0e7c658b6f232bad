// Package recording keeps calls of plugins so that they can be made again: what
// went in, what the host's services answered, what the clock and the source of
// randomness said, and what came out, with the fuel it took. A sandbox is
// deterministic given these, so a replay of the same release ends bit for bit
// the same, with nothing connected; another release on the same recording
// shows what an upgrade changes.
//
// Nothing secret is kept: what looks like a credential is replaced before
// anything is stored, and the recorded outcome is then that of the replaced
// input (see Redact). Deciding which release runs belongs to package plugin.
package recording

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// Format names the form of a recording's file, version 1.
const Format = "callboard.dev/recording/v1"

// MaxBytes is the largest recording, in bytes of JSON without the code.
const MaxBytes = 8 << 20

// maxFile is the largest file: a recording with a guest's code beside it.
const maxFile = 64 << 20

// Recording is one call with everything that decided its outcome.
type Recording struct {
	Format string `json:"format"`
	ID     string `json:"id,omitempty"`
	// Plugin is "namespace/name", Version and Digest its release.
	Plugin  string    `json:"plugin"`
	Version string    `json:"version,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	At      time.Time `json:"at"`

	Call   pluginv1.Call `json:"call"`
	Limits Limits        `json:"limits"`
	// Host are the calls of host services with their answers, in order.
	Host []Exchange `json:"host,omitempty"`
	// Walltime and Nanotime are the readings of the clocks, in order.
	Walltime []Reading `json:"walltime,omitempty"`
	Nanotime []int64   `json:"nanotime,omitempty"`
	// Random is all randomness that the guest drew.
	Random []byte `json:"random,omitempty"`

	Result  pluginv1.Result `json:"result"`
	Failure *Failure        `json:"failure,omitempty"`
	Usage   Usage           `json:"usage"`
	// Redacted counts the places where something was replaced.
	Redacted int `json:"redacted,omitempty"`
	// Code is the guest's code, gzipped. Exported files have it, so that a
	// replay needs nothing else. CodeDigest names it.
	Code       []byte `json:"code,omitempty"`
	CodeDigest string `json:"codeDigest,omitempty"`
}

// Exchange is one call of a host service and its answer.
type Exchange struct {
	Call   pluginv1.HostCall `json:"call"`
	Answer pluginv1.Result   `json:"answer"`
}

// Reading is one reading of the wall clock.
type Reading struct {
	Sec  int64 `json:"sec"`
	Nsec int32 `json:"nsec"`
}

// Limits are what the call was allowed to use. Sizes are in bytes, Fuel in
// units of the meter.
type Limits struct {
	TimeoutMillis int64 `json:"timeoutMillis"`
	Memory        int64 `json:"memory"`
	Input         int64 `json:"input"`
	Output        int64 `json:"output"`
	HostCalls     int64 `json:"hostCalls"`
	HostBytes     int64 `json:"hostBytes"`
	Fuel          int64 `json:"fuel"`
	LogBytes      int   `json:"logBytes"`
}

// Failure is how the sandbox ended, where it did not answer.
type Failure struct {
	Code    host.Code `json:"code"`
	Message string    `json:"message"`
}

// Usage is what the call used; it does not depend on the machine.
type Usage struct {
	Fuel      int64 `json:"fuel"`
	Memory    int64 `json:"memory"`
	HostCalls int64 `json:"hostCalls"`
}

// limitsOf keeps the part of the limits that decides an outcome.
func limitsOf(l plugin.Limits) Limits {
	return Limits{TimeoutMillis: l.Timeout.Milliseconds(), Memory: l.Memory, Input: l.Input, Output: l.Output,
		HostCalls: l.HostCalls, HostBytes: l.HostBytes, Fuel: l.Fuel, LogBytes: l.LogBytes}
}

func (l Limits) limits() plugin.Limits {
	return plugin.Limits{Timeout: time.Duration(l.TimeoutMillis) * time.Millisecond, Memory: l.Memory, Input: l.Input,
		Output: l.Output, HostCalls: l.HostCalls, HostBytes: l.HostBytes, Fuel: l.Fuel, LogBytes: l.LogBytes}
}

// Module returns the code that came with an exported recording, nil if none did.
func (r *Recording) Module() ([]byte, error) {
	if len(r.Code) == 0 {
		return nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Code))
	if err != nil {
		return nil, broken("its code is not gzip: %v", err)
	}
	code, err := io.ReadAll(io.LimitReader(z, maxFile+1))
	if err != nil {
		return nil, broken("its code cannot be unpacked: %v", err)
	}
	if len(code) > maxFile {
		return nil, broken("its code has more than %d bytes", maxFile)
	}
	if digest := manifest.DigestOf(code); digest != r.CodeDigest {
		return nil, broken("its code is %s, it says %.80q", digest, r.CodeDigest)
	}
	return code, nil
}

// Attach puts the guest's code into the recording.
func (r *Recording) Attach(code []byte) error {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(code); err != nil {
		return fmt.Errorf("packing the code: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("packing the code: %w", err)
	}
	r.Code, r.CodeDigest = b.Bytes(), manifest.DigestOf(code)
	return nil
}

// Write writes the recording as a file that people can read and change.
func (r *Recording) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("writing the recording: %w", err)
	}
	return nil
}

// Read reads a recording. What it says is checked: it may come from a stranger.
func Read(in io.Reader) (*Recording, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the recording: %w", err)
	}
	if len(raw) > maxFile {
		return nil, broken("it has more than %d bytes", maxFile)
	}
	var r Recording
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, broken("%v", err).At(fmt.Sprintf("line %d", 1+bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n"))))
		}
		return nil, broken("%v", err)
	}
	if r.Format != Format {
		return nil, broken("its format is %.60q, this host reads %q", r.Format, Format)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Ceilings of a recording's limits: a file may not ask a replay for more.
const (
	maxTimeout = 5 * time.Minute
	maxMemory  = 1 << 30
	maxFuel    = 1 << 40
	maxCount   = 1 << 20
	maxABI     = 2
)

func (r *Recording) check() error {
	l := r.Limits
	switch {
	case r.Plugin == "" || r.Call.Capability == "" || r.Call.Method == "":
		return broken("it does not say which plugin, capability and method were called")
	case r.Call.ABI < 0 || r.Call.ABI > maxABI:
		return broken("its call is of ABI %d, this host knows up to %d", r.Call.ABI, maxABI)
	case l.TimeoutMillis <= 0 || l.TimeoutMillis > maxTimeout.Milliseconds():
		return broken("limits.timeoutMillis must be between 1 and %d", maxTimeout.Milliseconds())
	case l.Memory <= 0 || l.Memory > maxMemory || l.Output <= 0 || l.Output > maxMemory || l.Input <= 0 || l.Input > maxMemory:
		return broken("its limits of memory, input and output must be between 1 and %d bytes", maxMemory)
	case l.Fuel < 0 || l.Fuel > maxFuel || l.HostCalls < 0 || l.HostBytes < 0 || l.LogBytes < 0 || l.LogBytes > maxMemory:
		return broken("its limits of fuel and host calls are out of range")
	case len(r.Host) > maxCount || len(r.Walltime) > maxCount || len(r.Nanotime) > maxCount:
		return broken("it holds more than %d answers or clock readings", maxCount)
	}
	return nil
}

func broken(format string, args ...any) *host.Error {
	return host.Errorf(host.CodeInvalid, "the recording cannot be read: "+format, args...).
		WithHint("it must be a file that callboard plugin recordings export, or plugin run --record, has written")
}
