package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// enum is a flag whose value is one of a few words.
type enum struct {
	value   *string
	allowed []string
}

func (e enum) String() string {
	if e.value == nil {
		return ""
	}
	return *e.value
}

func (e enum) Type() string { return strings.Join(e.allowed, "|") }

// Set refuses what is none of the words.
func (e enum) Set(text string) error {
	if !slices.Contains(e.allowed, text) {
		return fmt.Errorf("must be one of %s", strings.Join(e.allowed, ", "))
	}
	*e.value = text
	return nil
}

// enumVar adds a flag that takes one of the allowed words, and completes them.
func enumVar(cmd *cobra.Command, flags *pflag.FlagSet, dst *string, name, value, usage string, allowed ...string) {
	*dst = value
	shorthand := ""
	if name == "output" {
		shorthand = "o"
	}
	flags.VarP(enum{dst, allowed}, name, shorthand, usage)
	words := cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(name, words); err != nil {
		panic(err) // the flag was added a line above
	}
}

// outputVar adds -o; the first of the allowed formats is the default.
func outputVar(cmd *cobra.Command, dst *string, allowed ...string) {
	enumVar(cmd, cmd.Flags(), dst, "output", allowed[0], "output `format`: "+strings.Join(allowed, " or "), allowed...)
}

// printJSON prints v indented, for people and programs.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printTable prints rows of cells in columns, the header first.
func printTable(w io.Writer, header []string, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// counted says how many of something there are: 1 request, 2 requests. The word makes its plural with an s.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
