package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"recstream/internal/logbook"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

const (
	testdata  = "../../scoring/model/testdata/"
	goodModel = "../demo/data/model.txt"
	other     = testdata + "other.txt"
)

// registry gives models ids from 1 on.
type registry struct {
	refs []schemas.ModelRef
	fail error
}

func (r *registry) RegisterModel(_ context.Context, ref schemas.ModelRef, _ postgres.ModelInfo) (int32, error) {
	if r.fail != nil {
		return 0, r.fail
	}
	r.refs = append(r.refs, ref)
	return int32(len(r.refs)), nil
}

// fixture is a model upkeep over a file of the test's own and an engine with two films.
type fixture struct {
	*Model
	store *registry
	book  *logbook.Book
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	c := newCatalog(t, &shelf{version: 1, items: []schemas.Item{
		{ID: "a", Title: "A", Genres: []string{"Comedy"}, DurationMin: 90, Year: 1990, Popularity: 1},
		{ID: "b", Title: "B", Genres: []string{"Drama"}, DurationMin: 150, Year: 2010, Popularity: 2},
	}})
	must(t, c.Refresh(t.Context()))
	f := fixture{store: &registry{}, book: &logbook.Book{}}
	f.Model = &Model{Path: filepath.Join(t.TempDir(), "model.txt"), Store: f.store, Engine: c.Engine, Interval: time.Hour, Log: f.book.Logger()}
	return f
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

// install puts a file in place as a careful operator does: beside, then renamed.
func (f fixture) install(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(f.Path+".new", read(t, path), 0o644))
	must(t, os.Rename(f.Path+".new", f.Path))
}

func sum(t *testing.T, path string) string {
	digest := sha256.Sum256(read(t, path))
	return hex.EncodeToString(digest[:])
}

// inForce returns what a decision says: the model's SHA-256, or why there is none, and that of the previous one.
func inForce(t *testing.T, e *scoring.Engine) string {
	t.Helper()
	d := decide(t, e)
	switch {
	case d.Tier == schemas.TierPrevious:
		return string(d.Degraded[0]) + ", before it " + d.Model.SHA256
	case d.Model != nil:
		return d.Model.SHA256
	case len(d.Degraded) > 0:
		return string(d.Degraded[0])
	}
	return ""
}

func (f fixture) expect(t *testing.T, what, want string) {
	t.Helper()
	must(t, f.Refresh(t.Context()))
	if got := inForce(t, f.Engine); got != want {
		t.Errorf("%s: in force is %s, want %s", what, got, want)
	}
}

func TestModelFollowsItsFile(t *testing.T) {
	f := newFixture(t)
	good, second := sum(t, goodModel), sum(t, other)
	f.expect(t, "no file", "model_missing")
	f.install(t, goodModel)
	f.expect(t, "good", good)
	f.install(t, other)
	f.expect(t, "swapped", second)
	f.install(t, testdata+"without_year.txt")
	f.expect(t, "other features", "feature_mismatch, before it "+second)
	f.install(t, testdata+"multiclass.txt")
	f.expect(t, "another objective", "model_load_failed, before it "+second)
	f.install(t, goodModel)
	f.expect(t, "good again", good)
	must(t, os.Remove(f.Path))
	f.expect(t, "removed", "model_missing, before it "+good)
	f.install(t, goodModel)
	f.expect(t, "back", good)
	must(t, f.Refresh(t.Context()))
	if n := f.book.Count("model in force"); n != 4 || len(f.store.refs) != 4 {
		t.Errorf("logged %d and registered %d models, want 4", n, len(f.store.refs))
	}
}

func TestHalfWrittenModelIsTakenWhenItIsComplete(t *testing.T) {
	f := newFixture(t)
	text := read(t, goodModel)
	must(t, os.WriteFile(f.Path, text[:len(text)/2], 0o644))
	f.expect(t, "half", "model_load_failed")
	f.expect(t, "half, still", "model_load_failed")
	if n := f.book.Count("model not in force"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	file, err := os.OpenFile(f.Path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.Write(text[len(text)/2:])
	must(t, errors.Join(err, file.Close()))
	f.expect(t, "complete", sum(t, goodModel))
}

func TestModelMustHaveTheConfiguredSHA256(t *testing.T) {
	f := newFixture(t)
	f.SHA256 = sum(t, goodModel)
	f.install(t, other)
	f.expect(t, "another file", "model_load_failed")
	f.install(t, goodModel)
	f.expect(t, "the file", f.SHA256)
}

func TestModelIsNamedByTheConfiguration(t *testing.T) {
	for name, test := range map[string]struct{ name, version, wantName, wantVersion string }{
		"by the file":          {"", "", "model", sum(t, goodModel)[:12]},
		"by the configuration": {"films", "7", "films", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Name, f.Version = test.name, test.version
			f.install(t, goodModel)
			must(t, f.Refresh(t.Context()))
			want := schemas.ModelRef{Name: test.wantName, Version: test.wantVersion, SHA256: sum(t, goodModel)}
			if !slices.Equal(f.store.refs, []schemas.ModelRef{want}) {
				t.Errorf("registered %+v, want %+v", f.store.refs, want)
			}
			want.ID = 1
			if d := decide(t, f.Engine); d.Model == nil || *d.Model != want {
				t.Errorf("decision by %+v, want %+v", d.Model, want)
			}
		})
	}
}

func TestModelWaitsForItsID(t *testing.T) {
	f := newFixture(t)
	f.store.fail = errors.New("database is away")
	f.install(t, goodModel)
	for range 2 {
		if err := f.Refresh(t.Context()); !errors.Is(err, f.store.fail) {
			t.Errorf("error %v, want %v", err, f.store.fail)
		}
	}
	if got := inForce(t, f.Engine); got != "model_missing" {
		t.Errorf("in force is %s before the model has an id", got)
	}
	f.store.fail = nil
	f.expect(t, "registered", sum(t, goodModel))
	// The file goes while its model waits.
	f.store.fail = errors.New("database is away")
	f.install(t, other)
	_ = f.Refresh(t.Context())
	must(t, os.Remove(f.Path))
	f.store.fail = nil
	f.expect(t, "removed while it waited", "model_missing, before it "+sum(t, goodModel))
}

func TestNoPathIsNoModel(t *testing.T) {
	f := newFixture(t)
	f.Path = ""
	f.expect(t, "no path", "model_missing")
	if f.book.Count("level=ERROR") != 0 {
		t.Error("an instance that wants no model complains")
	}
}

// A bundle that is looked at while it is written is looked at again when it is whole.
func TestBundleThatIsWrittenInPlace(t *testing.T) {
	f := newFixture(t)
	d := &Deployment{Models: model.Store{Dir: t.TempDir()}}
	bundle(t, d, "1", goodModel)
	f.Path = d.Models.Path("films", "1")
	whole := read(t, filepath.Join(f.Path, "model.txt"))
	must(t, os.WriteFile(filepath.Join(f.Path, "model.txt"), whole[:len(whole)/2], 0o600))
	must(t, f.Refresh(t.Context()))
	if got := decide(t, f.Engine); got.Model != nil || got.Degraded[0] != schemas.ReasonModelLoadFailed {
		t.Errorf("half a bundle: %+v", got)
	}
	must(t, os.WriteFile(filepath.Join(f.Path, "model.txt"), whole, 0o600))
	must(t, f.Refresh(t.Context()))
	if got := decide(t, f.Engine); got.Model == nil || got.Model.Name != "films" || got.Model.Version != "1" {
		t.Errorf("the whole bundle: %+v", got)
	}
}
