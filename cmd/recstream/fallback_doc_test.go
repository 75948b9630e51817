package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"recstream/internal/config"
	"recstream/scoring"
)

// readDocument returns the text of a file of the repository.
func readDocument(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFallbackDocumentHasEveryCode wants a row of a table for each tier, reason and cold start that there is.
func TestFallbackDocumentHasEveryCode(t *testing.T) {
	page := readDocument(t, "docs/fallback.md")
	codes := codesOf(t, "Tier", "Reason", "ColdStart")
	if len(codes) < 27 {
		t.Fatalf("only %d codes are found: %q", len(codes), codes)
	}
	for _, code := range codes {
		if !strings.Contains(page, "\n| `"+code+"` |") {
			t.Errorf("docs/fallback.md has no row for %s", code)
		}
	}
}

// codesOf returns the constants of those types, as the source of the events declares them.
func codesOf(t *testing.T, types ...string) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../schemas/decision.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, name := range types {
		wanted[name] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); ok && wanted[of.Name] {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	return codes
}

// TestFallbackDocumentHasTheDefaults compares the table of parameters with what holds where nothing is configured.
func TestFallbackDocumentHasTheDefaults(t *testing.T) {
	var all struct {
		Fallback map[string]any `yaml:"fallback"`
	}
	if err := yaml.Unmarshal(config.FormatScoring(scoring.DefaultParams()), &all); err != nil {
		t.Fatal(err)
	}
	page := readDocument(t, "docs/fallback.md")
	want := rowsOf("fallback", all.Fallback)
	for _, row := range want {
		if !strings.Contains(page, row) {
			t.Errorf("docs/fallback.md has no row that begins with %s", row)
		}
	}
	if has := strings.Count(page, "\n| `fallback."); has != len(want) {
		t.Errorf("docs/fallback.md has %d parameters, there are %d", has, len(want))
	}
}

// rowsOf returns how the table's rows of parameters begin.
func rowsOf(prefix string, section map[string]any) (rows []string) {
	for name, value := range section {
		key := prefix + "." + name
		switch value := value.(type) {
		case map[string]any:
			rows = append(rows, rowsOf(key, value)...)
		case []any:
			rows = append(rows, "| `"+key+"` | `"+strings.Join(strings.Fields(fmt.Sprint(value)), ", ")+"`")
		default:
			rows = append(rows, "| `"+key+"` | `"+fmt.Sprint(value)+"`")
		}
	}
	return rows
}

// TestFallbackDocumentSpeaksOfWhatThereIs wants its metrics and alerts to be described and to exist.
func TestFallbackDocumentSpeaksOfWhatThereIs(t *testing.T) {
	page, metrics, alerts := readDocument(t, "docs/fallback.md"), readDocument(t, "docs/metrics.md"), readDocument(t, "deploy/prometheus/alerts.yaml")
	found := 0
	for _, name := range regexp.MustCompile(`recstream_[a-z_]+`).FindAllString(page, -1) {
		found++
		if !strings.Contains(metrics, "| `"+name+"` |") {
			t.Errorf("docs/metrics.md has no %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`Recstream[A-Z][A-Za-z]+`).FindAllString(page, -1) {
		found++
		if !strings.Contains(alerts, "alert: "+name+"\n") {
			t.Errorf("deploy/prometheus/alerts.yaml has no %s", name)
		}
	}
	if found < 20 {
		t.Errorf("only %d metrics and alerts are found", found)
	}
}
