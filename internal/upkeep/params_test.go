package upkeep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/internal/logbook"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/experiment"
)

// drawer is where parameters are kept, and notes what happens to them in which order.
type drawer struct {
	mu    sync.Mutex
	texts map[string]string // by version
	steps []string
	fail  error

	refused string // a text that is never taken
}

func (d *drawer) SaveConfig(_ context.Context, version, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	if text == d.refused {
		return errors.New("no such text")
	}
	d.steps = append(d.steps, "save "+version)
	if _, ok := d.texts[version]; !ok {
		d.texts[version] = text
	}
	return nil
}

func (d *drawer) kept() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.texts
}

// watched is an engine that notes in a drawer what it is given, and says it on a channel.
type watched struct {
	*scoring.Engine
	drawer *drawer
	set    chan string
}

func (w watched) SetParams(ctx context.Context, params scoring.Params) error {
	w.drawer.mu.Lock()
	w.drawer.steps = append(w.drawer.steps, "set "+params.Version())
	w.drawer.mu.Unlock()
	err := w.Engine.SetParams(ctx, params)
	select {
	case w.set <- params.Version():
	default:
	}
	return err
}

// newParams is an upkeep of a file with that text, of a new engine.
func newParams(t *testing.T, text string) (*Params, *drawer, *logbook.Book) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scoring.yaml")
	write(t, path, text)
	params, _, err := config.LoadScoring(path)
	must(t, err)
	engine, err := scoring.New(params, scoring.Options{})
	must(t, err)
	book, store := new(logbook.Book), &drawer{texts: map[string]string{}}
	return &Params{Path: path, Text: []byte(text), Store: store, Engine: watched{engine, store, make(chan string, 1)},
		Interval: time.Hour, Log: book.Logger()}, store, book
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// versionOf is the version of the parameters that a text has.
func versionOf(t *testing.T, text string) string {
	t.Helper()
	params, err := config.ParseScoring("text", []byte(text))
	must(t, err)
	return params.Version()
}

func TestParamsFollowTheirFile(t *testing.T) {
	const first = "max_items: 9 # the first\n"
	p, store, book := newParams(t, first)
	nine := versionOf(t, first)
	for _, step := range []struct {
		name, text string // "" removes the file
		version    string // in force
		refused    string // in the state
		logged     string // once, after this step
	}{
		{"begin", first, nine, "", ""},
		{"changed", "max_items: 8\n", versionOf(t, "max_items: 8"), "", "in force"},
		{"wrong", "max_items: 0\nrank: {page: x}\n", versionOf(t, "max_items: 8"), "scoring.yaml:2", "2 mistakes"},
		{"still wrong", "max_items: 0\nrank: {page: x}\n", versionOf(t, "max_items: 8"), "scoring.yaml:1", "2 mistakes"},
		{"removed", "", versionOf(t, "max_items: 8"), "no such file", "no such file"},
		{"back as it was", "max_items: 8\n", versionOf(t, "max_items: 8"), "", "good again"},
		{"other comment", "max_items: 8 # few\n", versionOf(t, "max_items: 8"), "", ""},
		{"as at first", first, nine, "", "config_version=" + nine},
	} {
		if step.text == "" {
			must(t, os.Remove(p.Path))
		} else {
			write(t, p.Path, step.text)
		}
		must(t, p.Refresh(t.Context()))
		got := p.State()
		if got.Version != step.version || p.Engine.ConfigVersion() != step.version || got.File != p.Path {
			t.Errorf("%s: %+v with %s in force, want %s", step.name, got, p.Engine.ConfigVersion(), step.version)
		}
		if (got.Refused == "") != (step.refused == "") || !strings.Contains(got.Refused, step.refused) {
			t.Errorf("%s: refused for %q, want %q", step.name, got.Refused, step.refused)
		}
		if step.logged != "" && book.Count(step.logged) != 1 {
			t.Errorf("%s: %q is logged %d times", step.name, step.logged, book.Count(step.logged))
		}
	}
	if store.texts[nine] != first || len(store.texts) != 2 {
		t.Errorf("kept %v", store.texts)
	}
}

