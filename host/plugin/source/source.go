// Package source says where releases come from, and opens them: a folder or
// file of this machine, a package that came with the host, or one that was
// sent. What is in a release is checked by package manifest.
package source

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
	"github.com/callboard-dev/callboard/host/plugin/record"
)

// Source says where a release comes from: exactly one field is set.
type Source struct {
	// Path is a folder or a packaged file on this machine.
	Path string
	// Bundled is the name of a plugin that comes with the host,
	// "namespace/name" or the part after the slash.
	Bundled string
	// Upload is a package.
	Upload []byte
}

// Opener opens releases.
type Opener struct {
	// Dir is a folder of packages (*.callboard, *.tar) that come with the
	// host; empty means none.
	Dir string
	Log *slog.Logger
}

// Open opens a release. Paths are refused where local is false: a path read
// for a tenant's admin would show them the host's files.
func (o Opener) Open(s Source, local bool) (*manifest.Bundle, error) {
	switch {
	case s.Path != "":
		if !local {
			return nil, host.Errorf(host.CodeForbidden, "plugins cannot be installed from a path of the host").
				WithHint("upload a package instead: callboard plugin install does so for a folder or a file")
		}
		return manifest.Open(s.Path)
	case s.Bundled != "":
		for _, file := range o.files() {
			if b, err := manifest.OpenFile(file); err == nil && (b.Manifest.Name == s.Bundled || record.ShortOf(b.Manifest.Name) == s.Bundled) {
				return b, nil
			}
		}
		return nil, host.Errorf(host.CodeNotFound, "no plugin %q is bundled with this host", s.Bundled).
			WithHint("callboard plugin list --bundled shows what is")
	case len(s.Upload) > 0:
		return manifest.OpenBytes(s.Upload)
	}
	return nil, host.Errorf(host.CodeInvalid, "the source of the plugin is missing").WithHint("give a package, or the name of a bundled plugin")
}

// Bundled opens all packages that come with the host. A file that cannot be
// read is logged and left out.
func (o Opener) Bundled() []*manifest.Bundle {
	var out []*manifest.Bundle
	for _, file := range o.files() {
		b, err := manifest.OpenFile(file)
		if err != nil {
			o.Log.Warn("leaving out a bundled plugin", "file", file, "error", err)
			continue
		}
		out = append(out, b)
	}
	return out
}

func (o Opener) files() []string {
	if o.Dir == "" {
		return nil
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.Log.Warn("reading the bundled plugins", "error", err)
		}
		return nil
	}
	var out []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.Type().IsRegular() && (ext == ".callboard" || ext == ".tar") {
			out = append(out, filepath.Join(o.Dir, e.Name()))
		}
	}
	return out
}
