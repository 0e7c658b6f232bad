package modsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// ErrNoGo is wrapped where the go command is missing.
var ErrNoGo = errors.New("the go command was not found; install Go 1.26 or newer from https://go.dev/dl and put it on PATH")

// Workspace is a plugin's folder in which the go command finds the served
// modules. Close removes what it put down for a while; the folder itself is
// never changed.
type Workspace struct {
	// Dir is the plugin's folder, absolute.
	Dir string
	// Note says what the author should know, for example that go.mod asks for
	// another SDK version than the one used; empty if nothing.
	Note string

	env   []string
	flags []string
	temp  string
}

// goEnv is what the go command says about a folder.
type goEnv struct {
	GOMOD, GOWORK, GOPROXY, GONOSUMDB, GONOPROXY string
}

// Open finds the module of the plugin in dir. A module that replaces all
// served modules by folders of its own (as this repository does) is built with
// those, in its go.work if it has one. Any other is built with what is served,
// whatever versions its go.mod asks for, and outside any go.work.
func (s *Source) Open(ctx context.Context, dir, cacheDir string) (*Workspace, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	env, err := readEnv(ctx, dir)
	if err != nil {
		return nil, err
	}
	if env.GOMOD == "" || env.GOMOD == os.DevNull {
		return nil, fmt.Errorf("%s is in no Go module; write a go.mod, or start with: callboard plugin new NAMESPACE/NAME", dir)
	}
	mod, err := readMod(env.GOMOD)
	if err != nil {
		return nil, err
	}
	if s.replacedByFolders(mod) {
		return &Workspace{Dir: dir, env: []string{"GOFLAGS="}}, nil
	}
	proxy, err := s.WriteProxy(cacheDir)
	if err != nil {
		return nil, err
	}
	w := &Workspace{Dir: dir, env: s.environment(env, proxy), flags: []string{"-mod=readonly"}}
	sums, err := readSums(env.GOMOD)
	if err != nil {
		return nil, err
	}
	if s.asksForServed(mod) && s.sumsComplete(sums) {
		return w, nil
	}
	return w, s.overlay(w, mod, sums)
}

// readEnv asks the go command. GOFLAGS is emptied: a flag of the author's
// shell must not change what is built.
func readEnv(ctx context.Context, dir string) (goEnv, error) {
	var env goEnv
	if _, err := exec.LookPath("go"); err != nil {
		return env, ErrNoGo
	}
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOMOD", "GOWORK", "GOPROXY", "GONOSUMDB", "GONOPROXY")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return env, fmt.Errorf("go env: %s", strings.TrimSpace(string(exit.Stderr)))
		}
		return env, fmt.Errorf("go env: %w", err)
	}
	return env, json.Unmarshal(out, &env)
}

func readMod(file string) (*modfile.File, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(file, source, nil)
}

// readSums returns the lines of the go.sum beside a go.mod.
func readSums(goMod string) ([]string, error) {
	source, err := os.ReadFile(filepath.Join(filepath.Dir(goMod), "go.sum"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var lines []string
	for line := range strings.Lines(string(source)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines, err
}

// replacedByFolders says whether the module brings all served modules itself.
func (s *Source) replacedByFolders(mod *modfile.File) bool {
	for _, m := range s.modules {
		if !slices.ContainsFunc(mod.Replace, func(r *modfile.Replace) bool {
			return r.Old.Path == m.Path && r.New.Version == ""
		}) {
			return false
		}
	}
	return true
}

// asksForServed says whether go.mod requires exactly what is served.
func (s *Source) asksForServed(mod *modfile.File) bool {
	for _, m := range s.modules {
		if !slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod == m.Version }) {
			return false
		}
		if slices.ContainsFunc(mod.Replace, func(r *modfile.Replace) bool { return r.Old.Path == m.Path }) {
			return false
		}
	}
	return true
}

// sumsComplete says whether go.sum holds the served modules.
func (s *Source) sumsComplete(lines []string) bool {
	for _, line := range s.Sums() {
		if !slices.Contains(lines, line) {
			return false
		}
	}
	return true
}

// overlay puts down a go.mod and go.sum for one build, in which the served
// modules replace whatever go.mod asks for.
func (s *Source) overlay(w *Workspace, mod *modfile.File, sums []string) (err error) {
	for _, m := range s.modules {
		if asked := required(mod, m.Path); asked != "" && asked != m.Version.Version {
			w.Note = fmt.Sprintf("go.mod asks for %s %s; this callboard carries and uses %s", m.Path, asked, m.Version.Version)
		}
		for _, r := range slices.Clone(mod.Replace) {
			if r.Old.Path == m.Path {
				if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
					return err
				}
			}
		}
		if err := mod.AddReplace(m.Path, "", m.Path, m.Version.Version); err != nil {
			return err
		}
		if required(mod, m.Path) == "" {
			if err := mod.AddRequire(m.Path, m.Version.Version); err != nil {
				return err
			}
		}
	}
	mod.Cleanup()
	content, err := mod.Format()
	if err != nil {
		return err
	}
	if w.temp, err = os.MkdirTemp("", "callboard-build-*"); err != nil {
		return err
	}
	goMod := filepath.Join(w.temp, "go.mod")
	w.flags = []string{"-mod=mod", "-modfile=" + goMod}
	if err := os.WriteFile(goMod, content, 0o600); err != nil {
		return errors.Join(err, w.Close())
	}
	lines := append(slices.Clone(sums), s.Sums()...)
	goSum := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(w.temp, "go.sum"), []byte(goSum), 0o600); err != nil {
		return errors.Join(err, w.Close())
	}
	return nil
}

// required returns the version that go.mod requires of a module, or "".
func required(mod *modfile.File, path string) string {
	for _, r := range mod.Require {
		if r.Mod.Path == path {
			return r.Mod.Version
		}
	}
	return ""
}

// environment is what the go command needs beside the author's own settings:
// the local source first, and no question to a checksum database about it.
func (s *Source) environment(env goEnv, proxy string) []string {
	own := make([]string, 0, len(s.modules))
	for _, m := range s.modules {
		own = append(own, m.Path)
	}
	chain := proxy
	if env.GOPROXY != "" {
		chain += "," + env.GOPROXY
	}
	out := []string{
		"GOFLAGS=", "GOWORK=off", "GOPROXY=" + chain,
		"GONOSUMDB=" + strings.Trim(env.GONOSUMDB+","+strings.Join(own, ","), ","),
	}
	for _, path := range own {
		if module.MatchPrefixPatterns(env.GONOPROXY, path) {
			return append(out, "GONOPROXY=none") // else go would look for the served modules elsewhere
		}
	}
	return out
}

// Close removes what the workspace put down.
func (w *Workspace) Close() error {
	if w.temp == "" {
		return nil
	}
	return os.RemoveAll(w.temp)
}
