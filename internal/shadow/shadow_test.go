package shadow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"recstream/internal/demo"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/experiment"
	"recstream/scoring/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)

// shelf keeps what is stored; full says when there is as much as a test waits for.
type shelf struct {
	mu    sync.Mutex
	rows  []*schemas.Decision
	wants int
	full  chan struct{}
	fail  error
}

func (s *shelf) RecordShadows(_ context.Context, list []*schemas.Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.rows = append(s.rows, list...)
	if len(s.rows) >= s.wants && s.full != nil {
		close(s.full)
		s.full = nil
	}
	return nil
}

// newEngine is an engine of three films with an experiment that has two shadows: one with a model, one whose model
// is missing.
func newEngine(t *testing.T) *scoring.Engine {
	t.Helper()
	e, err := scoring.New(scoring.DefaultParams(), scoring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var items []schemas.Item
	for i := range 3 {
		items = append(items, schemas.Item{ID: fmt.Sprint("film-", i), Title: "A film", Year: 1980 + 15*float64(i), DurationMin: 95, Popularity: 1})
	}
	snapshot, err := catalog.New(items, 1, catalog.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse("demo", demo.Model)
	if err != nil {
		t.Fatal(err)
	}
	d := scoring.Deployment{Experiments: []scoring.Experiment{{
		Experiment: experiment.Experiment{Name: "trial", Shadows: []experiment.Variant{{Name: "next"}, {Name: "lost"}}},
		Shadows:    []scoring.Arm{{Model: m}, {Reason: schemas.ReasonModelMissing}},
	}}}
	if err := errors.Join(e.SetCatalog(t.Context(), snapshot), e.Deploy(t.Context(), d)); err != nil {
		t.Fatal(err)
	}
	return e
}

// run runs the shadows until the function that it returns is called.
func run(t *testing.T, s *Shadows) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func TestShadowsAreScoredAndStored(t *testing.T) {
	engine := newEngine(t)
	store := &shelf{wants: 2, full: make(chan struct{})}
	full := store.full
	s := New(engine, store, slog.New(slog.DiscardHandler))
	stop := run(t, s)
	req := schemas.Request{RequestID: "r", UserID: "ada", Candidates: []string{"film-2", "film-1"}, RequestedAt: at}
	s.Offer(&req, nil, at)
	req.Candidates[0] = "used again" // as the next batch does
	select {
	case <-full:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was stored")
	}
	stop()
	got := fmt.Sprint(len(store.rows), s.Scored(), s.Dropped())
	for _, d := range store.rows {
		got += fmt.Sprint(" ", d.RequestID, " ", *d.Experiment, " ", d.Tier, " ", d.Degraded, " ", d.Considered, " ", d.ScoredAt.Equal(at))
	}
	if want := "2 2 0 r {trial next} model [] 2 true r {trial lost} popular [model_missing previous_missing no_history] 2 true"; got != want {
		t.Errorf("stored\n %s\nwant\n %s", got, want)
	}
}

// More than the queue takes is dropped, at once, and counted; so is what cannot be stored.
func TestShadowsAreDropped(t *testing.T) {
	var log bytes.Buffer
	store := &shelf{fail: errors.New("away")}
	s := New(newEngine(t), store, slog.New(slog.NewTextHandler(&log, nil)))
	req := schemas.Request{RequestID: "r", UserID: "ada"}
	for range queueLength + 7 {
		s.Offer(&req, nil, at)
	}
	if s.Dropped() != 7 {
		t.Errorf("%d dropped, want 7", s.Dropped())
	}
	s.flush(t.Context(), s.score(<-s.queue, nil))
	if s.Dropped() != 9 || s.Scored() != 0 || !bytes.Contains(log.Bytes(), []byte("not stored")) {
		t.Errorf("%d dropped, %d scored, log %s", s.Dropped(), s.Scored(), log.String())
	}
}

// Requests with long lists are dropped before they fill the memory.
func TestQueueIsBoundedInBytes(t *testing.T) {
	s := New(newEngine(t), &shelf{}, slog.New(slog.DiscardHandler))
	req := schemas.Request{RequestID: "r", Candidates: make([]string, schemas.MaxCandidates)}
	for range queueLength / 2 {
		s.Offer(&req, nil, at)
	}
	if n := int64(len(s.queue)) * sizeOf(&req); s.Dropped() == 0 || n > queueBytes || n < queueBytes/2 {
		t.Errorf("%d bytes queued, %d requests dropped", n, s.Dropped())
	}
}

// A request that is offered keeps nothing of the caller's slices.
func TestOfferCopies(t *testing.T) {
	s := New(newEngine(t), &shelf{}, slog.New(slog.DiscardHandler))
	req := schemas.Request{RequestID: "r", Candidates: []string{"a"}, Exclude: []string{"b"}, Pins: []string{"c"}}
	want := schemas.Request{RequestID: "r", Candidates: []string{"a"}, Exclude: []string{"b"}, Pins: []string{"c"}}
	s.Offer(&req, nil, at)
	req.Candidates[0], req.Exclude[0], req.Pins[0] = "x", "x", "x"
	if got := (<-s.queue).request; !reflect.DeepEqual(got, want) {
		t.Errorf("queued %+v", got)
	}
}
