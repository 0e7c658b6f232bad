package author

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// newPackageCommand returns "plugin package".
func newPackageCommand(s Settings) *cobra.Command {
	var file string
	var noBuild bool
	cmd := &cobra.Command{
		Use:   "package [DIR]",
		Short: "Pack a plugin into one file that can be installed or published",
		Long: "Builds the plugin in DIR (the current folder if none), checks it and packs it as an OCI image layout in a\n" +
			"tar file: ./NAME-VERSION.tar, or --out. The same plugin gives the same bytes.",
		Example: "  callboard plugin package\n  callboard plugin package ./deploy-board --out board.tar\n" +
			"  callboard plugin install board.tar --server https://portal.example.com",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := s.folder(args)
			if err := s.buildIfSource(cmd, dir, noBuild); err != nil {
				return err
			}
			return s.pack(cmd, dir, file)
		},
	}
	cmd.Flags().StringVar(&file, "out", "", "the file to write, or a folder for it (default NAME-VERSION.tar)")
	noBuildFlag(cmd, &noBuild)
	outputFlag(cmd)
	return cmd
}

// packed is what "plugin package" reports.
type packed struct {
	File    string `json:"file"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Size    int64  `json:"size"`
	Digest  string `json:"digest"`
}

// pack checks the plugin in dir and writes the package in one step.
func (s Settings) pack(cmd *cobra.Command, dir, file string) error {
	bundle, err := manifest.OpenFolder(dir)
	if err != nil {
		return err
	}
	if err := s.checkCode(cmd.Context(), bundle); err != nil {
		return err
	}
	_, short, _ := strings.Cut(bundle.Manifest.Name, "/")
	usual := short + "-" + bundle.Manifest.Version + ".tar"
	if info, err := os.Stat(s.path(file)); file == "" {
		file = usual
	} else if err == nil && info.IsDir() {
		file = filepath.Join(file, usual)
	}
	size, err := writePackage(bundle, s.path(file))
	if err != nil {
		return err
	}
	p := packed{File: file, Name: bundle.Manifest.Name, Version: bundle.Manifest.Version, Size: size, Digest: bundle.Digest}
	return s.report(cmd, p, fmt.Sprintf("%s  %s %s  %s  %s\n", p.File, p.Name, p.Version, sizeText(p.Size), p.Digest))
}

// writePackage writes the package beside its place and moves it there.
func writePackage(bundle *manifest.Bundle, file string) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".callboard-package-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // best effort: the error says what matters
		}
	}()
	if err := bundle.Write(f); err != nil {
		_ = f.Close()
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return 0, err
	}
	if err := f.Chmod(0o644); err != nil {
		_ = f.Close()
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(f.Name(), file)
}
