package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/internal/config"
	"recstream/scoring"
)

func scoringFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scoring.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScoringCommands(t *testing.T) {
	params := scoring.DefaultParams()
	defaults := params.Version()
	good, bad := scoringFile(t, "max_items: 7\n"), scoringFile(t, "max_items: 0\nrank:\n  page: two\n")
	named := func(path string) []string { return []string{"RECSTREAM_SCORING_FILE=" + path} }
	few, err := config.ParseScoring("few", []byte("max_items: 7"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args, stdin    string
		environ        []string
		status         int
		stdout, stderr string // parts
	}{
		"defaults":             {args: "scoring defaults", stdout: "\n# Most items of an answer, whatever the request asks for\nmax_items: 100\n"},
		"schema":               {args: "scoring schema", stdout: `"$schema": "https://json-schema.org/draft/2020-12/schema"`},
		"check":                {args: "scoring check " + good, stdout: "ok  " + good + "  config_version " + few.Version() + "\n"},
		"check of input":       {args: "scoring check -", stdin: "# nothing\n", stdout: "ok  -  config_version " + defaults},
		"check of mistakes":    {args: "scoring check " + bad, status: exitUsage, stderr: "scoring parameters: 2 mistakes\n  max_items: 0 is not 1 to 100 (" + bad + ":1)\n  rank.page: is a whole number (" + bad + ":3)\nhint: run 'recstream scoring defaults'"},
		"check for programs":   {args: "scoring check -o json " + bad, status: exitUsage, stdout: `"line": 3`, stderr: "2 mistakes"},
		"check of no file":     {args: "scoring check " + good + ".none", status: exitUsage, stderr: "no such file"},
		"show":                 {args: "scoring show", environ: named(good), stdout: "max_items: 7\n"},
		"show has the version": {args: "scoring show", stdout: "\n# config_version " + defaults + "\n"},
		"show of mistakes":     {args: "scoring show", environ: named(bad), status: exitUsage, stderr: "scoring.file: scoring parameters: 2 mistakes"},
		"unknown subcommand":   {args: "scoring shwo", status: exitUsage, stderr: "did you mean show?"},
		"serve without file":   {args: "serve", environ: named(good + ".none"), status: exitUsage, stderr: "scoring.file: read scoring parameters: open " + good + ".none: no such file"},
		"serve of mistakes":    {args: "serve", environ: named(bad), status: exitUsage, stderr: "max_items: 0 is not 1 to 100 (" + bad + ":1)"},
		"a parameter's place":  {args: "config", environ: []string{"RECSTREAM_SCORING_MAX_ITEMS=5"}, status: exitUsage, stderr: "RECSTREAM_SCORING_MAX_ITEMS: no such setting"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, tt.environ, tt.stdin, strings.Fields(tt.args)...)
			if got.status != tt.status || !strings.Contains(got.stdout, tt.stdout) || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("status %d, want %d\n%s%s\nwant %q and %q", got.status, tt.status, got.stdout, got.stderr, tt.stdout, tt.stderr)
			}
		})
	}
}

// TestScoringDefaultsAreChecked shows that what is printed is what check takes, and means the same.
func TestScoringDefaultsAreChecked(t *testing.T) {
	params := scoring.DefaultParams()
	for _, command := range []string{"defaults", "show"} {
		text := recstream(t, nil, "", "scoring", command).stdout
		if got := recstream(t, nil, text, "scoring", "check", "-"); got.status != 0 || !strings.Contains(got.stdout, params.Version()) {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

func TestStoredScoring(t *testing.T) {
	url := startDatabase(t)
	environ := []string{"RECSTREAM_DATABASE_URL=" + url}
	must := func(args ...string) string {
		t.Helper()
		got := recstream(t, environ, "", args...)
		if got.status != 0 {
			t.Fatalf("%v: status %d\n%s", args, got.status, got.stderr)
		}
		return got.stdout
	}
	must("migrate", "up")
	if got := must("scoring", "list", "-o", "json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("nothing was used: %s", got)
	}
	cfg := config.Default()
	cfg.Database.URL = config.DatabaseURL(url)
	db, err := openDatabase(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const text = "max_items: 7 # few"
	params := scoring.DefaultParams()
	defaults := params.Version()
	if err := db.SaveConfig(t.Context(), defaults, string(config.FormatScoring(params))); err != nil {
		t.Fatal(err)
	}
	if err := db.SaveConfig(t.Context(), "0123456789ab", text); err != nil {
		t.Fatal(err)
	}
	if got := must("scoring", "show", "0123456789ab"); got != text {
		t.Errorf("shows %q", got)
	}
	var list []usedScoring
	if err := json.Unmarshal([]byte(must("scoring", "list", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ConfigVersion != "0123456789ab" || list[0].Default || list[1].ConfigVersion != defaults || !list[1].Default {
		t.Errorf("list %+v", list)
	}
	if table := must("scoring", "list"); !strings.Contains(table, "defaults") || !strings.HasPrefix(table, "CONFIG_VERSION") {
		t.Errorf("list\n%s", table)
	}
	if got := recstream(t, environ, "", "scoring", "show", "none"); got.status != exitRuntime || !strings.Contains(got.stderr, "recstream scoring list") {
		t.Errorf("an unknown version: %+v", got)
	}
}
