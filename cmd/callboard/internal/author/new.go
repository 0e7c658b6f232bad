package author

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
	"golang.org/x/mod/module"

	"github.com/callboard-dev/callboard/cmd/callboard/internal/language"
	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/registry/modsource"
	"github.com/callboard-dev/callboard/schemas"
	manifest "github.com/callboard-dev/callboard/schemas/manifest/v1"
	"github.com/callboard-dev/callboard/sdk"
)

//go:embed scaffold
var scaffold embed.FS

// schemaFile is where a scaffold keeps the manifest's schema for editors.
const schemaFile = ".callboard/plugin.schema.json"

// pluginName is what plugin.yaml accepts as a name.
var pluginName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// newNewCommand returns "plugin new".
func newNewCommand(s Settings) *cobra.Command {
	var modulePath, in string
	cmd := &cobra.Command{
		Use:   "new NAMESPACE/NAME",
		Short: "Start a plugin: make the folder ./NAME that builds anywhere",
		Long: "Makes the folder ./NAME with a small plugin that works: an operation, a card on an entity's page, a test\n" +
			"and its manifest. In Go it requires the SDK that this callboard carries, so it builds in any folder; in\n" +
			"AssemblyScript and C it carries the one file that it needs to speak with its host.",
		Example: "  callboard plugin new acme/deploy-board\n  cd deploy-board && callboard plugin test && callboard plugin build\n" +
			"  callboard plugin new acme/deploy-board --lang c",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := s.parsePlugin(args[0], modulePath)
			if err != nil {
				return err
			}
			switch {
			case in == "go":
				return s.makePlugin(cmd, p)
			case slices.Contains(language.Names(), in):
				return s.makeForeign(cmd, p, in)
			}
			return s.Usage(fmt.Errorf("--lang: %q is not known; it is one of go, %s", in, strings.Join(language.Names(), ", ")))
		},
	}
	cmd.Flags().StringVar(&in, "lang", "go", "what it is written in: go, "+strings.Join(language.Names(), " or "))
	cmd.Flags().StringVar(&modulePath, "module", "", "the Go module's path (default example.com/NAMESPACE/NAME)")
	return cmd
}

// draft is what the templates of a scaffold know.
type draft struct {
	Name, Namespace, Short string // "acme/deploy-board", "acme", "deploy-board"
	Title, Camel           string // "Deploy board", "deployBoard"
	Module                 string
	SDK, Schemas           module.Version
	Others                 []module.Version
	SchemaFile, Host       string
}

// parsePlugin reads the arguments.
func (s Settings) parsePlugin(name, modulePath string) (draft, error) {
	if !pluginName.MatchString(name) || len(name) > 128 {
		return draft{}, s.Usage(fmt.Errorf("%q is not a plugin's name: write namespace/name in lower case letters, digits and dashes, for example acme/deploy-board", name))
	}
	p := draft{Name: name, Module: modulePath, SchemaFile: schemaFile, Host: "0.1.0"}
	p.Namespace, p.Short, _ = strings.Cut(name, "/")
	words := strings.Split(p.Short, "-")
	p.Title = strings.ToUpper(p.Short[:1]) + strings.Join(words, " ")[1:]
	p.Camel = words[0]
	for _, w := range words[1:] {
		p.Camel += strings.ToUpper(w[:1]) + w[1:]
	}
	if p.Module == "" {
		p.Module = "example.com/" + name
	}
	if err := module.CheckImportPath(p.Module); err != nil {
		return draft{}, s.Usage(fmt.Errorf("--module: %w", err))
	}
	return p, nil
}

// makeForeign writes the folder of a plugin in another language than Go.
func (s Settings) makeForeign(cmd *cobra.Command, p draft, name string) error {
	files, err := language.Files(name, language.Draft{Name: p.Name, Short: p.Short, Title: p.Title, Camel: p.Camel})
	if err != nil {
		return err
	}
	templates, err := template.ParseFS(scaffold, "scaffold/plugin.yaml.tmpl")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := templates.Execute(&b, p); err != nil {
		return err
	}
	files["plugin.yaml"], files[schemaFile] = b.Bytes(), manifest.Schema
	if err := s.place(p, func(dir string) error { return writeFiles(dir, files) }); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Made ./%s, the plugin %s.\nNext:\n  cd %s\n", p.Short, p.Name, p.Short)
	if name == language.AssemblyScript {
		fmt.Fprintln(out, "  npm install")
	}
	fmt.Fprintf(out, "  callboard plugin build\n  callboard plugin run --operation %sGreeting --param name=Ann\n", p.Camel)
	return nil
}

// place makes the plugin's folder in one step: it is there as a whole, or not.
func (s Settings) place(p draft, write func(dir string) error) error {
	dir := s.path(p.Short)
	if exists(dir) {
		return host.Errorf(host.CodeConflict, "the folder %s is already there", p.Short).
			WithHint("Move it away, or run the command in another folder.")
	}
	temp, err := os.MkdirTemp(s.path("."), ".callboard-new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil { //nolint:gosec // a folder of source, as mkdir would make it
		return err
	}
	if err := write(temp); err != nil {
		return err
	}
	return os.Rename(temp, dir)
}

// makePlugin writes the folder and readies the go command.
func (s Settings) makePlugin(cmd *cobra.Command, p draft) error {
	modules, err := source(manifest.RuntimeWASM)
	if err != nil {
		return err
	}
	p.SDK = module.Version{Path: sdk.ModulePath, Version: modules.Version(sdk.ModulePath)}
	p.Schemas = module.Version{Path: schemas.ModulePath, Version: modules.Version(schemas.ModulePath)}
	p.Others = modules.Requires()
	if err := s.place(p, func(dir string) error { return writeScaffold(dir, p, modules) }); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Made ./%s, the plugin %s.\n", p.Short, p.Name)
	if cache, err := s.cacheDir(); err != nil || modules.Fetch(cmd.Context(), cache) != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "Note: the SDK is not in the go command's cache yet; the first build puts it there.")
	}
	fmt.Fprintf(out, "Next:\n  cd %s\n  callboard plugin test\n  callboard plugin build\n  callboard plugin run --operation %sGreeting --param name=Ann\n", p.Short, p.Camel)
	return nil
}

// writeScaffold writes all files of a new plugin below dir.
func writeScaffold(dir string, p draft, modules *modsource.Source) error {
	files := map[string][]byte{
		schemaFile: manifest.Schema,
		"go.sum":   []byte(strings.Join(modules.Sums(), "\n") + "\n"),
	}
	templates, err := template.ParseFS(scaffold, "scaffold/*.tmpl")
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(scaffold, "scaffold")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		var b bytes.Buffer
		if err := templates.ExecuteTemplate(&b, entry.Name(), p); err != nil {
			return err
		}
		name := strings.TrimSuffix(entry.Name(), ".tmpl")
		name = strings.NewReplacer("plugin.go", p.Short+".go", "plugin_test.go", p.Short+"_test.go", "gitignore", ".gitignore").Replace(name)
		content := b.Bytes()
		if path.Ext(name) == ".go" {
			if content, err = format.Source(content); err != nil {
				return fmt.Errorf("formatting %s: %w", name, err)
			}
		}
		files[name] = content
	}
	return writeFiles(dir, files)
}

// writeFiles writes files below dir.
func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
