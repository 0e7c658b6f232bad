package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/callboard-dev/callboard/host"
)

// apiDocument is the part of a tenant's OpenAPI document that calling needs.
type apiDocument struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]apiParameter `json:"parameters"`
	} `json:"components"`
}

// apiOperation is one operation of the document.
type apiOperation struct {
	ID          string         `json:"operationId"`
	Summary     string         `json:"summary"`
	Parameters  []apiParameter `json:"parameters"`
	RequestBody *struct {
		Required bool                       `json:"required"`
		Content  map[string]json.RawMessage `json:"content"`
	} `json:"requestBody"`

	Method string `json:"-"`
	Path   string `json:"-"`
}

// apiParameter is one parameter of an operation.
type apiParameter struct {
	Ref      string `json:"$ref"`
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
}

// apiMethods are the members of a path that are operations.
var apiMethods = [...]string{"get", "post", "put", "patch", "delete"}

func newAPICommand() *cobra.Command {
	var params []string
	var body, contentType string
	cmd := serverCommand("api [OPERATION]", "Call any operation of the tenant, its plugins' too; without one, list them", cobra.MaximumNArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string, c *client) error {
			ops, err := apiOperations(ctx, c)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printOperations(cmd, ops)
			}
			i := slices.IndexFunc(ops, func(o apiOperation) bool { return o.ID == args[0] })
			if i < 0 {
				return usageError{unknownOperation(args[0], ops)}
			}
			req, err := ops[i].request(params)
			if err != nil {
				return err
			}
			if err := ops[i].setBody(cmd, &req, body, contentType); err != nil {
				return err
			}
			res, err := c.send(ctx, req)
			if err != nil {
				return err
			}
			return printAnswer(cmd, res)
		})
	cmd.Example = "  callboard api\n  callboard api listEntities --param kind=component --param limit=5\n" +
		"  callboard api registerLocation --body '{\"target\": \"https://example.com/catalog-info.yaml\"}'"
	cmd.Flags().StringArrayVarP(&params, "param", "p", nil, "NAME=VALUE of a path, query or header parameter; repeat it for more")
	cmd.Flags().StringVarP(&body, "body", "d", "", "the body: JSON, @FILE, or - for standard input")
	cmd.Flags().StringVar(&contentType, "content-type", "", "the body's media type, where the operation takes several")
	cmd.ValidArgsFunction = completeOperation
	return cmd
}

