package httpapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"recstream/schemas"
)

// openAPI is the document, but for the schemas of the events and the codes: those have their home in package schemas
// and in this one.
//
//go:embed openapi.yaml
var openAPI []byte

// Document returns the OpenAPI 3.1 document, as JSON.
var Document = sync.OnceValues(makeDocument)

// eventSchemas says which published schema is which of the document's.
var eventSchemas = map[string]string{"RequestEvent": "request", "ResultEvent": "result", "FeedbackEvent": "feedback"}

func makeDocument() ([]byte, error) {
	var doc map[string]any
	text, err := yaml.YAMLToJSON(openAPI)
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	components := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for name, published := range eventSchemas {
		if components[name], err = eventSchema(published, name); err != nil {
			return nil, err
		}
	}
	// Over HTTP the request id may be left out.
	request := components["RequestEvent"].(map[string]any)
	delete(request, "required")
	properties := request["properties"].(map[string]any)
	properties["request_id"] = map[string]any{
		"title": "Request id",
		"description": "Unique within the look-back window (48 hours unless configured); a second request with the same id gets the first one's answer. " +
			"Absent: a new UUID. At most 128 bytes, and not . or .., which cannot stand in a path.",
		"anyOf": []any{properties["request_id"], map[string]any{"type": "null"}},
	}
	components["ProblemCode"].(map[string]any)["enum"] = problemCodes()
	return json.Marshal(doc)
}

// eventSchema returns a published schema as a component of the document: its references lead to where it is there.
func eventSchema(published, component string) (map[string]any, error) {
	text, err := schemas.Document(published)
	if err != nil {
		return nil, err
	}
	moved := strings.ReplaceAll(string(text), `"$ref": "#/`, `"$ref": "#/components/schemas/`+component+`/`)
	var schema map[string]any
	if err := json.Unmarshal([]byte(moved), &schema); err != nil {
		return nil, fmt.Errorf("read the schema of a %s: %w", published, err)
	}
	delete(schema, "$schema")
	delete(schema, "$id")
	return schema, nil
}

// problemCodes are the codes of this package. A problem with an event has that of the event.
func problemCodes() []string { return slices.Sorted(maps.Keys(kinds)) }
