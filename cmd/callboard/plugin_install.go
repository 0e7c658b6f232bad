package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/manifest"
)

// settleWithin is how long a command waits for a plugin to be compiled.
const settleWithin = 5 * time.Minute

// release is a plugin to be installed: the bytes of its package, or its name
// among those that come with the host, with the version that is wanted, if any.
type release struct {
	bundled, version string
	packed           []byte
}

var pluginRef = regexp.MustCompile(`^((?:[a-z0-9][a-z0-9-]*/)?[a-z0-9][a-z0-9-]*)(?:@v?([0-9][0-9A-Za-z.+-]*))?$`)

// openRelease understands REF: a folder, a packaged file, or the name of a
// plugin that comes with the host: [namespace/]name[@version].
func openRelease(ref string) (release, error) {
	info, err := os.Stat(ref)
	switch {
	case err == nil && info.IsDir():
		var buf bytes.Buffer
		if _, err := manifest.WritePackage(ref, &buf); err != nil {
			return release{}, err
		}
		return release{packed: buf.Bytes()}, nil
	case err == nil:
		raw, err := os.ReadFile(ref)
		if err != nil {
			return release{}, fmt.Errorf("reading the packaged file: %w", err)
		}
		return release{packed: raw}, nil
	}
	if m := pluginRef.FindStringSubmatch(ref); m != nil {
		return release{bundled: m[1], version: m[2]}, nil
	}
	return release{}, noRelease(ref)
}

func noRelease(ref string) error {
	return host.Errorf(host.CodeNotFound, "%q is no folder, no packaged file and no plugin that comes with the host.", ref).
		WithHint("callboard plugin list --bundled shows what comes with the host; callboard plugin package makes a packaged file.")
}

// request makes the request that sends or names the release, with options.
func (r release) request(method, path string, options map[string]any) (request, error) {
	if options == nil {
		options = map[string]any{}
	}
	if r.packed == nil {
		options["bundled"] = r.bundled
		raw, err := json.Marshal(options)
		return request{method: method, path: path, body: raw, contentType: "application/json"}, err
	}
	var buf bytes.Buffer
	form := multipart.NewWriter(&buf)
	raw, err := json.Marshal(options)
	if err == nil {
		err = form.WriteField("options", string(raw))
	}
	if err == nil {
		var part io.Writer
		if part, err = form.CreateFormFile("package", "plugin.tar"); err == nil {
			_, err = part.Write(r.packed)
		}
	}
	if err == nil {
		err = form.Close()
	}
	return request{method: method, path: path, body: buf.Bytes(), contentType: form.FormDataContentType()}, err
}

// releasePreview is what the server says about a release before it is
// installed.
type releasePreview struct {
	ID          string       `json:"id"`
	Title       string       `json:"title"`
	Version     string       `json:"version"`
	Digest      string       `json:"digest"`
	Installed   string       `json:"installed"`
	Permissions []permission `json:"permissions"`
	Wider       []permission `json:"wider"`
	Widened     []string     `json:"widened"`

	Raw json.RawMessage `json:"-"`
}

// previewOf asks the server what REF is and asks for.
func previewOf(ctx context.Context, c *client, ref string) (releasePreview, release, error) {
	var p releasePreview
	rel, err := openRelease(ref)
	if err != nil {
		return p, rel, err
	}
	req, err := rel.request(http.MethodPost, "/api/v1/plugin-previews", nil)
	if err != nil {
		return p, rel, err
	}
	if err := c.do(ctx, req, nil, &p.Raw); err != nil {
		if rel.packed == nil && host.CodeOf(err) == host.CodeNotFound {
			err = noRelease(ref)
		}
		return p, rel, err
	}
	if err := json.Unmarshal(p.Raw, &p); err != nil {
		return p, rel, fmt.Errorf("reading the server's preview: %w", err)
	}
	if rel.version != "" && rel.version != p.Version {
		return p, rel, host.Errorf(host.CodeNotFound, "Version %s of %s does not come with the host; version %s does.", rel.version, p.ID, p.Version).
			WithHint("Leave the version out, or install a folder or packaged file of that version.")
	}
	return p, rel, nil
}

// pluginInputs are the flags by which configuration and secrets come in.
type pluginInputs struct {
	config  string
	secrets []string
}

