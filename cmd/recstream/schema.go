package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"recstream/schemas"
)

func newSchemaCommand(app *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "schema [NAME]",
		Short:   "Print the published schema of an event, or the AsyncAPI document",
		GroupID: groupAbout,
		Long: `schema prints what other programs need to write requests and read results: the JSON Schema of
an event, or the AsyncAPI document of all topics. Without a name it lists what there is.
With -o json the AsyncAPI document, which is YAML, is printed as JSON.`,
		Example: `  recstream schema
  recstream schema request > request.schema.json
  recstream schema asyncapi -o json`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: schemas.Documents(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return app.listDocuments(output)
			}
			return app.printDocument(args[0], output)
		},
	}
	outputVar(cmd, &output, "text", "json")
	return cmd
}

func (a *app) listDocuments(output string) error {
	if output == "json" {
		return printJSON(a.stdout, schemas.Documents())
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(schemas.Documents(), "\n"))
	return err
}

func (a *app) printDocument(name, output string) error {
	text, err := schemas.Document(name)
	if err != nil {
		return usageError{err.Error()}
	}
	if output == "json" && !json.Valid(text) {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return fmt.Errorf("convert %s to JSON: %w", name, err)
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", bytes.TrimRight(text, "\n"))
	return err
}
