package schemas

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled returns the published schema of that name, checked against its own meta-schema.
func compiled(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, document(t, name)); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func document(t testing.TB, name string) any {
	t.Helper()
	text, err := Document(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return doc
}

// at walks into a document by keys.
func at(t *testing.T, doc any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		m, ok := doc.(map[string]any)
		if !ok || m[key] == nil {
			t.Fatalf("no %s of %v in the document", key, keys)
		}
		doc = m[key]
	}
	return doc
}

// texts returns the strings of a list, sorted; null is left out.
func texts(list any) []string {
	var out []string
	for _, v := range list.([]any) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// anys makes a list such as a parsed document has.
func anys(list []string) any {
	var out []any
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

func keys(m any) []string {
	var out []string
	for k := range m.(map[string]any) {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// valid reports whether the schema takes the text; parsed is false for a text that is not JSON.
func valid(schema *jsonschema.Schema, text []byte) (ok, parsed bool) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return false, false
	}
	return schema.Validate(doc) == nil, true
}

// decoders decode an event of each inbound type.
var decoders = map[string]func([]byte) error{
	"request":  func(b []byte) error { return DecodeRequest(b, new(Request)) },
	"feedback": func(b []byte) error { return DecodeFeedback(b, new(Feedback)) },
}

// examples returns the files of a folder of examples by path; there must be some.
func examples(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("examples", folder, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples in %s: %v", folder, err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		if files[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestExamplesAreValid(t *testing.T) {
	for name, folder := range map[string]string{"request": "requests", "result": "results", "feedback": "feedback"} {
		schema := compiled(t, name)
		for path, text := range examples(t, folder) {
			if ok, _ := valid(schema, text); !ok {
				t.Errorf("%s: the schema refuses it", path)
			}
			if decode := decoders[name]; decode != nil {
				if err := decode(text); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
}

func TestSchemasOwnExamplesAreValid(t *testing.T) {
	for _, name := range []string{"request", "result", "feedback", "dead-letter"} {
		schema := compiled(t, name)
		list := at(t, document(t, name), "examples").([]any)
		if len(list) == 0 {
			t.Errorf("%s has no example", name)
		}
		for i, example := range list {
			if err := schema.Validate(example); err != nil {
				t.Errorf("%s, example %d: %v", name, i, err)
			}
		}
	}
}

// beyondSchema are the refusals that JSON Schema cannot express: it sees the document after it was parsed,
// and counts characters where the limit is in bytes.
var beyondSchema = []string{
	"duplicate_field", "invalid_utf8.latin1", "invalid_text.surrogate", "too_long.bytes", "message_too_large",
}

// The first part of an example's file name is the code that it is refused with.
func TestInvalidExamplesAreRefused(t *testing.T) {
	seen := map[string]bool{}
	for name, folder := range map[string]string{"request": "invalid/requests", "feedback": "invalid/feedback"} {
		schema := compiled(t, name)
		files := examples(t, folder)
		if name == "request" { // these two would be large files
			files["too_many.json"] = []byte(`{"request_id":"r","exclude":[` + list(MaxCandidates+1) + `]}`)
			files["message_too_large.json"] = []byte(`{"request_id":"r"` + strings.Repeat(" ", MaxMessageBytes) + `}`)
		}
		for path, text := range files {
			base := strings.TrimSuffix(filepath.Base(path), ".json")
			code, _, _ := strings.Cut(base, ".")
			seen[code] = true
			var refusal *DecodeError
			if err := decoders[name](text); !errors.As(err, &refusal) || refusal.Code != code {
				t.Errorf("%s: got %v, want code %s", path, err, code)
			}
			ok, _ := valid(schema, text)
			if want := slices.Contains(beyondSchema, base); ok != want {
				t.Errorf("%s: the schema takes it: %v, want %v", path, ok, want)
			}
		}
	}
	for _, code := range constants(t, "", "Code") {
		if !seen[code] {
			t.Errorf("no invalid example for code %s", code)
		}
	}
}

func TestSchemasDescribeEveryField(t *testing.T) {
	for _, name := range []string{"request", "result", "feedback", "dead-letter"} {
		for field, doc := range at(t, document(t, name), "properties").(map[string]any) {
			at(t, doc, "title")
			if about := at(t, doc, "description").(string); !strings.HasSuffix(about, ".") {
				t.Errorf("%s: %s is described by %q", name, field, about)
			}
		}
	}
}

func TestWhatIsWrittenIsValid(t *testing.T) {
	whole, told, request := decision(), explained(), fullRequest()
	bare := Decision{RequestID: "r", Tier: TierPopular, Degraded: []Reason{ReasonPanic}, ScoredAt: whole.ScoredAt, Source: place}
	tests := []struct {
		name, schema string
		event        []byte
	}{
		{"answer", "result", AppendResult(nil, &whole)},
		{"explained answer", "result", AppendResult(nil, &told)},
		{"empty answer", "result", AppendResult(nil, &bare)},
		{"rejection", "result", AppendRejection(nil, &Rejection{Code: CodeTooMany, Field: "pins", RequestID: "r"}, place)},
		{"request", "request", AppendRequest(nil, &request)},
		{"feedback", "feedback", AppendFeedback(nil, &Feedback{RequestID: "r", ItemID: "i", Action: ActionRating})},
	}
	for _, tt := range tests {
		if ok, _ := valid(compiled(t, tt.schema), tt.event); !ok {
			t.Errorf("%s: the schema refuses %s", tt.name, tt.event)
		}
	}
}

func TestDocuments(t *testing.T) {
	want := []string{"asyncapi", "dead-letter", "feedback", "request", "result"}
	if got := Documents(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, name := range Documents() {
		if text, err := Document(name); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, error %v", name, len(text), err)
		}
	}
	if _, err := Document("nothing"); err == nil || !strings.Contains(err.Error(), "asyncapi, dead-letter") {
		t.Errorf("got error %v, want one that lists the documents", err)
	}
}
