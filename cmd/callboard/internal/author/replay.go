package author

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/recording"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	pluginv1 "github.com/callboard-dev/callboard/schemas/plugin/v1"
)

// newReplayCommand returns "plugin replay".
func newReplayCommand(s Settings) *cobra.Command {
	var release, against string
	cmd := &cobra.Command{
		Use:   "replay FILE [--against RELEASE]",
		Short: "Make a recorded call again, with nothing connected",
		Long: "Reads a recording, which \"plugin run --record\" or \"plugin recordings export\" has written, and makes its call\n" +
			"again. Host services answer from the recording, clocks and randomness are the recorded ones, and no network is\n" +
			"reached. The same release ends bit for bit the same, with the same fuel; where it does not, the differences are\n" +
			"shown and the exit code is 1.\n\n" +
			"With --against another release (a folder or a packaged file) answers the same call, and what it answers otherwise\n" +
			"is shown. The exit code is 1 where it fails and the recorded release did not.",
		Example: "  callboard plugin replay call.json\n  callboard plugin replay call.json --against ./my-plugin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.replay(cmd, args[0], release, against)
		},
	}
	cmd.Flags().StringVar(&release, "release", "", "the recorded release, a folder or packaged file, where the recording carries no code")
	cmd.Flags().StringVar(&against, "against", "", "another release to make the call with: a folder or packaged file")
	outputFlag(cmd)
	return cmd
}

// replayed is what the command prints.
type replayed struct {
	Plugin      string                 `json:"plugin"`
	Release     string                 `json:"release"`
	Same        bool                   `json:"same"`
	Differences []recording.Difference `json:"differences"`
	Fuel        int64                  `json:"fuel"`
	Recorded    recording.Usage        `json:"recorded"`
	Result      pluginv1.Result        `json:"result"`
	Failure     *recording.Failure     `json:"failure,omitempty"`
}

// replay reads, runs, compares and prints.
func (s Settings) replay(cmd *cobra.Command, file, release, against string) (err error) {
	ctx := cmd.Context()
	r, err := readRecording(s.path(file))
	if err != nil {
		return err
	}
	code, label, err := s.replayCode(r, release, against)
	if err != nil {
		return err
	}
	runtime, err := s.openRuntime()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	module, err := runtime.Compile(ctx, manifest.DigestOf(code), code)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, module.Close(ctx)) }()
	run, err := recording.Replay(ctx, module, r)
	if err != nil {
		return err
	}
	exact := against == ""
	out := replayed{Plugin: r.Plugin, Release: label, Differences: recording.Compare(r, run, exact), Fuel: run.Usage.Fuel,
		Recorded: r.Usage, Result: run.Result, Failure: run.Failure}
	if out.Differences == nil {
		out.Differences = []recording.Difference{}
	}
	out.Same = len(out.Differences) == 0
	if err := s.report(cmd, out, out.text(r, exact)); err != nil {
		return err
	}
	switch {
	case exact && !out.Same:
		return host.Errorf(host.CodeConflict, "the replay differs from the recording").
			WithHint("the recording was changed, or it was made with other code: give that with --release")
	case recording.Worse(r, run):
		return host.Errorf(host.CodeConflict, "the release %s fails a call that %s answered", label, r.Version).WithHint("see the differences above")
	}
	return nil
}

// text is the table form.
func (r replayed) text(rec *recording.Recording, exact bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s, recorded %s\n", rec.Plugin, rec.Call.Capability, rec.Call.Method, rec.At.Format("2006-01-02 15:04:05"))
	fmt.Fprintf(&b, "release       %s\nfuel          %d (recorded %d)\nhost calls    %d answered from the recording, no network\n",
		r.Release, r.Fuel, r.Recorded.Fuel, len(rec.Host))
	if r.Same {
		if exact {
			b.WriteString("the same      bit for bit\n")
		} else {
			b.WriteString("the same      answer\n")
		}
		return b.String()
	}
	fmt.Fprintf(&b, "differences   %d\n", len(r.Differences))
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "  %s\n    - %s\n    + %s\n", d.Where, d.Recorded, d.Replayed)
	}
	return b.String()
}

func readRecording(path string) (*recording.Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, host.Errorf(host.CodeNotFound, "the recording cannot be read: %w", err)
	}
	defer f.Close()
	r, err := recording.Read(f)
	if err != nil {
		e := host.AsError(err)
		where := path
		if e.Where != "" {
			where += ", " + e.Where
		}
		return nil, e.At(where)
	}
	return r, nil
}

// replayCode finds the code to run: of --against, of --release, or that of the
// recording itself.
func (s Settings) replayCode(r *recording.Recording, release, against string) (code []byte, label string, err error) {
	path := release
	if against != "" {
		path = against
	}
	if path == "" {
		code, err = r.Module()
		if err == nil && code == nil {
			err = host.Errorf(host.CodeInvalid, "the recording carries no code").
				WithHint("give the recorded release with --release FOLDER|FILE (version %s, %s)", r.Version, r.Digest)
		}
		return code, strings.TrimSpace(r.Version + " (recorded)"), err
	}
	bundle, err := manifest.Open(s.path(path))
	if err != nil {
		return nil, "", err
	}
	switch {
	case bundle.Manifest.Runtime != manifestv1.RuntimeWASM:
		return nil, "", host.Errorf(host.CodeInvalid, "%s runs as a process, which cannot be replayed", bundle.Manifest.Name)
	case bundle.Manifest.Name != r.Plugin:
		return nil, "", host.Errorf(host.CodeInvalid, "the recording is of %s, the release of %s", r.Plugin, bundle.Manifest.Name)
	}
	return bundle.Code, bundle.Manifest.Version, nil
}

// taping is a module that records its last call.
type taping struct {
	plugin.Module
	mu   sync.Mutex
	last *recording.Recording
}

// Call passes the call on and keeps what it took.
func (t *taping) Call(ctx context.Context, w plugin.Work) (plugin.Outcome, error) {
	tape := recording.Record(&w)
	o, err := t.Module.Call(ctx, w)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = tape.Finish(o, err)
	return o, err
}

// save writes the last call to a file, without the values of secrets and with
// the code.
func (t *taping) save(ctx context.Context, file string, bundle *manifest.Bundle, secrets []string) error {
	t.mu.Lock()
	r := t.last
	t.mu.Unlock()
	if r == nil {
		return host.Errorf(host.CodeTooLarge, "the call was not recorded: none was made, or it is larger than %s", manifest.FormatBytes(recording.MaxBytes))
	}
	r.Plugin, r.Version, r.Digest = bundle.Manifest.Name, bundle.Manifest.Version, bundle.Digest
	if r.Redact(secrets) > 0 {
		if err := recording.Remake(ctx, t.Module, r); err != nil {
			return err
		}
	}
	if err := r.Attach(bundle.Code); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the recording: %w", err)
	}
	return nil
}
