package author

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/flame"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/plugin/fragment"
	"github.com/callboard-dev/callboard/host/plugin/schema"
	routev1 "github.com/callboard-dev/callboard/schemas/capability/route/v1"
	manifestv1 "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk"
	"github.com/callboard-dev/callboard/sdk/route"
	"github.com/callboard-dev/callboard/sdk/sdktest"
	"github.com/callboard-dev/callboard/sdk/view"
)

// trial is one call as the flags describe it.
type trial struct {
	operation, view, schedule string
	params, query             map[string]string
	secrets                   []string
	body, config              string
	entities                  []string
	network, noBuild          bool
	role, tenant              string
	record, profile           string
}

// newRunCommand returns "plugin run".
func newRunCommand(s Settings) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:   "run [DIR] (--operation ID | --view ID | --schedule ID)",
		Short: "Make one call of a plugin in a real sandbox",
		Long: "Builds the plugin in DIR (the current folder if none), runs it in the sandbox in which a portal would run it,\n" +
			"makes one call and prints the answer as JSON. The portal around it is in memory: an empty store, the\n" +
			"entities and the configuration of the flags. Upstreams are reached with --network only, within plugin.yaml.\n" +
			"Log lines of the plugin go to standard error, and so does what the call used: time, fuel, memory, bytes and host\n" +
			"calls. With --profile each function is watched, which is slow, and the dearest are listed.",
		Example: "  callboard plugin run --operation getGreeting --param name=Ann\n" +
			"  callboard plugin run --view overview --entity petstore.yaml\n" +
			"  callboard plugin run --operation getGreeting --param name=Ann --profile call.svg\n" +
			"  GITHUB_TOKEN=... callboard plugin run --operation listRuns --network --secret token=env:GITHUB_TOKEN",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.complete(s); err != nil {
				return err
			}
			return s.run(cmd, s.folder(args), t)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&t.record, "record", "", "write the call to this file, for callboard plugin replay")
	cmd.Flags().StringVar(&t.profile, "profile", "", "write where the fuel went to this file: a flame graph (.svg) or folded stacks")
	return cmd
}

// flags adds the flags that describe a call.
func (t *trial) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.operation, "operation", "", "call the operation with this operationId")
	f.StringVar(&t.view, "view", "", "render the view with this id")
	f.StringVar(&t.schedule, "schedule", "", "run the schedule with this id")
	f.StringToStringVar(&t.params, "param", nil, "a path parameter of the operation, or a parameter of the view: name=value")
	f.StringToStringVar(&t.query, "query", nil, "a query parameter of the operation: name=value")
	f.StringVar(&t.body, "body", "", "the operation's body: JSON, or @FILE")
	f.StringArrayVar(&t.entities, "entity", nil, "a file with entities of the catalog, YAML or JSON; a view is shown for the first")
	f.StringVar(&t.config, "config", "", "file with the plugin's configuration, YAML or JSON")
	f.StringArrayVar(&t.secrets, "secret", nil, "NAME=@FILE or NAME=env:VARIABLE. Values do not stand on the command line")
	f.BoolVar(&t.network, "network", false, "let requests go out to the origins that plugin.yaml names")
	f.StringVar(&t.role, "role", "admin", "the caller's role: admin, member or viewer")
	f.StringVar(&t.tenant, "tenant", "test", "the tenant's slug")
	noBuildFlag(cmd, &t.noBuild)
}

// complete checks that the flags say what to call.
func (t *trial) complete(s Settings) error {
	if count(t.operation, t.view, t.schedule) != 1 {
		return s.Usage(errors.New("say what to call: one of --operation, --view and --schedule"))
	}
	return nil
}

