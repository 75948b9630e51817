package main

import (
	"os"
	"strings"
	"testing"
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