func (in *pluginInputs) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&in.config, "config", "", "file with the plugin's configuration, YAML or JSON (- reads standard input)")
	cmd.Flags().StringArrayVar(&in.secrets, "secret", nil, "NAME=@FILE or NAME=env:VARIABLE; NAME= removes it. Values do not stand on the command line")
}

// read returns what is to be set, as the API's members config and secrets.
func (in *pluginInputs) read(cmd *cobra.Command) (map[string]any, error) {
	out := map[string]any{}
	if in.config != "" {
		src, err := readInput(cmd, in.config)
		if err != nil {
			return nil, err
		}
		raw, err := yaml.YAMLToJSON(src)
		if err != nil {
			return nil, host.Errorf(host.CodeInvalid, "The configuration is neither YAML nor JSON.").At(in.config)
		}
		out["config"] = json.RawMessage(raw)
	}
	secrets := map[string]string{}
	for _, s := range in.secrets {
		name, value, err := secretOf(s)
		if err != nil {
			return nil, err
		}
		secrets[name] = value
	}
	if len(secrets) > 0 {
		out["secrets"] = secrets
	}
	return out, nil
}

// secretOf reads one --secret.
func secretOf(s string) (name, value string, err error) {
	name, from, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return "", "", usageError{fmt.Errorf("--secret needs NAME=@FILE or NAME=env:VARIABLE")}
	}
	if from == "" {
		return name, "", nil
	}
	if file, ok := strings.CutPrefix(from, "@"); ok {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", "", fmt.Errorf("reading the secret %s: %w", name, err)
		}
		return name, strings.TrimRight(string(raw), "\r\n"), nil
	}
	if variable, ok := strings.CutPrefix(from, "env:"); ok {
		v, set := os.LookupEnv(variable)
		if !set {
			return "", "", host.Errorf(host.CodeInvalid, "The variable %s, which --secret %s names, is not set.", variable, name)
		}
		return name, v, nil
	}
	return "", "", usageError{fmt.Errorf("--secret %s: a value on the command line would be seen by others; use %s=@FILE or %s=env:VARIABLE", name, name, name)}
}

// readInput reads a file, or standard input where its name is "-".
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxAnswer))
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return raw, nil
}

func newPluginInstallCommand() *cobra.Command {
	var in pluginInputs
	var yes, disabled bool
	cmd := serverCommand("install REF", "Install a plugin from a folder, a packaged file, or those that come with the host", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			options, err := in.read(cmd)
			if err != nil {
				return err
			}
			p, rel, err := previewOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			if p.Installed != "" {
				return host.Errorf(host.CodeConflict, "%s is installed already, as version %s.", p.ID, p.Installed).
					WithHint("callboard plugin upgrade %s exchanges its release.", args[0])
			}
			if err := showAndAsk(cmd, yes, p, p.Permissions, nil); err != nil {
				return err
			}
			options["acceptPermissions"], options["enable"] = true, !disabled
			req, err := rel.request(http.MethodPost, "/api/v1/plugins", options)
			if err != nil {
				return err
			}
			var done pluginItem
			if err := c.do(ctx, req, nil, &done); err != nil {
				return err
			}
			if err := settle(ctx, cmd, c, done); err != nil || disabled {
				return err
			}
			sayNext(cmd, done, "--config FILE")
			return nil
		})
	cmd.Example = "  callboard plugin install prometheus --config prometheus.yaml\n  callboard plugin install ./hello-plugin --yes"
	cmd.Flags().BoolVar(&yes, "yes", false, "grant the permissions shown, without asking")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "install without enabling")
	in.flags(cmd)
	return cmd
}

func newPluginUpgradeCommand() *cobra.Command {
	var yes, force bool
	cmd := serverCommand("upgrade REF", "Exchange the release of an installed plugin", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			p, rel, err := previewOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			if p.Installed == "" {
				return host.Errorf(host.CodeNotFound, "%s is not installed.", p.ID).WithHint("callboard plugin install %s installs it.", args[0])
			}
			var old pluginItem
			if len(p.Wider) > 0 {
				if err := c.get(ctx, pluginPath(p.ID), nil, &old); err != nil {
					return err
				}
			}
			if err := showAndAsk(cmd, yes, p, p.Wider, old.Grants); err != nil {
				return err
			}
			req, err := rel.request(http.MethodPost, pluginPath(p.ID)+"/upgrade", map[string]any{"acceptPermissions": true, "force": force})
			if err != nil {
				return err
			}
			var done pluginItem
			if err := c.do(ctx, req, nil, &done); err != nil {
				return err
			}
			sayTrial(cmd, done)
			return settle(ctx, cmd, c, done)
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "grant the permissions shown, without asking")
	cmd.Flags().BoolVar(&force, "force", false, "upgrade although the release breaks at recorded calls")
	return cmd
}

