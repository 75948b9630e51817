package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/internal/postgres"
	"recstream/schemas"
)

// TestSimulate walks down the ladder with a real database and a real model, and changes nothing.
func TestSimulate(t *testing.T) {
	url := startDatabase(t)
	environ := []string{"RECSTREAM_DATABASE_URL=" + url, "RECSTREAM_MODEL_PATH=../../internal/demo/data/model.txt"}
	run := func(status int, stderr string, args ...string) string {
		t.Helper()
		got := recstream(t, environ, "", args...)
		if got.status != status || !strings.Contains(got.stderr, stderr) {
			t.Fatalf("%v: status %d\n%s%s\nwant %d, %q", args, got.status, got.stdout, got.stderr, status, stderr)
		}
		return got.stdout
	}
	run(exitUsage, "run 'recstream migrate up'", "simulate", "--mood", "funny")
	run(exitOK, "", "migrate", "up")
	run(exitOK, "", "catalog", "import", "../../internal/demo/data/catalog.csv")

	simulated := func(args ...string) (d shownDecision) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(exitOK, "", append([]string{"simulate", "--mood", "funny", "-o", "json"}, args...)...)), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for fail, want := range map[string]schemas.Tier{
		"": schemas.TierModel, "model": schemas.TierPopular, "model,popular": schemas.TierBasic, "similar": schemas.TierModel,
	} {
		d := simulated("--fail", fail, "--limit", "4")
		if d.Tier != want || len(d.Items) != 4 || d.Items[0].Reason == "" || len(d.Dropped) == 0 || (want == schemas.TierModel) != (len(d.Degraded) == 0) {
			t.Errorf("without %q: %+v", fail, d)
		}
	}
	if d := simulated("--fail", "model", "--similar-to", "in-the-heat-of-the-night-1967"); d.Tier != schemas.TierSimilar {
		t.Errorf("similar to an item: %+v", d)
	}
	if d := simulated("--at", "1999-01-01T00:00:00+01:00"); d.RequestedAt != "1998-12-31T23:00:00Z" {
		t.Errorf("at %s", d.RequestedAt)
	}
	hurried := filepath.Join(t.TempDir(), "scoring.yaml")
	if err := os.WriteFile(hurried, []byte("fallback: {deadline: 1ms}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ = append(environ, "RECSTREAM_SCORING_FILE="+hurried)
	if d := simulated("--at", "1999-01-01T00:00:00Z"); d.Tier != schemas.TierModel {
		t.Errorf("nobody waits, and the answer is late: %s, %+v", d.Tier, d.Degraded)
	}
	if text := run(exitOK, "", "simulate", "--fail", "model,previous_model"); !strings.Contains(text, "degraded    model left for switched_off: ") ||
		!strings.Contains(text, "degraded    previous_model left for switched_off: ") || strings.Contains(text, "read from") {
		t.Error(text)
	}
	run(exitUsage, `fallback.switched_off[0]: "best" is no tier`, "simulate", "--fail", "best")
	run(exitUsage, "basic cannot be", "simulate", "--fail", "basic")
	run(exitUsage, "--at noon is no time", "simulate", "--at", "noon")
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"models", "configs", "decisions", "tier_changes"} {
		var n int
		if err := db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n > 0 {
			t.Errorf("the simulations have left %d %s behind, error %v", n, table, err)
		}
	}
}
