package author

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

const (
	// tailInterval is how often the server is asked what the plugin did.
	tailInterval = 500 * time.Millisecond
	// maxAnswer is how much of a server's answer is read.
	maxAnswer = 1 << 20
)

// newDevCommand returns "plugin dev".
func newDevCommand(s Settings) *cobra.Command {
	var server string
	var accept, once bool
	cmd := &cobra.Command{
		Use:   "dev [DIR] --server URL",
		Short: "Watch a plugin's folder and upgrade it on a running server at each change",
		Long: "Builds the plugin in DIR (the current folder if none), installs it on the server, or upgrades it there, and\n" +
			"does so again whenever a file of the folder changes. A build that fails is shown and changes nothing on the\n" +
			"server. The calls that the plugin answers are printed, with what it logged and why it failed. The token is read\n" +
			"from CALLBOARD_TOKEN; the server must run with --development, as the code is not signed. Ctrl-C ends it; the\n" +
			"plugin stays installed.",
		Example: "  export CALLBOARD_TOKEN=...\n  callboard plugin dev --server http://127.0.0.1:8080 --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := url.Parse(server)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return s.Usage(fmt.Errorf("--server %q is not a URL like http://127.0.0.1:8080", server))
			}
			p := &portal{base: strings.TrimSuffix(server, "/"), token: s.env("CALLBOARD_TOKEN"), accept: accept}
			if once {
				return s.ship(cmd, s.folder(args), p)
			}
			return s.watch(cmd, s.folder(args), p)
		},
	}
	cmd.Flags().StringVar(&server, "server", s.envOr("CALLBOARD_SERVER", "http://127.0.0.1:8080"), "the server's URL (CALLBOARD_SERVER)")
	cmd.Flags().BoolVar(&accept, "yes", false, "accept the permissions that plugin.yaml asks for")
	cmd.Flags().BoolVar(&once, "once", false, "build and upgrade once, then end")
	return cmd
}

func (s Settings) envOr(name, fallback string) string {
	if v := s.env(name); v != "" {
		return v
	}
	return fallback
}

// watch ships the plugin now and at each change, until the context ends. What
// calls it answers and what it logs meanwhile is printed.
func (s Settings) watch(cmd *cobra.Command, dir string, p *portal) error {
	ctx := cmd.Context()
	eyes, err := newEyes(dir)
	if err != nil {
		return err
	}
	defer func() { _ = eyes.Close() }() // nothing is lost with it
	tail := &tail{portal: p, out: cmd.OutOrStdout()}
	looks := time.NewTicker(tailInterval)
	defer looks.Stop()
	last := ""
	for {
		now, err := stateOf(dir)
		if err != nil {
			return err
		}
		if now != last {
			last = now
			if err := s.ship(cmd, dir, p); err != nil && ctx.Err() == nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
			}
		}
		if err := eyes.wait(ctx, looks.C, func() { tail.print(ctx) }); err != nil {
			return nil //nolint:nilerr // the author ended it
		}
	}
}

