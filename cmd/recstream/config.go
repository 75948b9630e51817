package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"recstream/internal/config"
)

func newConfigCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Print the settings in force, without their secrets",
		GroupID: groupAbout,
		Long: `config prints the settings in force as YAML: defaults, the file of --config and RECSTREAM_ variables
together. Passwords are hidden. A mistake is named by its field, with exit status 2.`,
		Example: `  recstream config --config recstream.yaml
  recstream config fields`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return app.printConfig() },
	}
	cmd.AddCommand(newFieldsCommand(app))
	return cmd
}

func (a *app) printConfig() error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	text, err := cfg.YAML()
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return err
}

func newFieldsCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "fields",
		Short:   "List every setting: its key, variable, default and meaning",
		Example: "  recstream config fields\n  recstream config fields -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if output == "json" {
				return printJSON(app.stdout, config.Fields())
			}
			if output == "markdown" {
				return printMarkdownFields(app.stdout)
			}
			var rows [][]string
			for _, f := range config.Fields() {
				rows = append(rows, []string{f.Path, f.Env, f.Default, f.Description})
			}
			return printTable(app.stdout, []string{"KEY", "VARIABLE", "DEFAULT", "MEANING"}, rows)
		},
	}
	outputVar(cmd, &output, "table", "json", "markdown")
	return cmd
}

// printMarkdownFields prints the table that the README has. The variables are left out: they follow from the keys.
func printMarkdownFields(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, f := range config.Fields() {
		value := ""
		if f.Default != "" {
			value = "`" + f.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, value, f.Description)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
