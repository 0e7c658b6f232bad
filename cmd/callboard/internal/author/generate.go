package author

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/internal/codecgen"
)

// newGenerateCommand returns "plugin generate".
func newGenerateCommand(s Settings) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "generate [DIR]",
		Short: "Write the codecs of a plugin's types",
		Long: "Writes " + codecgen.FileName + " in each package of the plugin in DIR (the current folder if none) that has types with\n" +
			"the comment " + codecgen.Mark + ". Their JSON is then read and written without reflection, which is the dearest part of\n" +
			"most calls. plugin build does it first. The same source gives the same bytes.",
		Example: "  callboard plugin generate\n  callboard plugin generate --check",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			changed, err := s.generate(s.folder(args), check)
			if err != nil {
				return err
			}
			for _, file := range changed {
				fmt.Fprintln(cmd.OutOrStdout(), file)
			}
			if check && len(changed) > 0 {
				return fmt.Errorf("%d generated files are not fresh: run callboard plugin generate", len(changed))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail where a file is not what would be written")
	return cmd
}

// generate writes the codecs below dir and returns the files that changed, or
// with check those that would.
func (s Settings) generate(dir string, check bool) (changed []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if path != dir && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor" || name == "node_modules") {
			return fs.SkipDir
		}
		work := codecgen.Write
		if check {
			work = codecgen.Stale
		}
		did, err := work(path, codecgen.Settings{})
		if did {
			changed = append(changed, filepath.Join(path, codecgen.FileName))
		}
		return err
	})
	return changed, err
}
