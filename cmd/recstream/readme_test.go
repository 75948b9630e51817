package main

import (
	"os"
	"path/filepath"
	"regexp"
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

// TestPublishedSQLCountsLiveTraffic wants every statement on decisions that people are told to type to name the live
// run: whoever replays has more rows, and would count a request twice.
func TestPublishedSQLCountsLiveTraffic(t *testing.T) {
	texts := map[string]string{"README.md": readDocument(t, "README.md")}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := strings.TrimPrefix(page, "../../")
		texts[name] = readDocument(t, name)
	}
	for _, q := range demoQueries {
		texts["demo: "+q.question] = q.sql
	}
	reads, live := regexp.MustCompile(`(FROM|JOIN) decisions(_\d+)?\b`), regexp.MustCompile(`run_id = 0`)
	found := 0
	for name, text := range texts {
		for paragraph := range strings.SplitSeq(text, "\n\n") {
			n := len(reads.FindAllString(paragraph, -1))
			if found += n; len(live.FindAllString(paragraph, -1)) < n {
				t.Errorf("%s reads the decisions of replays too:\n%s", name, paragraph)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d statements are found", found)
	}
}
