package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// The forms of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// addOutputFlag adds --output to a command that prints things.
func addOutputFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", outputTable, "how to print: table, json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{outputTable, outputJSON, outputYAML}, cobra.ShellCompDirectiveNoFileComp))
}

// outputOf returns the form that was asked for.
func outputOf(cmd *cobra.Command) (string, error) {
	f := cmd.Flags().Lookup("output")
	if f == nil {
		return outputTable, nil
	}
	switch v := f.Value.String(); v {
	case outputTable, outputJSON, outputYAML:
		return v, nil
	default:
		return "", usageError{fmt.Errorf("--output %q is none of table, json, yaml", v)}
	}
}

// printItem prints one thing: its fields as lines, or all of it as JSON or YAML.
func printItem(cmd *cobra.Command, item any, lines func() [][2]string) error {
	form, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if form != outputTable {
		return printData(cmd.OutOrStdout(), form, item)
	}
	rows := make([][]string, 0, 8)
	for _, l := range lines() {
		rows = append(rows, []string{l[0] + ":", l[1]})
	}
	return printTable(cmd.OutOrStdout(), nil, rows)
}

// printItems prints a list: a table, or {"items": [...]} as JSON or YAML.
func printItems[T any](cmd *cobra.Command, items []T, header []string, cells func(T) []string) error {
	form, err := outputOf(cmd)
	if err != nil {
		return err
	}
	if form != outputTable {
		if items == nil {
			items = []T{}
		}
		return printData(cmd.OutOrStdout(), form, map[string]any{"items": items})
	}
	rows := make([][]string, 0, len(items))
	for _, it := range items {
		rows = append(rows, cells(it))
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(cmd.ErrOrStderr(), "Nothing to show.")
		return err
	}
	return printTable(cmd.OutOrStdout(), header, rows)
}

// printData prints v as JSON or YAML, with the JSON names in both.
func printData(w io.Writer, form string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	if form == outputYAML {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return fmt.Errorf("printing the answer as YAML: %w", err)
		}
	} else {
		raw = append(raw, '\n')
	}
	_, err = w.Write(raw)
	return err
}

// printTable prints rows under a header, in columns. What comes from a server
// may hold anything, so control characters do not reach the terminal.
func printTable(w io.Writer, header []string, rows [][]string) error {
	var laid bytes.Buffer
	tw := tabwriter.NewWriter(&laid, 0, 4, 2, ' ', 0)
	if header != nil {
		fmt.Fprintln(tw, strings.Join(header, "\t"))
	}
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = printable(c)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	// Blanks at the end of a line go only now: a row with fewer cells would
	// end its column, and what follows would not stand under its header.
	for line := range strings.Lines(laid.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// printable takes control characters out of one cell.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
