package schemas

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants returns the values of the package's string constants of that type whose names have that prefix, sorted.
func constants(t *testing.T, typ, prefix string) []string {
	t.Helper()
	var out []string
	for _, file := range []string{"decision.go", "decode_error.go", "events.go", "result.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && typeOf(spec) == typ && strings.HasPrefix(spec.Names[0].Name, prefix) {
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, _ := strconv.Unquote(lit.Value)
					out = append(out, s)
				}
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("no constants %s* of type %q", prefix, typ)
	}
	slices.Sort(out)
	return out
}

func typeOf(spec *ast.ValueSpec) string {
	if id, ok := spec.Type.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func TestSchemasHaveTheFieldsOfTheDecoders(t *testing.T) {
	for _, tt := range []struct {
		name          string
		all, required []string
	}{
		{"request", fieldNames(requestFields, false), fieldNames(requestFields, true)},
		{"feedback", fieldNames(feedbackFields, false), fieldNames(feedbackFields, true)},
	} {
		doc := document(t, tt.name)
		if got := keys(at(t, doc, "properties")); !slices.Equal(got, tt.all) {
			t.Errorf("%s: the schema has fields %v, the decoder %v", tt.name, got, tt.all)
		}
		if got := texts(at(t, doc, "required")); !slices.Equal(got, tt.required) {
			t.Errorf("%s: the schema requires %v, the decoder %v", tt.name, got, tt.required)
		}
	}
}

func fieldNames[E any](fields []field[E], requiredOnly bool) []string {
	var out []string
	for _, f := range fields {
		if f.required || !requiredOnly {
			out = append(out, f.name)
		}
	}
	slices.Sort(out)
	return out
}

func TestResultSchemaHasTheFieldsOfResult(t *testing.T) {
	doc := document(t, "result")
	tests := []struct {
		typ  reflect.Type
		path []string
	}{
		{reflect.TypeFor[Result](), nil},
		{reflect.TypeFor[ResultItem](), []string{"$defs", "item"}},
		{reflect.TypeFor[ResultExplanation](), []string{"$defs", "item", "properties", "explanation"}},
		{reflect.TypeFor[Contribution](), []string{"$defs", "contribution"}},
		{reflect.TypeFor[ResultModel](), []string{"properties", "model"}},
		{reflect.TypeFor[Timings](), []string{"properties", "timings_ms"}},
		{reflect.TypeFor[ResultError](), []string{"properties", "error"}},
		{reflect.TypeFor[ResultSource](), []string{"properties", "source"}},
	}
	for _, tt := range tests {
		var want []string
		for i := range tt.typ.NumField() {
			name, _, _ := strings.Cut(tt.typ.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		slices.Sort(want)
		if got := keys(at(t, doc, append(tt.path, "properties")...)); !slices.Equal(got, want) {
			t.Errorf("%v: the schema has fields %v, the type %v", tt.typ, got, want)
		}
	}
}

func TestSchemasHaveTheNamesOfGo(t *testing.T) {
	request, feedback, result := document(t, "request"), document(t, "feedback"), document(t, "result")
	letter := document(t, "dead-letter")
	named := func(names []string) []string { return slices.Sorted(slices.Values(names[1:])) }
	tests := []struct {
		name string
		got  any
		want []string
	}{
		{"mood", at(t, request, "properties", "mood", "enum"), named(moodNames[:])},
		{"group_size", at(t, request, "properties", "group_size", "enum"), named(groupNames[:])},
		{"session_length", at(t, request, "properties", "session_length", "enum"), named(sessionNames[:])},
		{"action", at(t, feedback, "properties", "action", "enum"), named(actionNames[:])},
		{"status", at(t, result, "properties", "status", "enum"), constants(t, "Status", "Status")},
		{"tier", at(t, result, "properties", "tier", "enum"), constants(t, "Tier", "Tier")},
		{"degraded", at(t, result, "properties", "degraded", "items", "enum"), constants(t, "Reason", "Reason")},
		{"cold_start", at(t, result, "properties", "cold_start", "items", "enum"), constants(t, "ColdStart", "Cold")},
		{"terms", anys(keys(at(t, result, "$defs", "terms", "properties"))), slices.Sorted(slices.Values(TermNames[:]))},
		{"error code", at(t, result, "properties", "error", "properties", "code", "examples"), constants(t, "", "Code")},
		{"dead letter reason", at(t, letter, "properties", "dlq_reason", "examples"), constants(t, "", "Code")},
		{"dead letter headers", anys(keys(at(t, letter, "properties"))), constants(t, "", "HeaderDLQ")},
		{"headers of every dead letter", anys(append(texts(at(t, letter, "required")), HeaderDLQValueOmitted, HeaderDLQRedrives, HeaderDLQRedriveID)),
			constants(t, "", "HeaderDLQ")},
	}
	for _, tt := range tests {
		if got := texts(tt.got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: the schema has %v, Go %v", tt.name, got, tt.want)
		}
	}
}

func TestSchemasHaveTheLimitsOfGo(t *testing.T) {
	request := document(t, "request")
	limits := []struct {
		want int
		path []string
	}{
		{MaxIDBytes, []string{"$defs", "id", "maxLength"}},
		{maxTimeBytes, []string{"$defs", "time", "maxLength"}},
		{MaxLimit, []string{"properties", "limit", "maximum"}},
		{DefaultLimit, []string{"properties", "limit", "default"}},
		{MaxDeadlineMS, []string{"properties", "deadline_ms", "maximum"}},
		{MaxCandidates, []string{"properties", "candidates", "maxItems"}},
		{MaxCandidates, []string{"properties", "exclude", "maxItems"}},
		{MaxCandidates, []string{"properties", "pins", "maxItems"}},
	}
	for _, tt := range limits {
		if got := at(t, request, tt.path...); got != json.Number(strconv.Itoa(tt.want)) {
			t.Errorf("%v: the schema has %v, Go %v", tt.path, got, tt.want)
		}
	}
	contributions := at(t, document(t, "result"), "$defs", "item", "properties", "explanation", "properties", "contributions")
	if got := at(t, contributions, "maxItems"); got != json.Number(strconv.Itoa(MaxContributions)) {
		t.Errorf("the schema has up to %v contributions, Go %d", got, MaxContributions)
	}
	about := at(t, request, "description").(string)
	for _, n := range []int{MaxMessageBytes, MaxNesting} {
		if !strings.Contains(about, strconv.Itoa(n)) {
			t.Errorf("the description does not say %d", n)
		}
	}
}

// Every code has its meaning, one short line, and no meaning is of a code that there is not.
func TestMeanings(t *testing.T) {
	lines := map[string]int{}
	for _, tt := range []struct {
		typ, prefix string
		meaning     func(string) string
		known       int
	}{
		{"Tier", "Tier", func(s string) string { return Tier(s).Meaning() }, len(tierMeanings)},
		{"Reason", "Reason", func(s string) string { return Reason(s).Meaning() }, len(reasonMeanings)},
		{"ColdStart", "Cold", func(s string) string { return ColdStart(s).Meaning() }, len(coldStartMeanings)},
		{"DropCode", "Drop", func(s string) string { return DropCode(s).Meaning() }, len(dropMeanings)},
	} {
		codes := constants(t, tt.typ, tt.prefix)
		if len(codes) != tt.known {
			t.Errorf("%s: %d meanings for %d codes", tt.typ, tt.known, len(codes))
		}
		for _, code := range codes {
			line := tt.meaning(code)
			if line == "" || len(line) > 100 || strings.ContainsAny(line, "\n\t") || strings.HasSuffix(line, ".") {
				t.Errorf("%s %s means %q, which is no short line", tt.typ, code, line)
			}
			if lines[line]++; lines[line] > 1 {
				t.Errorf("%q is the meaning of two codes", line)
			}
		}
		if got := tt.meaning("no such code"); got != "" {
			t.Errorf("%s: an unknown code means %q", tt.typ, got)
		}
	}
}