// stateOf names the state of the folder's sources: path, size and time of each
// file. What a build writes does not count.
func stateOf(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != dir && (strings.HasPrefix(name, ".") || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext == ".wasm" || ext == ".tar" || strings.HasPrefix(name, ".") || isProgram(name) {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil // gone since it was listed
		}
		fmt.Fprintln(&b, path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	return b.String(), err
}

// isProgram says whether a file is named as a build names a program.
func isProgram(name string) bool {
	return slices.ContainsFunc(manifest.Platforms(), func(p string) bool {
		return strings.HasSuffix(name, "-"+strings.ReplaceAll(p, "/", "-"))
	})
}

// ship builds the plugin and brings it to the server.
func (s Settings) ship(cmd *cobra.Command, dir string, p *portal) error {
	started := time.Now()
	if err := s.buildIfSource(cmd, dir, false); err != nil {
		return err
	}
	bundle, err := manifest.OpenFolder(dir)
	if err != nil {
		return err
	}
	if bundle.Digest == p.shipped {
		return nil
	}
	var packed bytes.Buffer
	if err := bundle.Write(&packed); err != nil {
		return err
	}
	verb, state, err := p.bring(cmd.Context(), bundle.Manifest.Name, packed.Bytes())
	if err != nil {
		return err
	}
	p.shipped, p.plugin = bundle.Digest, bundle.Manifest.Name
	p.fresh = p.fresh || verb == "installed"
	if state, err = p.settled(cmd.Context(), state); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s in %s: %s\n",
		verb, bundle.Manifest.Name, bundle.Manifest.Version, time.Since(started).Round(time.Millisecond), state)
	return err
}

// portal is the server that is developed against.
type portal struct {
	base, token string
	accept      bool
	shipped     string // the digest that was brought last
	plugin      string // its name
	fresh       bool   // this command has installed it
}

// at is the plugin's path on the server.
func (p *portal) at(name string) string {
	_, short, _ := strings.Cut(name, "/")
	return "/api/v1/plugins/" + url.PathEscape(short)
}

// settled waits until the server has compiled what was brought, and returns the
// state that came of it.
func (p *portal) settled(ctx context.Context, state string) (string, error) {
	const look, most = 50 * time.Millisecond, time.Minute
	for deadline := time.Now().Add(most); strings.HasPrefix(state, "compiling") || strings.HasPrefix(state, "installing"); {
		if time.Now().After(deadline) {
			return state, nil
		}
		wait := time.NewTimer(look)
		select {
		case <-ctx.Done():
			wait.Stop()
			return state, ctx.Err()
		case <-wait.C:
		}
		_, body, err := p.do(ctx, http.MethodGet, p.at(p.plugin), nil)
		if err != nil {
			return state, err
		}
		if state, err = stateIn(body); err != nil {
			return state, err
		}
	}
	return state, nil
}

// stateIn reads the state of an instance, with what there is to say about it.
func stateIn(body []byte) (string, error) {
	var instance struct {
		State  string `json:"state"`
		Detail string `json:"stateDetail"`
	}
	if err := json.Unmarshal(body, &instance); err != nil {
		return "", fmt.Errorf("reading the server's answer: %w", err)
	}
	if instance.Detail != "" {
		instance.State += " (" + instance.Detail + ")"
	}
	return instance.State, nil
}

// bring installs the package, or upgrades the plugin where it is installed.
func (p *portal) bring(ctx context.Context, name string, packed []byte) (verb, state string, err error) {
	at := p.at(name)
	status, _, err := p.do(ctx, http.MethodGet, at, nil)
	if err != nil && status != http.StatusNotFound {
		return "", "", err
	}
	query := fmt.Sprintf("?acceptPermissions=%t", p.accept)
	verb, path := "upgraded", at+"/upgrade"+query
	if status == http.StatusNotFound {
		verb, path = "installed", "/api/v1/plugins"+query
	}
	_, body, err := p.do(ctx, http.MethodPost, path, packed)
	if err != nil {
		return "", "", err
	}
	state, err = stateIn(body)
	return verb, state, err
}

// do sends one request; a status that says no is an error with the words of
// the problem document.
func (p *portal) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/vnd.oci.image.layout.v1+tar")
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	client := &http.Client{Timeout: 2 * time.Minute}
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, host.Errorf(host.CodeUnavailable, "reaching the server: %w", err).
			WithHint("Start one with: callboard serve --data ./data --demo")
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil || answer.StatusCode < 300 {
		return answer.StatusCode, content, err
	}
	return answer.StatusCode, nil, problemOf(answer, content)
}

// problemOf reads a problem document.
func problemOf(answer *http.Response, content []byte) error {
	var problem struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Hint   string `json:"hint"`
	}
	if json.Unmarshal(content, &problem) != nil || problem.Title+problem.Detail == "" {
		return host.Errorf(host.CodeUpstream, "the server answered %s to %s %s", answer.Status, answer.Request.Method, answer.Request.URL.Path)
	}
	text := problem.Detail
	if text == "" {
		text = problem.Title
	}
	out := host.Errorf(host.CodeUpstream, "the server answered %s: %s", answer.Status, text)
	out.Hint = problem.Hint
	if answer.StatusCode == http.StatusUnauthorized && out.Hint == "" {
		out.Hint = "Set CALLBOARD_TOKEN to an admin's token: callboard token create --tenant T --role admin"
	}
	return out
}
