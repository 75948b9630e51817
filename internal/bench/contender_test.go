package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"recstream/internal/demo"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/model"
)

// newTestSession returns a session without servers.
func newTestSession(t *testing.T) *session {
	t.Helper()
	items, err := demoItems()
	if err != nil {
		t.Fatal(err)
	}
	params := scoring.DefaultParams()
	engine, err := scoring.New(params, scoring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.New(items, 1, params.Rules)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse("demo", demo.Model)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(engine.SetCatalog(t.Context(), snapshot), engine.Deploy(t.Context(), scoring.Deployment{Model: m})); err != nil {
		t.Fatal(err)
	}
	s := &session{items: items, engine: engine}
	if err := s.learnModel(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRequestsAreValidAndDifferent(t *testing.T) {
	s := newTestSession(t)
	g := newGenerator(1, s.items, 200)
	var sent fingerprint
	contexts := map[schemas.Context]bool{}
	for range 300 {
		m := g.message()
		var req schemas.Request
		if err := schemas.DecodeRequest(m.Value, &req); err != nil {
			t.Fatal(err)
		}
		slices.Sort(req.Candidates)
		if n := len(slices.Compact(req.Candidates)); n != 200 {
			t.Fatalf("%d different candidates, want 200", n)
		}
		if req.Limit != schemas.DefaultLimit || req.RequestedAt.IsZero() || string(m.Key) != req.PartitionKey() {
			t.Fatalf("limit %d, time %v, key %q", req.Limit, req.RequestedAt, m.Key)
		}
		contexts[req.Context] = true
		sent.add([]byte(req.RequestID))
	}
	if sent != g.written {
		t.Errorf("fingerprint %v, want %v", g.written, sent)
	}
	if len(contexts) < 20 {
		t.Errorf("%d different contexts", len(contexts))
	}
}

// The scorers of the obvious program have to do the same work: same items, same predictions.
func TestOwnScoringAgreesWithTheEngine(t *testing.T) {
	s := newTestSession(t)
	own, err := newOwnScorer(s)
	if err != nil {
		t.Fatal(err)
	}
	engine, g := s.engine.NewScorer(), newGenerator(2, s.items, 50)
	for range 50 {
		var req schemas.Request
		if err := schemas.DecodeRequest(g.message().Value, &req); err != nil {
			t.Fatal(err)
		}
		var want, got schemas.Decision
		if err := errors.Join(engine.Decide(&req, nil, &want), own.Decide(&req, nil, &got)); err != nil {
			t.Fatal(err)
		}
		if got.Considered != want.Considered || len(got.Items) != schemas.DefaultLimit {
			t.Fatalf("considered %d with %d items, want %d", got.Considered, len(got.Items), want.Considered)
		}
		for i := range want.Items {
			if g, w := got.Items[i], want.Items[i]; g.ItemID != w.ItemID || math.Abs(g.Prediction-w.Prediction) > 1e-12 {
				t.Fatalf("rank %d: %v, want %v", i+1, g, w)
			}
		}
	}
}

func TestPlainScorerTakesTheFirstCandidates(t *testing.T) {
	s := newTestSession(t)
	ids := []string{s.items[7].ID, s.items[3].ID, s.items[5].ID, s.items[1].ID}
	var d schemas.Decision
	if err := plainAnswers(s).Decide(&schemas.Request{RequestID: "r", Limit: 3, Candidates: ids}, nil, &d); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if it := d.Items[i]; it.ItemID != ids[i] || it.Title == "" {
			t.Errorf("rank %d: %v, want %s", i+1, it, ids[i])
		}
	}
	if len(d.Items) != 3 || d.Model == nil {
		t.Errorf("%d items, model %v", len(d.Items), d.Model)
	}
}

// The obvious program has to publish what recstream publishes.
func TestObviousResultIsThatOfRecstream(t *testing.T) {
	s := newTestSession(t)
	var d schemas.Decision
	req := schemas.Request{RequestID: "r-1", UserID: "u-1", Context: schemas.Context{Mood: schemas.MoodFunny}, Limit: 3, RequestedAt: time.Unix(1_700_000_000, 0).UTC()}
	if err := s.engine.NewScorer().Decide(&req, nil, &d); err != nil {
		t.Fatal(err)
	}
	d.ScoredAt, d.QueueTime, d.ScoreTime = time.Unix(1_700_000_001, 5000).UTC(), time.Second, 30*time.Microsecond
	d.Source = schemas.Source{Topic: "t", Partition: 1, Offset: 2}
	text, err := json.Marshal(resultOf(&d))
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := errors.Join(json.Unmarshal(text, &got), json.Unmarshal(schemas.AppendResult(nil, &d), &want)); err != nil {
		t.Fatal(err)
	}
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
	var f found
	if err := f.result(text); err != nil || f.refused != 0 || f.answered.count != 1 {
		t.Errorf("read back: %+v, %v", f, err)
	}
	if f.result([]byte(`{"id":"x"}`)) == nil {
		t.Error("something else was taken for a result")
	}
}