// sayTrial tells what recorded calls say of a release that took over.
func sayTrial(cmd *cobra.Command, p pluginItem) {
	if p.Trial == nil || p.Trial.Replayed == 0 {
		return
	}
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "Tried on %d recorded calls: %d answered the same, %d otherwise, %d failed.\n", p.Trial.Replayed, p.Trial.Same, p.Trial.Changed, p.Trial.Failed)
	for _, d := range p.Trial.Details {
		fmt.Fprintf(w, "  - %s\n", printable(d))
	}
}

// showAndAsk shows what a release asks for beyond what is granted, beside what
// was granted of the same type, and what else it could do more. It asks for
// consent where it is anything.
func showAndAsk(cmd *cobra.Command, yes bool, p releasePreview, asks, granted []permission) error {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "%s %s: %s\n", printable(p.ID), printable(p.Version), printable(p.Title))
	if len(asks) == 0 {
		fmt.Fprintln(w, "It asks for no further permission.")
	} else {
		fmt.Fprintln(w, "It asks for:")
	}
	for _, a := range asks {
		fmt.Fprintf(w, "  - %s\n    because: %s\n", printable(a.what()), printable(a.Reason))
		if before := a.before(granted); before != "" {
			fmt.Fprintf(w, "    %s\n", printable(before))
		}
	}
	if len(p.Widened) == 0 {
		if len(asks) == 0 {
			return nil
		}
		return consent(cmd, yes, "Grant these permissions?")
	}
	fmt.Fprintln(w, "It could do more than the installed version:")
	for _, sentence := range p.Widened {
		fmt.Fprintf(w, "  - %s\n", printable(sentence))
	}
	return consent(cmd, yes, "Grant all of this?")
}

// consent asks a person; where there is none, it refuses.
func consent(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); ok {
		info, err := f.Stat()
		if err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return refused("This needs consent, and there is nobody to ask.")
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(cmd.ErrOrStderr())
		return refused("This needs consent, and there is nobody to ask.")
	}
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))) {
		return host.Errorf(host.CodeForbidden, "Not agreed: nothing was changed.")
	}
	return nil
}

// sayNext says by which command a plugin that is switched off gets to work: one
// that gives it what it lacks, or one that switches it on.
func sayNext(cmd *cobra.Command, p pluginItem, lacks string) {
	if p.State != "disabled" {
		return
	}
	for _, name := range p.Missing {
		lacks += " --secret " + name + "=@FILE"
	}
	next := "enable " + p.Name
	if lacks = strings.TrimSpace(lacks); lacks != "" {
		next = "configure " + p.Name + " " + lacks
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Next: callboard plugin %s\n", printable(next))
}

// settle waits until a plugin has left its passing states, showing how far its
// compilation is, and prints it. A state of failure fails the command.
func settle(ctx context.Context, cmd *cobra.Command, c *client, p pluginItem) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	shown := ""
	for p.State == "installing" || p.State == "compiling" {
		line := p.State
		if p.Progress != nil {
			line = fmt.Sprintf("%s %3.0f %%", p.Progress.Phase, 100*p.Progress.Fraction)
		}
		if line != shown {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
			shown = line
		}
		select {
		case <-ctx.Done():
			return host.Errorf(host.CodeUnavailable, "%s is still %s.", p.ID, p.State).WithHint("callboard plugin info %s shows how it goes on.", p.ID)
		case <-time.After(150 * time.Millisecond):
		}
		var next pluginItem
		if err := c.get(ctx, pluginPath(p.ID), nil, &next); err != nil {
			return err
		}
		p = next
	}
	if err := printPlugin(cmd, p); err != nil {
		return err
	}
	if strings.HasPrefix(p.State, "failed") || p.State == "quarantined" {
		return host.Errorf(host.CodeInternal, "%s is %s: %s", p.ID, p.State, p.StateDetail)
	}
	return nil
}
