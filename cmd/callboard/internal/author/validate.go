package author

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
)

// newValidateCommand returns "plugin validate".
func newValidateCommand(s Settings) *cobra.Command {
	var against string
	cmd := &cobra.Command{
		Use:   "validate [DIR|FILE] [--against RELEASE]",
		Short: "Check a plugin's manifest and code as the host will",
		Long: "Checks plugin.yaml in DIR (the current folder if none), or a packaged file, against the published schema and\n" +
			"the host's own rules, the OpenAPI fragment, and the guest if it is built. Problems name file and line.\n\n" +
			"With --against an earlier release (a folder or a packaged file) it is an error to break what that promised, such\n" +
			"as an operation, a view or a setting, unless the version says so: by a higher major version, or a higher minor\n" +
			"version below 1.0.",
		Example: "  callboard plugin validate\n  callboard plugin validate board.tar --output json\n" +
			"  callboard plugin validate --against board-1.4.0.tar",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := s.validate(cmd, s.folder(args))
			if err != nil {
				return err
			}
			if against != "" {
				if err := s.compare(s.path(against), s.folder(args)); err != nil {
					return err
				}
			}
			return s.report(cmd, v, v.text())
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "an earlier release that this one must not break: a folder or packaged file")
	outputFlag(cmd)
	return cmd
}

// compare checks a release against an earlier one.
func (s Settings) compare(earlier, path string) error {
	before, err := manifestAt(earlier)
	if err != nil {
		return err
	}
	now, err := manifestAt(path)
	if err != nil {
		return err
	}
	return compatible(before, now)
}

// manifestAt reads the manifest of a folder, whose code need not be there, or
// of a packaged file.
func manifestAt(path string) (*manifestv1.Manifest, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return manifest.Peek(path)
	}
	bundle, err := manifest.Open(path)
	if err != nil {
		return nil, err
	}
	return bundle.Manifest, nil
}

// valid is what "plugin validate" reports of a plugin that is right.
type valid struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	Capabilities []string `json:"capabilities"`
	Permissions  []string `json:"permissions"`
	// Code says whether the guest was there to be checked.
	Code   bool   `json:"code"`
	Digest string `json:"digest,omitempty"`
}

// text is what a person reads.
func (v valid) text() string {
	out := fmt.Sprintf("%s %s is valid: offers %s", v.Name, v.Version, strings.Join(v.Capabilities, ", "))
	if len(v.Permissions) > 0 {
		out += "; asks for " + strings.Join(v.Permissions, ", ")
	}
	if !v.Code {
		return out + "\nThe code is not built yet, so only the manifest was checked: callboard plugin build\n"
	}
	return out + "\n" + v.Digest + "\n"
}

// validate checks a folder or a packaged file.
func (s Settings) validate(cmd *cobra.Command, path string) (valid, error) {
	info, err := os.Stat(path)
	if err != nil {
		return valid{}, host.Errorf(host.CodeNotFound, "there is no plugin at %s", path).
			WithHint("Name the plugin's folder, or a file that callboard plugin package made.")
	}
	if info.IsDir() {
		m, err := manifest.Peek(path)
		if err != nil {
			return valid{}, err
		}
		if !isBuilt(path, m) {
			return summary(m), nil
		}
	}
	bundle, err := manifest.Open(path)
	if err != nil {
		return valid{}, err
	}
	v := summary(bundle.Manifest)
	v.Code, v.Digest = true, bundle.Digest
	return v, s.checkCode(cmd.Context(), bundle)
}

func summary(m *manifestv1.Manifest) valid {
	v := valid{Name: m.Name, Version: m.Version, Capabilities: []string{}, Permissions: []string{}}
	for _, c := range m.Capabilities {
		v.Capabilities = append(v.Capabilities, c.Type)
	}
	for _, p := range m.Permissions {
		v.Permissions = append(v.Permissions, p.Type)
	}
	return v
}
