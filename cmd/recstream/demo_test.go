package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"recstream/internal/devstack"
	"recstream/internal/postgres"
	"recstream/schemas"
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
	control, candidate := f.Variants["control"], f.Variants["candidate"]
	if control < requests/4 || candidate < requests/4 || len(f.Variants) != 2 || f.Shadows != control+candidate {
		t.Errorf("variants %v, %d shadow decisions", f.Variants, f.Shadows)
	}
	if f.Feedback < f.Recommendations || f.Profiles < 50 {
		t.Errorf("%d feedback events, %d profiles", f.Feedback, f.Profiles)
	}
	if len(f.Answers) != len(demoQueries) {
		t.Fatalf("%d answers to %d questions", len(f.Answers), len(demoQueries))
	}
	for _, answer := range f.Answers {
		if len(answer.Rows) == 0 {
			t.Errorf("no answer to: %s\n%s", answer.Question, answer.SQL)
		}
	}
	checkExperimentAnswers(t, &f)
}

// checkExperimentAnswers looks for what the queries about the experiment have to find.
func checkExperimentAnswers(t *testing.T, f *demoFigures) {
	t.Helper()
	cell := func(question, row int, column string) string {
		answer := f.Answers[question]
		if row >= len(answer.Rows) {
			t.Fatalf("%d rows answer: %s", len(answer.Rows), answer.Question)
		}
		return answer.Rows[row][slices.Index(answer.Columns, column)]
	}
	const split, shadow = 2, 3
	for row, want := range []demoArm{{"control", "1"}, {"candidate", "2"}} {
		if got := cell(split, row, "variant") + " " + cell(split, row, "model"); got != want.Variant+" films@"+want.Version {
			t.Errorf("row %d of the split is of %s", row, got)
		}
		if got := cell(split, row, "requests"); got != strconv.Itoa(f.Variants[want.Variant]) {
			t.Errorf("%s has %s requests in the split, %d in the ledger", want.Variant, got, f.Variants[want.Variant])
		}
		for _, column := range []string{"predicted", "clicked", "completed"} {
			if share, err := strconv.ParseFloat(cell(split, row, column), 64); err != nil || share <= 0 || share >= 1 {
				t.Errorf("%s of %s: %v, %v", column, want.Variant, share, err)
			}
		}
		if got := cell(shadow, row, "shadow_model"); got != "films@3" {
			t.Errorf("the shadow's model is %s", got)
		}
	}
}

// TestDemoCheck has figures that must not pass.
func TestDemoCheck(t *testing.T) {
	traffic := &demoTraffic{requests: []schemas.Request{{UserID: "ada"}, {UserID: ""}}, feedback: 5}
	v, ok := demoExperiment.Assign("ada")
	if !ok {
		t.Fatal("ada takes part in nothing")
	}
	ada := demoArm{demoExperiment.Variants[v].Name, []string{"1", "2"}[v]}
	good := func() *demoFigures {
		return &demoFigures{Decisions: 2, Results: 2, Feedback: 5, Shadows: 1, Variants: map[string]int{ada.Variant: 1},
			arms: map[demoArm]int{ada: 1, {"", "1"}: 1}}
	}
	tests := map[string]struct {
		change func(*demoFigures)
		want   string
	}{
		"good":            {func(*demoFigures) {}, ""},
		"decision lost":   {func(f *demoFigures) { f.Decisions = 1 }, "1 decisions, not 2"},
		"result twice":    {func(f *demoFigures) { f.Results = 3 }, "3 results, not 2"},
		"dead letter":     {func(f *demoFigures) { f.DeadLetters = 1 }, "1 dead letters, not 0"},
		"feedback lost":   {func(f *demoFigures) { f.Feedback = 4 }, "4 feedback events stored, not 5"},
		"no shadow":       {func(f *demoFigures) { f.Shadows = 0 }, "no shadow decision"},
		"other variant":   {func(f *demoFigures) { f.arms = map[demoArm]int{{"", "1"}: 2} }, "decided 0 requests, not 1"},
		"other model":     {func(f *demoFigures) { delete(f.arms, ada); f.arms[demoArm{ada.Variant, "3"}] = 1 }, "films@3 decided 1 requests, not 0"},
		"nothing decided": {func(f *demoFigures) { clear(f.arms) }, "decided 0 requests, not 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := good()
			tt.change(f)
			err := f.check(traffic)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDemoOnAServerThatIsThereLeavesNothing(t *testing.T) {
	url := startDatabase(t)
	got := recstream(t, nil, "", "demo", "--requests", "50", "--database-url", url)
	if got.status != exitOK {
		t.Fatalf("status %d\n%s", got.status, got.stderr)
	}
	for _, want := range []string{"FILMS WITH PREDICTIONS", "SELECT title", "films@2", "films@3", "household-000", "simulated",
		"50 decisions", "answered by model 50"} {
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
		{"good lines of it", []string{"catalog", "import", "--skip-bad", bad}, nil, exitOK, []string{"imported 1 item"}},
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
