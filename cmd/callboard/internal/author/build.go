package author

import (
	"errors"
	"fmt"
	"go/scanner"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/language"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/registry/modsource"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk/process"
)

// newBuildCommand returns "plugin build".
func newBuildCommand(s Settings) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compile a plugin to WebAssembly, or to programs",
		Long: "Compiles the plugin in DIR (the current folder if none) with the toolchain of its language on PATH (Go,\n" +
			"AssemblyScript or C) and puts the guest where plugin.yaml names it; a Go plugin with runtime: process\n" +
			"becomes a program for each of its platforms.\n" +
			"The same source gives the same bytes.",
		Example: "  callboard plugin build\n  callboard plugin build ./deploy-board --output json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built, err := s.build(cmd, s.folder(args), file)
			if err != nil {
				return err
			}
			return s.reportBuilt(cmd, built)
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "write the guest to this file instead of the one that plugin.yaml names")
	outputFlag(cmd)
	return cmd
}

// reportBuilt prints the one guest, or the list of programs.
func (s Settings) reportBuilt(cmd *cobra.Command, built []modsource.Built) error {
	type item struct {
		File   string `json:"file"`
		Size   int64  `json:"size"`
		Digest string `json:"digest"`
	}
	var items []item
	text := ""
	for _, b := range built {
		items = append(items, item(b))
		text += fmt.Sprintf("%s  %s  %s\n", b.File, sizeText(b.Size), b.Digest)
	}
	if len(items) == 1 {
		return s.report(cmd, items[0], text)
	}
	return s.report(cmd, struct {
		Items []item `json:"items"`
	}{items}, text)
}

// build compiles the plugin in dir to file; empty means where plugin.yaml says.
func (s Settings) build(cmd *cobra.Command, dir, file string) (built []modsource.Built, err error) {
	m, err := manifest.Peek(dir)
	if err != nil {
		return nil, err
	}
	files := manifest.CodeFiles(m)
	if file != "" && len(files) > 1 {
		return nil, s.Usage(fmt.Errorf("--out names one file, and this plugin has a program for each of %d platforms", len(files)))
	}
	if name := language.Of(dir); name != "" {
		return s.buildForeign(cmd, name, dir, file, files)
	}
	var faults scanner.ErrorList // the compiler says it, too
	if _, err := s.generate(dir, false); err != nil && !errors.As(err, &faults) {
		return nil, err
	}
	w, err := s.open(cmd, dir, m.Runtime)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, f := range files {
		to := s.path(file)
		if file == "" {
			to = filepath.Join(dir, filepath.FromSlash(f.Name))
		}
		var b modsource.Built
		if f.Platform == "" {
			b, err = w.Build(cmd.Context(), to, cmd.ErrOrStderr())
		} else {
			b, err = w.BuildProgram(cmd.Context(), to, f.Platform, process.ModulePath, cmd.ErrOrStderr())
		}
		if err != nil {
			return nil, err
		}
		built = append(built, b)
	}
	return built, nil
}

// buildForeign compiles a plugin that is written in another language than Go.
func (s Settings) buildForeign(cmd *cobra.Command, name, dir, file string, files []manifest.CodeFile) ([]modsource.Built, error) {
	if len(files) != 1 || files[0].Platform != "" {
		return nil, host.Errorf(host.CodeInvalid, "a plugin in %s cannot become a program; only Go plugins can", name).
			WithHint("Set runtime: wasm in plugin.yaml.")
	}
	to := s.path(file)
	if file == "" {
		to = filepath.Join(dir, filepath.FromSlash(files[0].Name))
	}
	if err := language.Build(cmd.Context(), name, dir, to, cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(to)
	if err != nil {
		return nil, err
	}
	return []modsource.Built{{File: to, Size: int64(len(code)), Digest: manifest.DigestOf(code)}}, nil
}

// isBuilt says whether all files of the code are there.
func isBuilt(dir string, m *manifestv1.Manifest) bool {
	for _, f := range manifest.CodeFiles(m) {
		if !exists(filepath.Join(dir, filepath.FromSlash(f.Name))) {
			return false
		}
	}
	return true
}

// hasGo says whether there is Go code in dir, so that it can be built.
func hasGo(dir string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(files) > 0, err
}

// buildIfSource builds the plugin where its source is there, in a language that
// is known, and the author did not say to take the guest that is there.
func (s Settings) buildIfSource(cmd *cobra.Command, dir string, noBuild bool) error {
	isGo, err := hasGo(dir)
	if err != nil || !isGo && language.Of(dir) == "" || noBuild {
		return err
	}
	_, err = s.build(cmd, dir, "")
	return err
}

// noBuildFlag adds --no-build to a command.
func noBuildFlag(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "no-build", false, "take the guest that is there instead of building it first")
}
