package schemas

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func asyncAPI(t *testing.T) map[string]any {
	t.Helper()
	text, err := Document("asyncapi")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// references calls visit with every $ref of a document.
func references(doc any, visit func(ref string)) {
	switch v := doc.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			visit(ref)
		}
		for _, child := range v {
			references(child, visit)
		}
	case []any:
		for _, child := range v {
			references(child, visit)
		}
	}
}

// Every reference leads to a place in the document or to a published file, and every file is referred to.
func TestAsyncAPIReferences(t *testing.T) {
	doc := asyncAPI(t)
	var files []string
	references(doc, func(ref string) {
		if pointer, ok := strings.CutPrefix(ref, "#/"); ok {
			at(t, doc, strings.Split(pointer, "/")...)
			return
		}
		file := path.Clean(ref)
		if _, err := documents.ReadFile(file); err != nil {
			t.Errorf("$ref %s: %v", ref, err)
		}
		files = append(files, file)
	})
	for name, file := range documentFiles {
		if name != "asyncapi" && !slices.Contains(files, file) {
			t.Errorf("nothing refers to %s", file)
		}
	}
}

func TestAsyncAPIHasTheNamesOfGo(t *testing.T) {
	doc := asyncAPI(t)
	tests := []struct {
		channel, topic, message, name, operation, action string
	}{
		{"requests", DefaultRequestTopic, "request", TypeRequest, "receiveRequest", "receive"},
		{"results", DefaultResultTopic, "result", TypeResult, "sendResult", "send"},
		{"feedback", DefaultFeedbackTopic, "feedback", TypeFeedback, "receiveFeedback", "receive"},
		{"deadLetters", DefaultDeadLetterTopic, "deadLetter", "dead-letter", "sendDeadLetter", "send"},
	}
	if got := len(at(t, doc, "channels").(map[string]any)); got != len(tests) {
		t.Errorf("there are %d channels, want %d", got, len(tests))
	}
	for _, tt := range tests {
		checkText(t, doc, tt.topic, "channels", tt.channel, "address")
		checkText(t, doc, "#/components/messages/"+tt.message, "channels", tt.channel, "messages", tt.message, "$ref")
		checkText(t, doc, tt.name, "components", "messages", tt.message, "name")
		checkText(t, doc, tt.action, "operations", tt.operation, "action")
		checkText(t, doc, "#/channels/"+tt.channel, "operations", tt.operation, "channel", "$ref")
	}
	checkText(t, doc, TypeResult, "components", "schemas", "resultHeaders", "properties", HeaderType, "const")
	checkText(t, doc, SpecVersion, "components", "schemas", "resultHeaders", "properties", HeaderSpecVersion, "const")
	checkText(t, doc, ContentTypeJSON, "components", "schemas", "resultHeaders", "properties", HeaderContentType, "const")
	want := []string{HeaderContentType, HeaderSpecVersion, HeaderID, HeaderType, HeaderSource, HeaderTime}
	slices.Sort(want)
	if got := texts(at(t, doc, "components", "schemas", "resultHeaders", "required")); !slices.Equal(got, want) {
		t.Errorf("the headers of a result are %v, Go has %v", got, want)
	}
}

func checkText(t *testing.T, doc any, want string, path ...string) {
	t.Helper()
	if got := at(t, doc, path...); got != want {
		t.Errorf("%s is %v, want %s", strings.Join(path, "."), got, want)
	}
}

// The headers' schemas are written in the document itself; they are to be schemas too.
func TestAsyncAPIHeaderSchemasCompile(t *testing.T) {
	for name, schema := range at(t, asyncAPI(t), "components", "schemas").(map[string]any) {
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, schema); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Compile(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
