package schemas

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// documents are what this package publishes for people and tools of any language.
//
//go:embed json/*.schema.json asyncapi.yaml
var documents embed.FS

// documentFiles says where each document is.
var documentFiles = map[string]string{
	"asyncapi":    "asyncapi.yaml",
	"dead-letter": "json/dead-letter.schema.json",
	"feedback":    "json/feedback.schema.json",
	"request":     "json/request.schema.json",
	"result":      "json/result.schema.json",
}

// Documents lists the names of the published documents, sorted: the JSON Schema of each event, and "asyncapi".
func Documents() []string {
	names := make([]string, 0, len(documentFiles))
	for name := range documentFiles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Document returns the published document of that name. The error names the ones that there are.
func Document(name string) ([]byte, error) {
	file, ok := documentFiles[name]
	if !ok {
		return nil, fmt.Errorf("no document %q; there are %s", name, strings.Join(Documents(), ", "))
	}
	return documents.ReadFile(file)
}
