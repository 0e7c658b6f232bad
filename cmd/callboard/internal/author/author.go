// Package author holds the commands of a plugin's author: a plugin is started,
// built, tested, tried, checked and packaged with the same binary that will
// host it, without a server and without a published SDK. It knows the go
// command and the plugin's folder; it never touches a server's data.
package author

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/registry/modsource"
	"github.com/callboard-dev/callboard/schemas"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/process"
)

// baseVersion is what the digests of the served modules are added to.
const baseVersion = "v0.1.0"

// Settings is what the commands take from the program around them.
type Settings struct {
	// Usage marks an error as a mistake in how a command was called.
	Usage func(error) error
	// CacheDir is where module sources and compiled guests are kept; empty
	// means the user's cache folder.
	CacheDir string
	// Dir is the folder from which relative paths start; empty means the
	// process's own.
	Dir string
	// Getenv reads the environment; nil means the process's own.
	Getenv func(string) string
}

// Commands returns the author's commands, in the order in which an author
// meets them.
func Commands(s Settings) []*cobra.Command {
	return []*cobra.Command{
		newNewCommand(s), newTestCommand(s), newBuildCommand(s), newGenerateCommand(s), newRunCommand(s),
		newBenchCommand(s), newReplayCommand(s), newDevCommand(s), newValidateCommand(s), newPackageCommand(s),
	}
}

// source returns the modules that this binary carries, and those besides that
// a plugin of the runtime needs.
func source(runtime string) (*modsource.Source, error) {
	modules := []modsource.Module{
		{Path: schemas.ModulePath, Base: baseVersion, Files: schemas.Source},
		{Path: sdk.ModulePath, Base: baseVersion, Files: sdk.Source},
	}
	if runtime == manifestv1.RuntimeProcess {
		modules = append(modules, modsource.Module{Path: process.ModulePath, Base: baseVersion, Files: process.Source})
	}
	return modsource.New(modules...)
}

// cacheDir returns where module sources are kept.
func (s Settings) cacheDir() (string, error) {
	if s.CacheDir != "" {
		return s.CacheDir, nil
	}
	return modsource.CacheDir()
}

// open prepares the go command for a plugin's folder and tells the author what
// there is to know.
func (s Settings) open(cmd *cobra.Command, dir, runtime string) (*modsource.Workspace, error) {
	modules, err := source(runtime)
	if err != nil {
		return nil, err
	}
	cache, err := s.cacheDir()
	if err != nil {
		return nil, err
	}
	w, err := modules.Open(cmd.Context(), dir, cache)
	if err != nil {
		return nil, err
	}
	if w.Note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "Note:", w.Note)
	}
	return w, nil
}

// folder returns the plugin's folder of the arguments; without one, the
// current folder.
func (s Settings) folder(args []string) string {
	if len(args) == 0 {
		return s.path(".")
	}
	return s.path(args[0])
}

// path returns where a path that the author wrote leads.
func (s Settings) path(p string) string {
	if s.Dir == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.Dir, p)
}

// env reads a variable of the environment.
func (s Settings) env(name string) string {
	if s.Getenv == nil {
		return os.Getenv(name)
	}
	return s.Getenv(name)
}

// outputFlag adds --output to a command.
func outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", "table", "how to print the result: table, json or yaml")
}

// report prints v as --output says; text is what a person reads.
func (s Settings) report(cmd *cobra.Command, v any, text string) error {
	format, err := cmd.Flags().GetString("output")
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch format {
	case "table":
		_, err = fmt.Fprint(out, text)
	case "json":
		err = writeJSON(out, v)
	case "yaml":
		err = writeYAML(out, v)
	default:
		err = s.Usage(fmt.Errorf("--output %q is not one of table, json, yaml", format))
	}
	return err
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writeYAML(out io.Writer, v any) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if doc, err = yaml.JSONToYAML(doc); err != nil {
		return err
	}
	_, err = out.Write(doc)
	return err
}

// exists says whether there is something at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// sizeText writes a number of bytes as people do.
func sizeText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
