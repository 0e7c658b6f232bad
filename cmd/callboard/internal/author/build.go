package author

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/registry/modsource"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// defaultMain is the code's file where the manifest names none.
const defaultMain = "plugin.wasm"

// newBuildCommand returns "plugin build".
func newBuildCommand(s Settings) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compile a plugin to WebAssembly",
		Long: "Compiles the plugin in DIR (the current folder if none) with the Go toolchain on PATH and puts the guest\n" +
			"where plugin.yaml names it. The same source gives the same bytes.",
		Example: "  callboard plugin build\n  callboard plugin build ./deploy-board --output json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built, err := s.build(cmd, s.folder(args), file)
			if err != nil {
				return err
			}
			return s.report(cmd, struct {
				File   string `json:"file"`
				Size   int64  `json:"size"`
				Digest string `json:"digest"`
			}(built), fmt.Sprintf("%s  %s  %s\n", built.File, sizeText(built.Size), built.Digest))
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "write the guest to this file instead of the one that plugin.yaml names")
	outputFlag(cmd)
	return cmd
}

// build compiles the plugin in dir to file; empty means where plugin.yaml says.
func (s Settings) build(cmd *cobra.Command, dir, file string) (modsource.Built, error) {
	m, err := manifest.Peek(dir)
	if err != nil {
		return modsource.Built{}, err
	}
	if m.Runtime != manifestv1.RuntimeWASM {
		return modsource.Built{}, host.Errorf(host.CodeInvalid, "plugin build makes WebAssembly guests, and this plugin's runtime is %q", m.Runtime).
			At(filepath.Join(dir, manifestv1.FileName))
	}
	w, err := s.open(cmd, dir)
	if err != nil {
		return modsource.Built{}, err
	}
	if file == "" {
		file = filepath.Join(dir, mainFile(m))
	} else {
		file = s.path(file)
	}
	built, err := w.Build(cmd.Context(), file, cmd.ErrOrStderr())
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return built, err
}

// mainFile returns the code's file, relative to the manifest.
func mainFile(m *manifestv1.Manifest) string {
	if m.Main == "" {
		return defaultMain
	}
	return filepath.FromSlash(m.Main)
}

// hasGo says whether there is Go code in dir, so that it can be built.
func hasGo(dir string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(files) > 0, err
}

// buildIfGo builds the plugin where it is written in Go and the author did not
// say to take the guest that is there.
func (s Settings) buildIfGo(cmd *cobra.Command, dir string, noBuild bool) error {
	isGo, err := hasGo(dir)
	if err != nil || !isGo || noBuild {
		return err
	}
	_, err = s.build(cmd, dir, "")
	return err
}

// noBuildFlag adds --no-build to a command.
func noBuildFlag(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "no-build", false, "take the guest that is there instead of building it first")
}
