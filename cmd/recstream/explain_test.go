package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
)

// explainedDecision has all that explain can print.
func explainedDecision() *schemas.Decision {
	year, near := 2001.0, 0.5
	at := time.Date(2026, 1, 31, 19, 30, 0, 0, time.UTC)
	return &schemas.Decision{
		RequestID: "r1", UserID: "ada", Tier: schemas.TierPrevious,
		Context:       schemas.Context{Mood: schemas.MoodFunny, SessionLength: schemas.SessionShort},
		Degraded:      []schemas.Reason{schemas.ReasonCircuitOpen},
		ColdStart:     []schemas.ColdStart{schemas.ColdNewItem},
		Model:         &schemas.ModelRef{Name: "films", Version: "1", SHA256: strings.Repeat("0f", 32)},
		Experiment:    &schemas.ExperimentRef{Name: "trial", Variant: "b"},
		ConfigVersion: "c0ffee12", CatalogVersion: 7, Considered: 132, Pinned: 1, Explain: true,
		Items: []schemas.ScoredItem{
			{ItemID: "up", Title: "Up", Prediction: math.NaN(), Score: 0.25, Terms: schemas.Terms{schemas.TermBase: 0.25}},
			{ItemID: "airplane", Title: "Airplane!", Prediction: 0.8125, Score: 0.9375,
				Terms: schemas.Terms{schemas.TermBase: 0.8125, schemas.TermAffinity: 0.25, schemas.TermDiversity: -0.125}},
		},
		Explanation: &schemas.Explanation{
			Items: []schemas.ItemExplanation{
				{Reason: "chosen by the app"},
				{Reason: "short comedy; you like comedies", Contributions: []schemas.Contribution{
					{Feature: "genre_comedy", Label: "genre: Comedy", Value: &year, Contribution: 0.75},
					{Feature: "year", Label: "year: unknown", Contribution: -0.125},
				}},
			},
			Dropped: []schemas.Dropped{
				{ItemID: "spy", Title: "Spy", Reason: schemas.DropCapGenre, Score: &near},
				{ItemID: "old", Title: "Old", Reason: schemas.DropExpired},
			},
		},
		RequestedAt: at, ScoredAt: at.Add(time.Second), QueueTime: time.Second, ScoreTime: 42 * time.Microsecond,
		Source: schemas.Source{Topic: "recommendation.requests", Partition: 4, Offset: 70},
	}
}

const explainedText = `request     r1, read from recommendation.requests/4/70
requested   2026-01-31T19:30:00Z
scored      2026-01-31T19:30:01Z, in 0.042 ms, after 1000.000 ms in the queue
user        ada
context     mood funny, time short
tier        previous_model: ranked by the prediction of the last model that served before this one
degraded    model left for circuit_open: the tier failed too often of late, and rests before it is tried again
cold start  new_item: an item of the answer is too new for anybody to have seen it: what it is and its age count
model       films@1, SHA-256 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
experiment  trial, variant b
config      c0ffee12
catalogue   version 7; 132 items could be chosen

RANK      ITEM      TITLE      SCORE   BASE    AFFINITY  DIVERSITY  PREDICTION
1 pinned  up        Up         0.25    0.25                         
2         airplane  Airplane!  0.9375  0.8125  +0.25     -0.125     0.8125

1. Up: chosen by the app

2. Airplane!: short comedy; you like comedies
    ADDS    WHAT           VALUE    FEATURE
    +0.75   genre: Comedy  2001     genre_comedy
    -0.125  year: unknown  missing  year

Dropped, the nearest misses first:

ITEM  TITLE  SCORE  REASON     MEANING
spy   Spy    0.5    cap_genre  enough items with one of its genres come before it
old   Old           expired    it has expired
`

