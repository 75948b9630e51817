package main

import (
	"os"
	"strings"
	"testing"

	"recstream/scoring/feature"
)

// TestReadmeHasTheSettings keeps the README's table equal to what the program prints.
func TestReadmeHasTheSettings(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := printMarkdownFields(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table.String()) {
		t.Error("the README's table of settings is not that of: recstream config fields -o markdown")
	}
}

// TestFeaturesDocumentHasTheVocabulary wants the document's example to be makeable, and the help to have its fields.
func TestFeaturesDocumentHasTheVocabulary(t *testing.T) {
	text, err := os.ReadFile("../../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, rest, _ := strings.Cut(rest, "```")
	var d feature.Declaration
	if err := readYAML([]byte(example), &d); err != nil {
		t.Fatal(err)
	}
	if _, err := feature.New(d); err != nil {
		t.Error(err)
	}
	help := recstream(t, nil, "", "features", "--help").stdout
	for _, f := range d.Features {
		for _, word := range []string{string(f.Source), f.Field, string(f.Kind)} {
			if !strings.Contains(help, word) || !strings.Contains(rest, "`"+word+"`") {
				t.Errorf("%s is not in the tables, or not in the help", word)
			}
		}
	}
}
