// Package shim is what callboard does between the fork and the start of a
// plugin that runs as a process: it is executed again under Verb, takes away
// everything the plugin does not need, and executes the plugin's program. It
// decides nothing: Policy comes from host/plugin/process.
//
// Layers, in the order in which they are put on: resource limits, no
// capabilities, no new privileges, Landlock (its program, its own folder,
// nothing else), seccomp (no network, no children, no debugging, no kernel
// doors). Without seccomp nothing starts. What an older kernel lacks of the
// rest is named in Report, and the host says so.
package shim

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Verb is the hidden first argument under which the program is the shim.
const Verb = "__plugin-shim"

// The shim's inherited files.
const (
	// ProgramFD is the plugin's program, open for reading.
	ProgramFD = 3
	// ReportFD is where the shim writes its Report. It closes when the
	// plugin's program begins.
	ReportFD = 4
)

// Policy is what the process may have.
type Policy struct {
	// Name is what lists of processes show.
	Name string `json:"name"`
	// Program is the path behind ProgramFD, Dir the process's own folder.
	Program string `json:"program"`
	Dir     string `json:"dir"`
	// Memory is how much private memory it may have, Space how much address
	// space, both in bytes.
	Memory uint64 `json:"memory"`
	Space  uint64 `json:"space"`
	// Files is how many it may have open, FileBytes how large one may be,
	// Tasks how many threads its user may have.
	Files     uint64 `json:"files"`
	FileBytes uint64 `json:"fileBytes"`
	Tasks     uint64 `json:"tasks"`
}

// Report is what the shim says before the plugin's program begins.
type Report struct {
	// Lacking names the layers that this system does not have, with the
	// consequence.
	Lacking []string `json:"lacking,omitempty"`
	// Failure says why the program was not started.
	Failure string `json:"failure,omitempty"`
}

// Arguments returns the command line of the shim, without the program's name.
func Arguments(p Policy) ([]string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return []string{Verb, string(raw)}, nil
}

// Wanted reports whether a command line asks for the shim.
func Wanted(args []string) bool { return len(args) == 3 && args[1] == Verb }

// Run becomes the plugin's program. It returns an exit code where that fails.
func Run(args []string) int {
	report := os.NewFile(ReportFD, "report")
	var p Policy
	err := json.Unmarshal([]byte(args[2]), &p)
	if err == nil {
		err = become(p, report)
	}
	say(report, Report{Failure: err.Error()})
	return 1
}

// say writes one line; the host may be gone, then nobody reads it.
func say(w io.Writer, r Report) {
	raw, err := json.Marshal(r)
	if err == nil {
		_, err = w.Write(append(raw, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "callboard: starting a plugin:", r.Failure, err)
	}
}

// Read reads what the shim said until its program began, or it ended.
func Read(r io.Reader) (Report, error) {
	const most = 64 << 10
	dec := json.NewDecoder(io.LimitReader(r, most))
	var out Report
	for {
		var line Report
		if err := dec.Decode(&line); err != nil {
			if err == io.EOF {
				return out, nil
			}
			return out, fmt.Errorf("reading the shim's report: %w", err)
		}
		out.Lacking = append(out.Lacking, line.Lacking...)
		if line.Failure != "" {
			out.Failure = line.Failure
		}
	}
}