func TestExplainPrints(t *testing.T) {
	unkept := explainedDecision()
	unkept.Explanation = nil
	undropped := explainedDecision()
	undropped.Explanation.Dropped = nil
	empty := explainedDecision()
	empty.Items, empty.Pinned, empty.Explanation = nil, 0, nil
	bare := &schemas.Decision{RequestID: "r2", Tier: schemas.TierBasic, ScoredAt: time.Unix(0, 0).UTC(), Explanation: &schemas.Explanation{},
		Items: []schemas.ScoredItem{{ItemID: "up", Prediction: math.NaN()}}}

	whole, _, _ := strings.Cut(explainedText, "\n1. Up")
	head, _, _ := strings.Cut(explainedText, "\nRANK")
	kept, _, _ := strings.Cut(explainedText, "\nDropped,")
	nothing := explainedDecision()
	nothing.Degraded = []schemas.Reason{schemas.ReasonModelMissing, schemas.ReasonNoEligibleItems}
	ladder := scoring.DefaultParams().Fallback.Tiers
	tests := []struct {
		name   string
		d      *schemas.Decision
		ladder []schemas.Tier
		want   string
	}{
		{"all there is", explainedDecision(), ladder, explainedText},
		{"a ladder that is not known", explainedDecision(), nil, strings.Replace(explainedText, "model left for ", "", 1)},
		{"nothing eligible", nothing, ladder, strings.Replace(explainedText, "model left for circuit_open: "+schemas.ReasonCircuitOpen.Meaning(),
			"model left for model_missing: "+schemas.ReasonModelMissing.Meaning()+"\ndegraded    no_eligible_items: "+schemas.ReasonNoEligibleItems.Meaning(), 1)},
		{"nothing kept", unkept, ladder, whole + notKept},
		{"nothing dropped", undropped, ladder, kept + "\nNo dropped items were kept: there were none, or the scoring parameter explain.max_dropped is 0.\n"},
		{"no items", empty, ladder, head + "\nThe answer has no items.\n" + notKept},
		{"next to nothing", bare, nil, `request     r2
scored      1970-01-01T00:00:00Z, in 0.000 ms
user        anonymous
context     nothing was said
tier        basic: the first eligible items, in the catalogue's order
catalogue   version 0; 0 items could be chosen

RANK  ITEM  TITLE  SCORE  BASE  PREDICTION
1     up           0      0     

1. up: no reason was kept

No dropped items were kept: there were none, or the scoring parameter explain.max_dropped is 0.
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := describeDecision(tt.d, tt.ladder).print(&out); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tt.want)
			}
		})
	}
}

// TestExplain asks a real database for a decision, and for one that it does not have.
func TestExplain(t *testing.T) {
	environ := []string{"RECSTREAM_DATABASE_URL=" + startDatabase(t)}
	if got := recstream(t, environ, "", "explain", "r1"); got.status != exitRuntime || !strings.Contains(got.stderr, "run 'recstream migrate up' first") {
		t.Errorf("without tables: status %d\n%s", got.status, got.stderr)
	}
	if got := recstream(t, environ, "", "migrate", "up"); got.status != 0 {
		t.Fatal(got.stderr)
	}
	d := explainedDecision()
	d.Model = nil // whose row the instance that loads it makes
	params := scoring.DefaultParams()
	d.ConfigVersion = params.Version()
	store(t, environ, d)

	got := recstream(t, environ, "", "explain", "r1")
	var want strings.Builder
	if err := describeDecision(d, params.Fallback.Tiers).print(&want); err != nil {
		t.Fatal(err)
	}
	if got.status != 0 || got.stdout != want.String() {
		t.Errorf("status %d\n%s%s\nwant\n%s", got.status, got.stdout, got.stderr, want.String())
	}

	got = recstream(t, environ, "", "explain", "r1", "-o", "json")
	var shown shownDecision
	if err := json.Unmarshal([]byte(got.stdout), &shown); err != nil {
		t.Fatalf("%v\n%s%s", err, got.stdout, got.stderr)
	}
	second := shown.Items[1]
	if !shown.Kept || len(shown.Dropped) != 2 || shown.Dropped[0].Meaning == "" || shown.Degraded[0].Meaning == "" || shown.Degraded[0].Tier != schemas.TierModel ||
		second.Explanation.Terms["affinity"] != 0.25 || len(second.Explanation.Terms) != 3 || second.Reason == "" ||
		len(second.Explanation.Contributions) != 2 || !shown.Items[0].Pinned {
		t.Errorf("JSON lacks something:\n%s", got.stdout)
	}

	got = recstream(t, environ, "", "explain", "r2")
	if got.status != exitRuntime || got.stdout != "" ||
		!strings.Contains(got.stderr, "recstream: the ledger has no decision on request \"r2\"\nhint: the id is that of the request event") {
		t.Errorf("status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
	if got := recstream(t, environ, "", "explain"); got.status != exitUsage || !strings.Contains(got.stderr, "REQUEST_ID is missing") {
		t.Errorf("status %d\n%s", got.status, got.stderr)
	}
}

// store puts a decision into the ledger.
func store(t *testing.T, environ []string, d *schemas.Decision) {
	t.Helper()
	cfg, err := (&app{environ: environ}).loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defaults := scoring.DefaultParams()
	if err := db.SaveConfig(t.Context(), defaults.Version(), string(config.FormatScoring(defaults))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.MaintainPartitions(t.Context(), d.ScoredAt, postgres.Partitions{}); err != nil {
		t.Fatal(err)
	}
	ledger := postgres.NewLedger(db, "test", time.Hour)
	if err := ledger.MoveFence(t.Context(), d.Source.Topic, d.Source.Partition, -1, d.Source.Offset); err != nil {
		t.Fatal(err)
	}
	batch := schemas.Batch{Topic: d.Source.Topic, Partition: d.Source.Partition, From: d.Source.Offset, Next: d.Source.Offset + 1,
		Decisions: []*schemas.Decision{d}}
	if err := ledger.Record(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}