// completeOperation completes operation ids from the server's document.
func completeOperation(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := newClient(cmd)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ops, err := apiOperations(cmd.Context(), c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out := make([]string, 0, len(ops))
	for _, o := range ops {
		out = append(out, o.ID+"\t"+o.Summary)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// apiOperations reads the tenant's operations, sorted by id.
func apiOperations(ctx context.Context, c *client) ([]apiOperation, error) {
	var doc apiDocument
	if err := c.get(ctx, "/openapi.json", nil, &doc); err != nil {
		return nil, err
	}
	var ops []apiOperation
	for path, item := range doc.Paths {
		var shared []apiParameter
		_ = json.Unmarshal(item["parameters"], &shared)
		for _, method := range apiMethods {
			raw, ok := item[method]
			if !ok {
				continue
			}
			var o apiOperation
			if err := json.Unmarshal(raw, &o); err != nil {
				return nil, fmt.Errorf("reading the operation at %s %s: %w", method, path, err)
			}
			o.Method, o.Path = strings.ToUpper(method), path
			o.Parameters = append(o.Parameters, shared...)
			for i, p := range o.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					o.Parameters[i] = doc.Components.Parameters[name]
				}
			}
			ops = append(ops, o)
		}
	}
	slices.SortFunc(ops, func(a, b apiOperation) int { return strings.Compare(a.ID, b.ID) })
	return ops, nil
}

func printOperations(cmd *cobra.Command, ops []apiOperation) error {
	type item struct {
		ID      string `json:"id"`
		Method  string `json:"method"`
		Path    string `json:"path"`
		Summary string `json:"summary"`
	}
	items := make([]item, 0, len(ops))
	for _, o := range ops {
		items = append(items, item{o.ID, o.Method, o.Path, o.Summary})
	}
	return printItems(cmd, items, []string{"OPERATION", "METHOD", "PATH", "SUMMARY"}, func(i item) []string {
		return []string{i.ID, i.Method, i.Path, i.Summary}
	})
}

// unknownOperation names the operations that come near.
func unknownOperation(id string, ops []apiOperation) error {
	var near []string
	for _, o := range ops {
		if strings.Contains(strings.ToLower(o.ID), strings.ToLower(id)) {
			near = append(near, o.ID)
		}
	}
	e := host.Errorf(host.CodeNotFound, "The tenant has no operation %q.", id).WithHint("callboard api lists them.")
	if len(near) > 0 {
		e.Hint = "There is " + strings.Join(near, ", ") + "."
	}
	return e
}

// request fills in the parameters.
func (o apiOperation) request(params []string) (request, error) {
	req := request{method: o.Method, query: url.Values{}, header: map[string]string{}}
	path := map[string]string{}
	for _, p := range params {
		name, value, ok := strings.Cut(p, "=")
		i := slices.IndexFunc(o.Parameters, func(x apiParameter) bool { return strings.EqualFold(x.Name, name) })
		if !ok || i < 0 {
			return req, usageError{fmt.Errorf("--param %s: %s has the parameters %s", name, o.ID, o.parameterNames())}
		}
		switch x := o.Parameters[i]; x.In {
		case "path":
			path[x.Name] = value
		case "header":
			req.header[x.Name] = value
		default:
			req.query.Add(x.Name, value)
		}
	}
	req.path = o.Path
	for _, x := range o.Parameters {
		if x.In == "path" {
			if path[x.Name] == "" {
				return req, usageError{fmt.Errorf("%s needs --param %s=VALUE", o.ID, x.Name)}
			}
			req.path = strings.ReplaceAll(req.path, "{"+x.Name+"}", url.PathEscape(path[x.Name]))
		} else if x.Required && x.In == "query" && !req.query.Has(x.Name) {
			return req, usageError{fmt.Errorf("%s needs --param %s=VALUE", o.ID, x.Name)}
		}
	}
	return req, nil
}

func (o apiOperation) parameterNames() string {
	names := make([]string, 0, len(o.Parameters))
	for _, p := range o.Parameters {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// setBody reads --body and finds its media type.
func (o apiOperation) setBody(cmd *cobra.Command, req *request, body, contentType string) error {
	if body == "" {
		if o.RequestBody != nil && o.RequestBody.Required {
			return usageError{fmt.Errorf("%s needs --body, as %s", o.ID, strings.Join(slices.Sorted(maps.Keys(o.RequestBody.Content)), ", "))}
		}
		return nil
	}
	if o.RequestBody == nil {
		return usageError{fmt.Errorf("%s takes no body", o.ID)}
	}
	req.body = []byte(body)
	var err error
	if file, ok := strings.CutPrefix(body, "@"); ok {
		req.body, err = readInput(cmd, file)
	} else if body == "-" {
		req.body, err = readInput(cmd, "-")
	}
	if err != nil {
		return err
	}
	req.contentType = contentType
	if contentType == "" {
		req.contentType = "application/octet-stream"
		if json.Valid(req.body) {
			req.contentType = "application/json"
		}
	}
	return nil
}

// printAnswer prints what an operation answered: JSON in the form that was
// asked for, anything else as it came.
func printAnswer(cmd *cobra.Command, res *response) error {
	form, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if len(res.body) == 0 {
		return nil
	}
	if !json.Valid(res.body) {
		_, err := cmd.OutOrStdout().Write(res.body)
		return err
	}
	if form == outputTable { // answers have no columns in common
		form = outputJSON
	}
	return printData(cmd.OutOrStdout(), form, json.RawMessage(res.body))
}