func count(values ...string) int {
	n := 0
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

// run makes one call on a workbench and prints the answer and what it used.
func (s Settings) run(cmd *cobra.Command, dir string, t trial) (err error) {
	ctx := cmd.Context()
	w, err := s.lay(cmd, dir, t, t.profile != "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close(ctx)) }()
	tape := &taping{Module: w.scale.Module}
	if t.record != "" {
		w.scale.Module = tape
	}
	var answer any
	callErr := w.bench.protect(func() (err error) {
		answer, err = s.call(w.portal, w.bundle.Manifest, t)
		return err
	})
	printLogs(cmd.ErrOrStderr(), w.portal.Logs())
	printUsage(cmd.ErrOrStderr(), w.module.Facts(), w.scale.used())
	if err := s.keep(cmd, t, w, tape); err != nil {
		return errors.Join(w.scale.explained(callErr), err)
	}
	if err := errors.Join(callErr, errors.Join(w.bench.faults...)); err != nil {
		return w.scale.explained(err)
	}
	return writeJSON(cmd.OutOrStdout(), answer)
}

// keep writes what the flags ask to keep of the call, also of one that failed.
func (s Settings) keep(cmd *cobra.Command, t trial, w *workbench, tape *taping) error {
	if t.record != "" {
		var secrets []string
		for _, flag := range t.secrets {
			_, value, err := s.secret(flag)
			if err != nil {
				return err
			}
			secrets = append(secrets, value)
		}
		if err := tape.save(cmd.Context(), s.path(t.record), w.bundle, secrets); err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Recording:", t.record)
	}
	if watched, ok := w.module.(*flame.Module); ok && watched.Profile() != nil {
		return writeProfile(cmd.ErrOrStderr(), s.path(t.profile), w.bundle.Manifest.Name, watched.Profile())
	}
	return nil
}

// call makes the one call.
func (s Settings) call(portal *sdktest.Host, m *manifestv1.Manifest, t trial) (any, error) {
	switch {
	case t.operation != "":
		return s.callOperation(portal, m, t)
	case t.view != "":
		r := view.Request{View: t.view, Params: t.params}
		if len(t.entities) > 0 {
			docs, err := readEntities(s.path(t.entities[0]))
			if err != nil {
				return nil, err
			}
			r.Entity = docs[0]
		}
		return portal.View(r)
	default:
		message, err := portal.Schedule(t.schedule)
		return map[string]string{"message": message}, err
	}
}

// callOperation checks the request before the plugin is called and the answer
// after, as a portal does.
func (s Settings) callOperation(portal *sdktest.Host, m *manifestv1.Manifest, t trial) (any, error) {
	body, err := s.document(t.body)
	if err != nil {
		return nil, err
	}
	op := operationOf(m, t.operation)
	if op == nil {
		return nil, host.Errorf(host.CodeInvalid, "%s declares no operation %q", manifestv1.FileName, t.operation)
	}
	query := url.Values{}
	for name, value := range t.query {
		query.Set(name, value)
	}
	in, faults := op.CheckRequest(fragment.Request{Params: t.params, Query: query, Body: body})
	if len(faults) > 0 {
		e := host.Errorf(host.CodeInvalid, "the request does not fit the operation %s: %s", t.operation, faults[0])
		e.Fields = schema.Fields(faults)
		return nil, e.WithHint("--param gives path parameters, --query those of the query, --body the body")
	}
	out, err := portal.Route(route.Request(in))
	if err != nil {
		return nil, err
	}
	answer := routev1.Response(out)
	if faults := op.CheckResponse(&answer); len(faults) > 0 {
		e := host.Errorf(host.CodePluginOutput, "the answer of %s is not what %s promises: %s", t.operation, manifestv1.FileName, faults[0])
		e.Fields = schema.Fields(faults)
		return nil, e
	}
	return answer, nil
}

// operationOf returns the operation of the manifest's fragments, or nil.
func operationOf(m *manifestv1.Manifest, id string) *fragment.Operation {
	for _, c := range m.Capabilities {
		if len(c.OpenAPI) == 0 {
			continue
		}
		if f, _ := fragment.Compile(c.OpenAPI); f != nil {
			if op := f.Operation(id); op != nil {
				return op
			}
		}
	}
	return nil
}

// options turns the flags into those of the in-memory portal.
func (s Settings) options(dir string, t trial) ([]sdktest.Option, error) {
	options := []sdktest.Option{
		sdktest.Manifest(filepath.Join(dir, manifestv1.FileName)), sdktest.Tenant(t.tenant),
		sdktest.Caller(sdk.Caller{Kind: "user", Name: "author", Role: t.role}),
	}
	if t.config != "" {
		config, err := s.document("@" + t.config)
		if err != nil {
			return nil, fmt.Errorf("reading --config: %w", err)
		}
		options = append(options, sdktest.Config(config))
	}
	for _, file := range t.entities {
		docs, err := readEntities(s.path(file))
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			options = append(options, sdktest.Entities(doc))
		}
	}
	for _, flag := range t.secrets {
		name, value, err := s.secret(flag)
		if err != nil {
			return nil, err
		}
		options = append(options, sdktest.Secret(name, value))
	}
	if t.network {
		options = append(options, sdktest.Network(&http.Client{Timeout: 30 * time.Second}))
	}
	return options, nil
}

// secret reads one --secret.
func (s Settings) secret(flag string) (name, value string, err error) {
	name, from, ok := strings.Cut(flag, "=")
	if file, isFile := strings.CutPrefix(from, "@"); ok && isFile {
		content, err := os.ReadFile(s.path(file))
		if err != nil {
			return "", "", fmt.Errorf("reading the secret %s: %w", name, err)
		}
		return name, strings.TrimRight(string(content), "\r\n"), nil
	}
	variable, isVariable := strings.CutPrefix(from, "env:")
	if !ok || !isVariable {
		return "", "", s.Usage(errors.New("--secret needs NAME=@FILE or NAME=env:VARIABLE"))
	}
	if value = s.env(variable); value == "" {
		return "", "", host.Errorf(host.CodeInvalid, "the variable %s, which --secret %s names, is not set", variable, name)
	}
	return name, value, nil
}

// document reads JSON from a flag's value, or YAML or JSON from "@FILE".
func (s Settings) document(value string) (json.RawMessage, error) {
	file, fromFile := strings.CutPrefix(value, "@")
	if value == "" {
		return nil, nil
	}
	source := []byte(value)
	if fromFile {
		var err error
		if source, err = os.ReadFile(s.path(file)); err != nil {
			return nil, err
		}
	}
	doc, err := yaml.YAMLToJSON(source)
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// readEntities reads the documents of a file.
func readEntities(file string) ([]json.RawMessage, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading --entity: %w", err)
	}
	defer f.Close()
	var out []json.RawMessage
	dec := yaml.NewDecoder(f)
	for {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		out = append(out, raw)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no entity", file)
	}
	return out, nil
}