func TestParamsAreStoredBeforeTheyAreInForce(t *testing.T) {
	p, store, _ := newParams(t, "max_items: 9\n")
	must(t, p.Refresh(t.Context()))
	store.fail = errors.New("away")
	write(t, p.Path, "max_items: 8\n")
	if err := p.Refresh(t.Context()); !errors.Is(err, store.fail) {
		t.Errorf("error %v", err)
	}
	if nine := versionOf(t, "max_items: 9"); p.Engine.ConfigVersion() != nine || p.State().Version != nine {
		t.Error("parameters that are not stored are in force")
	}
	store.fail = nil
	must(t, p.Refresh(t.Context()))
	eight := versionOf(t, "max_items: 8")
	want := "save " + versionOf(t, "max_items: 9") + ", save " + eight + ", set " + eight
	if got := strings.Join(store.steps, ", "); got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
}

// TestParamsThatWaitAreGivenUp takes the store away, and changes the file to something bad before it is back.
func TestParamsThatWaitAreGivenUp(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *Params){
		"wrong":   func(t *testing.T, p *Params) { write(t, p.Path, "max_items: 0\n") },
		"no text": func(t *testing.T, p *Params) { write(t, p.Path, "max_items: 7 # \xff\n") },
		"removed": func(t *testing.T, p *Params) { must(t, os.Remove(p.Path)) },
	} {
		t.Run(name, func(t *testing.T) {
			p, store, _ := newParams(t, "max_items: 9\n")
			must(t, p.Refresh(t.Context()))
			store.fail = errors.New("away")
			write(t, p.Path, "max_items: 8\n")
			if err := p.Refresh(t.Context()); !errors.Is(err, store.fail) {
				t.Fatalf("error %v", err)
			}
			spoil(t, p)
			must(t, p.Refresh(t.Context()))
			store.fail = nil
			must(t, p.Refresh(t.Context()))
			nine := versionOf(t, "max_items: 9")
			if got := p.State(); p.Engine.ConfigVersion() != nine || got.Version != nine || got.Refused == "" || len(store.texts) != 1 {
				t.Errorf("%+v with %s in force, kept %v", got, p.Engine.ConfigVersion(), store.texts)
			}
			write(t, p.Path, "max_items: 8\n")
			must(t, p.Refresh(t.Context()))
			if eight := versionOf(t, "max_items: 8"); p.State().Version != eight {
				t.Errorf("mended: %+v, want %s", p.State(), eight)
			}
		})
	}
}

// TestParamsAreMendedBeforeTheFirstAreStored has a first text that the store never takes.
func TestParamsAreMendedBeforeTheFirstAreStored(t *testing.T) {
	const first, mended = "max_items: 9\n", "max_items: 8\n"
	p, store, _ := newParams(t, first)
	store.refused = first
	if err := p.Refresh(t.Context()); err == nil {
		t.Fatal("the first text is taken")
	}
	write(t, p.Path, "max_items: 0\n")
	if err := p.Refresh(t.Context()); err == nil || p.State().Refused == "" {
		t.Fatalf("a bad file lets an instance begin with what is not stored: %v, %+v", err, p.State())
	}
	write(t, p.Path, mended)
	must(t, p.Refresh(t.Context()))
	if got := p.State(); got.Version != versionOf(t, mended) || p.Engine.ConfigVersion() != got.Version || got.Refused != "" {
		t.Errorf("%+v with %s in force", got, p.Engine.ConfigVersion())
	}
}

func TestParamsWithoutAFileAreStored(t *testing.T) {
	p, store, _ := newParams(t, "")
	params, text, err := config.LoadScoring("")
	must(t, err)
	p.Path, p.Text = "", text
	must(t, p.Refresh(t.Context()))
	must(t, p.Refresh(t.Context()))
	if len(store.steps) != 1 || store.texts[params.Version()] != string(text) {
		t.Errorf("steps %v, kept %v", store.steps, store.texts)
	}
}

