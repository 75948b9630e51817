package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/internal/replay"
	"recstream/schemas"
)

func TestReplaySpan(t *testing.T) {
	now := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		from, to string
		refused  bool
	}{
		"all":                {"", "", false},
		"offsets":            {"3", "8", false},
		"no offset":          {"3", "3", false},
		"offsets, backwards": {"8", "3", true},
		"times":              {"-2h", "-1h", false},
		"times, backwards":   {"-1h", "-2h", true},
		"a time and one ago": {"2026-03-01T19:30:00Z", "-1h", true},
		"a time and offset":  {"-1h", "3", false},
		"no time":            {"yesterday", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := replayFlags{from: test.from, to: test.to}
			_, err := f.span(now)
			if usage := (usageError{}); errors.As(err, &usage) != test.refused || (err != nil) != test.refused {
				t.Errorf("error %v, refused %t", err, test.refused)
			}
		})
	}
}

// newReplays returns a database with replays: 1 exceeds its limit, 2 has none, 3 is paused, 4 compared nothing.
func newReplays(t *testing.T) (environ []string) {
	t.Helper()
	url := startDatabase(t)
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	none := int64(0)
	line := replay.Line{Compared: 10, Identical: 8, Overlap: 0.9}
	for _, r := range []struct {
		plan replay.Plan
		line replay.Line
		done bool
	}{
		{replay.Plan{Config: "c0ffee", Limits: replay.Limits{Differing: &none}}, line, true},
		{replay.Plan{}, line, true},
		{replay.Plan{Model: &replay.Model{Ref: replay.Ref{Name: "films", Version: "4"}}, Features: replay.FeaturesFresh, Limits: replay.Limits{Differing: &none},
			Filter: replay.Filter{RequestIDs: []string{"a", "b", "c", "d"}, Tiers: []schemas.Tier{schemas.TierModel}}}, line, false},
		{replay.Plan{Limits: replay.Limits{Differing: &none}}, replay.Line{}, true},
	} {
		storeReplay(t, db, &r.plan, r.line, r.done)
	}
	return []string{"RECSTREAM_DATABASE_URL=" + url}
}

// storeReplay stores a replay that is done or paused.
func storeReplay(t *testing.T, db *postgres.Database, plan *replay.Plan, line replay.Line, done bool) {
	t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	r, err := db.CreateReplay(t.Context(), postgres.Replay{CreatedAt: now, CreatedBy: "ada", Topic: "requests", Plan: text,
		Partitions: []postgres.ReplayPartition{{To: 10}}}, "me")
	if err != nil {
		t.Fatal(err)
	}
	report, err := json.Marshal(replay.Report{RunID: r.RunID, State: postgres.ReplayDone, CreatedAt: now, Plan: plan, Line: line})
	if err == nil && done {
		err = db.FinishReplay(t.Context(), r.RunID, "me", report, nil)
	} else if err == nil {
		err = db.PauseReplay(t.Context(), r.RunID, "")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a replay was told to keep to is asked again by whoever looks at it, and what it tried is listed.
func TestReplaysAreJudgedAndListed(t *testing.T) {
	environ := newReplays(t)
	const table = "the table replay_differences has the requests"
	tests := map[string]struct {
		args   string
		status int
		says   string
		not    string
	}{
		"exceeded":              {"show 1", exitLimit, "2 requests differ, at most 0 may\nhint: " + table + ", under run_id 1", ""},
		"given anew":            {"show 1 --max-differing 2", exitOK, "limits: 0 differing", "differ, at most"},
		"another one beside":    {"show 1 --min-overlap 0.95", exitLimit, "2 requests differ, at most 0 may; the overlap is 0.9000", ""},
		"none":                  {"show 2", exitOK, "reproduces the live decisions", "limits"},
		"given":                 {"show 2 --min-overlap 0.95 -o json", exitLimit, "the overlap is 0.9000", ""},
		"not done":              {"show 3", exitRuntime, "replay 3 is paused: its limits count when it is done\nhint: run 'recstream replay resume 3'", ""},
		"nothing compared":      {"show 4", exitLimit, "nothing was compared", "hint:"},
		"not there":             {"show 9", exitRuntime, "there is no replay 9\nhint: " + replayListHint, ""},
		"negative":              {"show 2 --max-differing -1", exitUsage, "must be 0 or more", ""},
		"negative, of a run":    {"run --max-irreproducible -1", exitUsage, "must be 0 or more", ""},
		"too much, of a resume": {"resume 3 --min-overlap 1.1", exitUsage, "--min-overlap must be 0 to 1", ""},
		"no number":             {"show 2 --min-overlap nan", exitUsage, "--min-overlap must be 0 to 1", ""},
		"no number, of a run":   {"run --min-overlap nan", exitUsage, "--min-overlap must be 0 to 1", ""},
		"no number, of resume":  {"resume 3 --min-overlap nan", exitUsage, "--min-overlap must be 0 to 1", ""},
		"listed, exceeded":      {"list", exitOK, " scoring c0ffee - 8/10 0.9000 exceeded ", ""},
		"listed, filtered":      {"list", exitOK, " model films@4, features fresh 4 ids, tiers model 0/0 - - ", ""},
		"listed, without":       {"list", exitOK, " as live - 8/10 0.9000 - ", ""},
		"listed as JSON":        {"list -o json", exitOK, `"max_differing": 0`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := recstream(t, environ, "", append([]string{"replay"}, strings.Fields(test.args)...)...)
			said := regexp.MustCompile(` +`).ReplaceAllString(got.stdout+got.stderr, " ")
			if got.status != test.status || !strings.Contains(said, test.says) || test.not != "" && strings.Contains(said, test.not) {
				t.Errorf("status %d, want %d, with %q, without %q\n%s", got.status, test.status, test.says, test.not, said)
			}
		})
	}
}

// How a replay was stopped is told once, by whoever noticed it, with a step that is possible.
func TestStoppedReplay(t *testing.T) {
	tests := map[postgres.ReplayState]string{
		postgres.ReplayPaused:    "replay 11 is paused\nhint: run 'recstream replay resume 11' to go on where it is\n",
		postgres.ReplayCancelled: "replay 11 is cancelled\nhint: run 'recstream replay list' for those that there are\n",
		postgres.ReplayRunning:   "replay 11 was taken over by another process\nhint: run 'recstream replay show 11' for how it stands\n",
	}
	for state, want := range tests {
		err := replayError(11, fmt.Errorf("partition 3: %w", &replay.StoppedError{RunID: 11, State: state}))
		var said strings.Builder
		if status := report(&said, &cobra.Command{}, err, true); status != exitRuntime || said.String() != "recstream: "+want {
			t.Errorf("%s: status %d, %q", state, status, said.String())
		}
	}
}

// A file of parameters that is given is called what it was given as.
func TestReplayNamesABadFileOfParameters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trial.yaml")
	if err := os.WriteFile(file, []byte("max_itms: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := new(replayer).pinScoring(t.Context(), file)
	if err == nil || !strings.HasPrefix(err.Error(), "--scoring: ") || !strings.Contains(err.Error(), "max_itms") || !isConfigError(err) {
		t.Errorf("error %v", err)
	}
}
