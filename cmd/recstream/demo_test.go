package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"recstream/internal/devstack"
	"recstream/internal/postgres"
)

// startDatabase starts a Postgres for one test and returns the URL of a database on it.
func startDatabase(t *testing.T) string {
	t.Helper()
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	url, err := server.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func TestDemoCountsWhatItDid(t *testing.T) {
	const requests = 300
	got := recstream(t, nil, "", "demo", "--requests", "300", "-o", "json")
	if got.status != exitOK {
		t.Fatalf("status %d\n%s", got.status, got.stderr)
	}
	var f demoFigures
	if err := json.Unmarshal([]byte(got.stdout), &f); err != nil {
		t.Fatalf("%v\n%s", err, got.stdout)
	}
	if f.Requests != requests || f.Decisions != requests || f.Results != requests || f.DeadLetters != 0 ||
		f.Tiers["model"] != requests || f.Recommendations < requests || f.ElapsedS <= 0 || f.RequestsPerS <= 0 {
		t.Errorf("figures %+v", f)
	}
}

func TestDemoOnAServerThatIsThereLeavesNothing(t *testing.T) {
	url := startDatabase(t)
	got := recstream(t, nil, "", "demo", "--requests", "50", "--database-url", url)
	if got.status != exitOK {
		t.Fatalf("status %d\n%s", got.status, got.stderr)
	}
	for _, want := range []string{"FILMS WITH PREDICTIONS", "SELECT title", "50 decisions", "answered by model 50"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("output lacks %q\n%s", want, got.stdout)
		}
	}
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var left int
	if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname LIKE 'recstream_demo%'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d databases left, %v", left, err)
	}
}

func TestSetUpAndCheck(t *testing.T) {
	_, env := startBroker(t)
	env = append(env, "RECSTREAM_DATABASE_URL="+startDatabase(t))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("films.csv", "id,title,genres\na,A film,Comedy|Drama\nb,Another,Action\n")
	bad := write("bad.csv", "id,title,year\na,A film,1999\n,No id,2000\nc,C,soon\n")

	steps := []struct {
		name   string
		args   []string
		env    []string
		status int
		want   []string // in standard output or standard error
	}{
		{"nothing is migrated", []string{"migrate", "status"}, nil, exitOK, []string{"00001_ledger.sql", "missing"}},
		{"serve says so", []string{"serve"}, nil, exitUsage, []string{"lacks migration", "recstream migrate up"}},
		{"check says so", []string{"check"}, nil, exitRuntime, []string{"FAIL  database", "recstream migrate up"}},
		{"migrate", []string{"migrate", "up"}, nil, exitOK, []string{"applied 00001_ledger.sql"}},
		{"migrate again", []string{"migrate", "up"}, nil, exitOK, []string{"nothing to do"}},
		{"check misses items", []string{"check"}, nil, exitRuntime, []string{"ok    database", "FAIL  catalogue", "catalog import"}},
		{"bad lines", []string{"catalog", "import", bad}, nil, exitRuntime,
			[]string{"line 3: id: is missing", `line 4: year: "soon"`, "nothing imported", "--skip-bad"}},
		{"nothing was imported", []string{"check"}, nil, exitRuntime, []string{"FAIL  catalogue"}},
		{"good lines of it", []string{"catalog", "import", "--skip-bad", bad}, nil, exitOK, []string{"imported 1 items"}},
		{"import", []string{"catalog", "import", good}, nil, exitOK, []string{"imported 2 items"}},
		{"check", []string{"check"}, nil, exitOK, []string{"ok    brokers", "ok    topics", "ok    catalogue   2 items", "ok    model"}},
		{"model missing", []string{"check"}, []string{"RECSTREAM_MODEL_PATH=" + filepath.Join(dir, "none.txt")}, exitRuntime,
			[]string{"FAIL  model", "model_missing"}},
		{"bad setting", []string{"check"}, []string{"RECSTREAM_LEDGER_LOOK_BACK=-1h"}, exitUsage, []string{"ledger.look_back"}},
		{"no format", []string{"catalog", "import", "films"}, nil, exitUsage, []string{"--format"}},
	}
	for _, step := range steps {
		got := recstream(t, append(step.env, env...), "", step.args...)
		if got.status != step.status {
			t.Errorf("%s: status %d, want %d\n%s%s", step.name, got.status, step.status, got.stdout, got.stderr)
		}
		for _, want := range step.want {
			if !strings.Contains(got.stdout+got.stderr, want) {
				t.Errorf("%s: output lacks %q\n%s%s", step.name, want, got.stdout, got.stderr)
			}
		}
	}
}