func TestParamsThatAreBeingWrittenAreLeft(t *testing.T) {
	p, _, _ := newParams(t, "max_items: 9\n")
	if p.settled(t.Context(), []byte("max_items: ")) {
		t.Error("a text that is not the file's any more is taken for settled")
	}
	if !p.settled(t.Context(), []byte("max_items: 9\n")) {
		t.Error("the file's text is not settled")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if p.settled(ended, []byte("max_items: 9\n")) {
		t.Error("settled without waiting")
	}
}

// TestParamsChangeUnderLoad changes the file while scorers decide: each decision is whole under one of the versions,
// none fails, and the last one is seen in the end.
func TestParamsChangeUnderLoad(t *testing.T) {
	p, store, _ := newParams(t, "max_items: 1\n")
	engine := p.Engine.(watched)
	catalog := &Catalog{Store: &shelf{version: 1, items: []schemas.Item{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}},
		Engine: engine.Engine, Log: p.Log}
	must(t, catalog.Refresh(t.Context()))
	must(t, p.Refresh(t.Context()))
	hangups := make(chan os.Signal, 1)
	p.Hangups = hangups
	items := map[string]int{versionOf(t, "max_items: 1"): 1, versionOf(t, "max_items: 2"): 2, versionOf(t, "max_items: 3"): 3}
	last := versionOf(t, "max_items: 3")

	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	loops.Go(func() { p.Run(ctx) })
	sawLast := make(chan struct{}, 2)
	for range 2 {
		loops.Go(func() {
			for s := engine.NewScorer(); ctx.Err() == nil; {
				var d schemas.Decision
				if err := s.Decide(&schemas.Request{RequestID: "r", Limit: 10, RequestedAt: time.Unix(0, 0)}, nil, &d); err != nil {
					t.Errorf("decide: %v", err)
					return
				}
				if want, ok := items[d.ConfigVersion]; !ok || len(d.Items) != want {
					t.Errorf("%d items under %s, want %d", len(d.Items), d.ConfigVersion, want)
					return
				}
				if d.ConfigVersion == last {
					sawLast <- struct{}{}
					return
				}
			}
		})
	}
	for _, text := range []string{"max_items: 2\n", "max_items: 3\n"} {
		write(t, p.Path, text)
		hangups <- os.Interrupt // any signal: the interval is an hour
		select {
		case version := <-engine.set:
			if version != versionOf(t, text) {
				t.Fatalf("%s is in force, want that of %q", version, text)
			}
		case <-ctx.Done():
			t.Fatalf("%q is not in force before the deadline", text)
		}
	}
	for range 2 {
		select {
		case <-sawLast:
		case <-ctx.Done():
			t.Fatal("a scorer does not see the last parameters")
		}
	}
	if len(store.kept()) != 3 {
		t.Errorf("kept %v", store.kept())
	}
}

// TestDeploymentLaysVariantsOverNewParams changes the engine's parameters under a running experiment.
func TestDeploymentLaysVariantsOverNewParams(t *testing.T) {
	d, store, book := newDeployment(t)
	bundle(t, d, "1", goodModel)
	store.activate(t, "1", goodModel)
	store.run(t, experiment.Experiment{Name: "ab", Variants: []experiment.Variant{{Name: "a", Params: "fallback: {breaker: {failures: 30}}"}}})
	must(t, d.Refresh(t.Context()))
	versionOfVariant := func() string {
		var got schemas.Decision
		must(t, d.Engine.NewScorer().Decide(&schemas.Request{RequestID: "r", UserID: "ada"}, nil, &got))
		if got.Experiment == nil {
			return "none"
		}
		return got.ConfigVersion
	}
	expect := func(base, want string) {
		t.Helper()
		params, err := config.ParseScoring("base", []byte(base))
		must(t, err)
		must(t, d.Engine.SetParams(t.Context(), params))
		must(t, d.Refresh(t.Context()))
		if got := versionOfVariant(); got != want {
			t.Errorf("over %q the variant has the version %s, want %s", base, got, want)
		}
		if _, kept := store.configs[want]; !kept && want != "none" {
			t.Errorf("the text of %s is not kept", want)
		}
	}
	expect("", versionOf(t, "fallback: {breaker: {failures: 30}}"))
	expect("max_items: 5", versionOf(t, "max_items: 5\nfallback: {breaker: {failures: 30}}"))
	expect("fallback: {breaker: {window: 25}}", "none")
	if book.Count("experiment left out") != 1 {
		t.Errorf("log: %s", book)
	}
	expect("max_items: 4", versionOf(t, "max_items: 4\nfallback: {breaker: {failures: 30}}"))
}
