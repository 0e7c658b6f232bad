package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of "go test -json".
type event struct {
	Action, Package, Test, Output string
	ImportPath, FailedBuild       string // of a build that failed
	Elapsed                       float64
}

// testlog is what a run of "go test -json" did, in short.
type testlog struct {
	out                     io.Writer
	passed, failed, skipped int
	output                  map[string][]string // by package and test
	failedTests             map[string]bool     // by package
}

// runTestlog prints one line per package, the output of what failed, every
// skip aloud, and the closing line "N passed, N failed, N skipped". It counts
// leaf and parent tests alike, and a package that does not build as one failure.
func runTestlog(_ []string, in io.Reader, out io.Writer) int {
	log := &testlog{out: out, output: map[string][]string{}, failedTests: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // what the build printed
			continue
		}
		log.add(e)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(out, "housecheck: reading the log:", err)
		log.failed++
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", log.passed, log.failed, log.skipped)
	if log.failed > 0 || log.passed == 0 {
		return exitFound
	}
	return exitOK
}

func (l *testlog) add(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output":
		l.output[key] = append(l.output[key], e.Output)
	case "build-output":
		l.output["build "+e.ImportPath] = append(l.output["build "+e.ImportPath], e.Output)
	case "pass":
		l.pass(e, key)
	case "fail":
		l.fail(e, key)
	case "skip":
		l.skip(e, key)
	}
}

func (l *testlog) pass(e event, key string) {
	if e.Test == "" {
		fmt.Fprintf(l.out, "ok    %-70s %6.1fs\n", e.Package, e.Elapsed)
	} else {
		l.passed++
	}
	delete(l.output, key)
}

func (l *testlog) fail(e event, key string) {
	switch {
	case e.Test != "":
		l.failed++
		l.failedTests[e.Package] = true
		fmt.Fprintf(l.out, "FAIL  %s %s\n%s", e.Package, e.Test, strings.Join(l.output[key], ""))
	case l.failedTests[e.Package]:
		fmt.Fprintf(l.out, "FAIL  %-70s %6.1fs\n", e.Package, e.Elapsed)
	default: // it did not build, or died outside a test
		l.failed++
		fmt.Fprintf(l.out, "FAIL  %s\n%s%s", e.Package, strings.Join(l.output["build "+e.FailedBuild], ""), strings.Join(l.output[key], ""))
	}
	delete(l.output, key)
}

func (l *testlog) skip(e event, key string) {
	if e.Test == "" {
		return // no test files
	}
	l.skipped++
	reason := "no reason given"
	for _, text := range l.output[key] {
		text = strings.TrimSpace(text)
		if !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") && text != "" {
			reason = text
		}
	}
	fmt.Fprintf(l.out, "SKIP  %s %s: %s\n", e.Package, e.Test, reason)
	delete(l.output, key)
}
