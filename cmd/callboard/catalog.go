package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
	"github.com/callboard-dev/callboard/host/catalog"
)

func newCatalogCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "catalog", Short: "Register, validate and read the catalog", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newCatalogRegisterCommand(), newCatalogValidateCommand(), newCatalogListCommand(),
		newCatalogGetCommand(), newCatalogRefreshCommand())
	return cmd
}

// catalogReport is the API's answer about a location, so far as it is printed.
type catalogReport struct {
	Location struct {
		ID     string `json:"id"`
		Type   string `json:"type"`
		Target string `json:"target"`
		Status string `json:"status"`
	} `json:"location"`
	DryRun    bool             `json:"dryRun"`
	Added     []string         `json:"added"`
	Changed   []string         `json:"changed"`
	Unchanged []string         `json:"unchanged"`
	Removed   []string         `json:"removed"`
	Problems  []catalogProblem `json:"problems"`
}

type catalogProblem struct {
	Ref     string `json:"ref,omitempty"`
	Where   string `json:"where,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func newCatalogRegisterCommand() *cobra.Command {
	var dryRun bool
	var typ string
	cmd := serverCommand("register TARGET", "Register a location, or see what it would add", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			typ, target, err := locationAt(typ, args[0])
			if err != nil {
				return err
			}
			body := map[string]string{"type": typ, "target": target}
			query := url.Values{}
			if dryRun {
				query.Set("dryRun", "true")
			}
			var raw json.RawMessage
			if err := c.do(ctx, request{method: http.MethodPost, path: "/api/v1/locations", query: query}, body, &raw); err != nil {
				return err
			}
			return printReport(cmd, raw)
		})
	cmd.Long = "Registers a location: the URL of a file, a git repository, or a file on the server's machine below one of\n" +
		"the folders that the server reads (see docs/operate.md). Backstage's form type:target is understood."
	cmd.Example = "  callboard catalog register https://github.com/acme/shop/blob/main/catalog-info.yaml --dry-run\n" +
		"  callboard catalog register https://git.example.com/acme/shop.git//catalog-info.yaml?ref=main\n" +
		"  callboard catalog register ./data/catalog/shop.yaml"
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be added, and what is wrong")
	cmd.Flags().StringVar(&typ, "type", "", "url, git or file (guessed from the target)")
	return cmd
}

// locationAt reads a location as a person writes it: a target or Backstage's
// type:target. A path means a file of the folder that the person is in, so it
// is made absolute here: the server is in another one.
func locationAt(typ, target string) (string, string, error) {
	if typ != "" && !slices.Contains([]string{"url", "git", "file"}, typ) {
		return "", "", usageError{fmt.Errorf("--type %q is none of url, git, file", typ)}
	}
	typ, target = catalog.SplitAddress(typ, target)
	path := strings.TrimPrefix(target, "file://")
	if typ != "file" || path == "" {
		return typ, target, nil
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", "", fmt.Errorf("finding your home folder: %w", err)
		}
		path = filepath.Join(home, rest)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", "", fmt.Errorf("finding the folder you are in: %w", err)
	}
	return typ, path, nil
}

// printReport prints what reading a location did. It fails where there are
// problems, so that it can guard a merge; what is in order is registered
// nevertheless.
func printReport(cmd *cobra.Command, raw json.RawMessage) error {
	var r catalogReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading the server's report: %w", err)
	}
	form, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if form != outputTable {
		err = printData(cmd.OutOrStdout(), form, raw)
	} else {
		err = printReportTable(cmd, r)
	}
	if err != nil || len(r.Problems) == 0 {
		return err
	}
	failure := host.Errorf(host.CodeInvalid, "%s in %s.", plural(len(r.Problems), "problem"), printable(r.Location.Target))
	if r.DryRun {
		return failure.WithHint("Correct the files and run the command again.")
	}
	return failure.WithHint("What is in order is in the catalog. Correct the rest, then: callboard catalog refresh %s", r.Location.ID)
}

func printReportTable(cmd *cobra.Command, r catalogReport) error {
	var rows [][]string
	for _, list := range []struct {
		what string
		refs []string
	}{{"added", r.Added}, {"changed", r.Changed}, {"unchanged", r.Unchanged}, {"removed", r.Removed}} {
		for _, ref := range list.refs {
			rows = append(rows, []string{list.what, ref})
		}
	}
	out := cmd.OutOrStdout()
	if r.DryRun {
		fmt.Fprintln(out, "Dry run: nothing is stored. It would be:")
	} else {
		fmt.Fprintf(out, "Location %s (%s): %s\n", r.Location.ID, r.Location.Status, printable(r.Location.Target))
	}
	if err := printTable(out, nil, rows); err != nil {
		return err
	}
	printProblems(cmd, r.Problems)
	return nil
}

// printProblems writes one problem a line to standard error, as compilers do.
func printProblems(cmd *cobra.Command, problems []catalogProblem) {
	for _, p := range problems {
		line := p.Message
		if p.Where != "" {
			line = p.Where + ": " + line
		}
		if p.Hint != "" {
			line += " (" + p.Hint + ")"
		}
		fmt.Fprintln(cmd.ErrOrStderr(), printable(line))
	}
}

// newCatalogValidateCommand checks files on this machine; it needs no server.
func newCatalogValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check catalog files, without a server", Args: cobra.MinimumNArgs(1),
		Example: "  callboard catalog validate catalog-info.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			problems := []catalogProblem{}
			for _, name := range args {
				src, err := os.ReadFile(name)
				if err != nil {
					return fmt.Errorf("reading the catalog file: %w", err)
				}
				for _, p := range catalog.Validate(cmd.Context(), src, name) {
					problems = append(problems, catalogProblem{p.Ref, p.Where, p.Message, p.Hint})
				}
			}
			form, err := outputOf(cmd)
			if err != nil {
				return err
			}
			if form != outputTable {
				if err := printData(cmd.OutOrStdout(), form, map[string]any{"items": problems}); err != nil {
					return err
				}
			} else {
				printProblems(cmd, problems)
			}
			if len(problems) > 0 {
				return host.Errorf(host.CodeInvalid, "%s in %s.", plural(len(problems), "problem"), plural(len(args), "file"))
			}
			if form == outputTable {
				fmt.Fprintf(cmd.OutOrStdout(), "%s valid.\n", plural(len(args), "file"))
			}
			return nil
		},
	}
	addOutputFlag(cmd)
	return cmd
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// entityRow is the part of an entity that a table shows.
type entityRow struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Metadata struct {
		Name  string `json:"name"`
		Title string `json:"title"`
	} `json:"metadata"`
	Spec struct {
		Type      string `json:"type"`
		Owner     string `json:"owner"`
		Lifecycle string `json:"lifecycle"`
	} `json:"spec"`
}

func newCatalogListCommand() *cobra.Command {
	filters := []string{"kind", "type", "owner", "lifecycle", "tag", "filter"}
	values := map[string]*[]string{}
	var text, sort string
	var limit int
	cmd := serverCommand("list", "List entities", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string, c *client) error {
			query := url.Values{}
			for name, v := range values {
				query[name] = *v
			}
			if text != "" {
				query.Set("q", text)
			}
			if sort != "" {
				query.Set("sort", sort)
			}
			items, err := allPages(ctx, c, "/api/v1/entities", query, limit)
			if err != nil {
				return err
			}
			return printItems(cmd, items, []string{"ENTITY", "TYPE", "OWNER", "LIFECYCLE", "TITLE"}, func(raw json.RawMessage) []string {
				var e entityRow
				_ = json.Unmarshal(raw, &e) // a strange document shows as an empty line
				return []string{e.ID, e.Spec.Type, e.Spec.Owner, e.Spec.Lifecycle, e.Metadata.Title}
			})
		})
	cmd.Example = "  callboard catalog list --kind component --owner team-a"
	for _, name := range filters {
		values[name] = cmd.Flags().StringArray(name, nil, "keep entities with this "+name+"; repeat it for more")
	}
	cmd.Flags().Lookup("filter").Usage = "Backstage's filter, for example kind=component,spec.type=service"
	cmd.Flags().StringVarP(&text, "query", "q", "", "words that must occur")
	cmd.Flags().StringVar(&sort, "sort", "", "a field to sort by, for example metadata.name,desc")
	cmd.Flags().IntVar(&limit, "limit", 0, "the most entities (0: all)")
	return cmd
}

// allPages follows the cursors of a list until limit items are there; 0 takes
// all.
func allPages(ctx context.Context, c *client, path string, query url.Values, limit int) ([]json.RawMessage, error) {
	items := []json.RawMessage{}
	for {
		size := 500
		if limit > 0 {
			size = min(size, limit-len(items))
		}
		query.Set("limit", strconv.Itoa(size))
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if err := c.get(ctx, path, query, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || limit > 0 && len(items) >= limit {
			return items, nil
		}
		query.Set("cursor", page.Next)
	}
}

// entityPathOf is the API's path of a reference.
func entityPathOf(s string) (string, error) {
	ref, err := catalog.ParseRef(s, catalog.Ref{Kind: "component", Namespace: "default"})
	if err != nil {
		return "", err
	}
	return "/api/v1/entities/" + url.PathEscape(strings.ToLower(ref.Kind)) + "/" + url.PathEscape(strings.ToLower(ref.Namespace)) + "/" + url.PathEscape(ref.Name), nil
}

func newCatalogGetCommand() *cobra.Command {
	cmd := serverCommand("get REF", "Read an entity", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			path, err := entityPathOf(args[0])
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := c.get(ctx, path, nil, &raw); err != nil {
				return err
			}
			form, err := outputOf(cmd)
			if err != nil {
				return err
			}
			if form == outputTable { // an entity is a document: YAML is how people write it
				form = outputYAML
			}
			return printData(cmd.OutOrStdout(), form, raw)
		})
	cmd.Example = "  callboard catalog get component:default/petstore"
	return cmd
}

func newCatalogRefreshCommand() *cobra.Command {
	cmd := serverCommand("refresh REF|LOCATION", "Read an entity's location, or a location by its id, again now", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			path := "/api/v1/locations/" + url.PathEscape(args[0]) + "/refresh"
			if strings.ContainsAny(args[0], ":/") {
				entity, err := entityPathOf(args[0])
				if err != nil {
					return err
				}
				path = entity + "/refresh"
			}
			var raw json.RawMessage
			if err := c.do(ctx, request{method: http.MethodPost, path: path}, nil, &raw); err != nil {
				return err
			}
			return printReport(cmd, raw)
		})
	return cmd
}
