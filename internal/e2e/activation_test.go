package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/internal/upkeep"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// putBundle puts a bundle of the seventeen features into the stack's store.
func (s *stack) putBundle(t *testing.T, version, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := model.Parse("films", data)
	if err != nil {
		t.Fatal(err)
	}
	manifest := model.Manifest{Name: "films", Version: version, File: filepath.Base(path), Format: string(plain.Forest().Format()),
		Objective: plain.Forest().Objective(), SHA256: model.Digest(data), Features: feature.Default().Features}
	text, err := manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := s.store().Path("films", version)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, manifest.File), data, 0o600),
		os.WriteFile(filepath.Join(dir, model.ManifestFile), text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) store() model.Store { return model.Store{Dir: filepath.Join(s.dir, "models")} }

// withStore makes the program take its models from the stack's store.
func (s *stack) withStore() {
	s.env = append(s.env, "RECSTREAM_MODEL_PATH=", "RECSTREAM_MODEL_STORE="+s.store().Dir)
}

// activate makes a version the active one.
func (s *stack) activate(t *testing.T, version string) {
	t.Helper()
	m, err := s.store().Open("films", version)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	if m.Ref.ID, err = s.db.RegisterModel(ctx, m.Ref, upkeep.InfoOf(m)); err != nil {
		t.Fatal(err)
	}
	last, err := s.db.ActiveModel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	from := int64(0)
	if last != nil {
		from = last.ID
	}
	change := postgres.ModelChange{Actor: "test", Action: postgres.ActionActivate, To: &m.Ref}
	if _, err := s.db.ChangeModel(ctx, from, change); err != nil {
		t.Fatal(err)
	}
}

// awaitServed waits until an instance has answered requests with the active model.
func (s *stack) awaitServed(t *testing.T) {
	t.Helper()
	eventually(t, "an instance that serves with the active model", func() (bool, string) {
		active, err := s.db.ActiveModel(t.Context())
		return err == nil && !active.ServedAt.IsZero(), fmt.Sprint(active, err)
	})
}

// activations is how often TestActivationsUnderLoad changes the model; E2E_ACTIVATIONS says otherwise.
func activations(t *testing.T) int {
	t.Helper()
	text := os.Getenv("E2E_ACTIVATIONS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestActivationsUnderLoad changes the active model again and again while requests stream through an instance
// that was built with the race detector. No request is lost, and each row names the model that scored it.
func TestActivationsUnderLoad(t *testing.T) {
	s := newApacheStack(t)
	racing := filepath.Join(s.dir, "recstream-race")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", racing, "recstream/cmd/recstream").CombinedOutput(); err != nil {
		t.Fatalf("build recstream: %v\n%s", err, out)
	}
	s.putBundle(t, "1", "../demo/data/model.txt")
	s.putBundle(t, "2", "../../scoring/model/testdata/other.txt")
	s.withStore()
	s.activate(t, "1")
	i := s.serveProgram(t, racing, "GORACE=halt_on_error=1")
	load := s.startLoad(t)
	for n := range activations(t) {
		s.activate(t, fmt.Sprint(1+(n+1)%2))
		s.awaitServed(t)
	}
	published := load()
	s.awaitCommitted(t)
	i.stop(t)
	byVersion := s.checkScores(t, published)
	t.Logf("%d activations, %d requests, by model version %v", activations(t), published, byVersion)
	if byVersion["1"] == 0 || byVersion["2"] == 0 {
		t.Error("one of the models never scored")
	}
	s.checkLedger(t, &workload{good: published})
	results := 0
	for _, partition := range readTopic(t, s, s.results(), func(m kafka.Message) int64 { return m.Offset }) {
		results += len(partition)
	}
	if results != published {
		t.Errorf("%d results of %d requests", results, published)
	}
}

// startLoad publishes requests, with some thousands always waiting, until the function that it returns is called,
// which says how many.
func (s *stack) startLoad(t *testing.T) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	w := s.writer()
	var running sync.WaitGroup
	running.Go(func() {
		defer w.Close()
		for ctx.Err() == nil {
			messages := make([]kafka.Message, 200)
			for i := range messages {
				messages[i] = goodMessage(n + i)
			}
			if err := w.WriteMessages(t.Context(), messages...); err != nil {
				t.Error(err)
				return
			}
			n += len(messages)
			s.awaitBacklogBelow(ctx, t, n, 5000)
		}
	})
	return func() int {
		cancel()
		running.Wait()
		return n
	}
}

// awaitBacklogBelow waits until fewer than that many of the published requests have no row yet, or ctx ends.
func (s *stack) awaitBacklogBelow(ctx context.Context, t *testing.T, published, backlog int) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		var stored int
		if err := s.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM decisions`).Scan(&stored); err != nil {
			t.Error(err)
			return
		}
		if published-stored < backlog {
			return
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// checkScores decides every stored request again, with the model that its row names, and returns the rows by the
// model's version.
func (s *stack) checkScores(t *testing.T, published int) map[string]int {
	t.Helper()
	const chunk = 10_000
	scorers := map[string]*scoring.Scorer{"1": s.scorer(t, "1"), "2": s.scorer(t, "2")}
	byVersion := map[string]int{}
	for from := 0; from < published; from += chunk {
		for id, row := range s.findRows(t, from, min(from+chunk, published)) {
			if row.Model == nil {
				t.Fatalf("request %s: row %+v", id, row)
			}
			byVersion[row.Model.Version]++
			req := schemas.Request{RequestID: id, UserID: row.UserID, Context: row.Context, RequestedAt: row.RequestedAt}
			var want schemas.Decision
			if err := scorers[row.Model.Version].Decide(&req, nil, &want); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(row.Items, want.Items) {
				t.Fatalf("request %s names model %s, which decides\n%+v, not\n%+v", id, row.Model.Version, want.Items, row.Items)
			}
		}
	}
	return byVersion
}

// findRows returns the rows of the requests from one up to another, all of which are there.
func (s *stack) findRows(t *testing.T, from, to int) map[string]*schemas.Decision {
	t.Helper()
	ids := make([]string, to-from)
	for i := range ids {
		ids[i] = fmt.Sprintf("r-%06d", from+i)
	}
	found, err := postgres.NewLedger(s.db, s.name, time.Hour).Find(within(t), ids, time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(ids) {
		t.Fatalf("%d rows of the requests from %d to %d", len(found), from, to)
	}
	return found
}

// scorer decides as an instance with that version does.
func (s *stack) scorer(t *testing.T, version string) *scoring.Scorer {
	t.Helper()
	m, err := s.store().Open("films", version)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := scoring.New(scoring.DefaultParams(), scoring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	items, itemsVersion, err := s.db.Catalog(within(t))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.New(items, itemsVersion, catalog.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(engine.SetCatalog(t.Context(), snapshot), engine.Deploy(t.Context(), scoring.Deployment{Model: m})); err != nil {
		t.Fatal(err)
	}
	return engine.NewScorer()
}
