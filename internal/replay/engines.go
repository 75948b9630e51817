package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"recstream/internal/config"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
	"recstream/scoring/model"
)

// How many states of the past are kept at hand. An engine has evaluators, which are large; going back and forth
// between more of them builds them again.
const (
	keptEngines  = 8
	keptCatalogs = 4
	keptModels   = 8
)

// Past is where past states are kept.
type Past interface {
	ConfigText(ctx context.Context, version string) (text string, ok bool, err error)
	CatalogAt(ctx context.Context, version int64) ([]schemas.Item, error)
}

// era names what an engine is made of.
type era struct {
	State
	previous bool // the model is that of the tier previous_model
}

// gapError says what is not there to decide with.
type gapError struct {
	gap scoring.Gap
	err error // nil for nothing more to say
}

func (e *gapError) Error() string {
	if e.err == nil {
		return string(e.gap)
	}
	return fmt.Sprintf("%s: %v", e.gap, e.err)
}

// pinnedError says that the model which a plan names cannot be had any more: there is nothing to try.
type pinnedError struct {
	ref Ref
	err error
}

func (e *pinnedError) Error() string {
	return fmt.Sprintf("the model %s@%s that the replay is to try: %v", e.ref.Name, e.ref.Version, e.err)
}

func (e *pinnedError) Unwrap() error { return e.err }

// Transient is false: somebody has to put the model back, and resume.
func (e *pinnedError) Transient() bool { return false }

// engines makes the engines of past states, and keeps those that were used last.
type engines struct {
	past     Past
	opts     scoring.Options
	outcomes []schemas.ItemPopularity // the present ones: those of the past are not kept
	lists    []schemas.EditorialList  // the same
	pinned   *Model
	open     func(m *Model) (*model.Model, error)

	all      *cache[era, *scoring.Engine]
	catalogs *cache[int64, *catalog.Snapshot]
	models   *cache[Ref, *model.Model]
}

func newEngines(o *Options, pinned *Model) *engines {
	e := &engines{past: o.Store, opts: o.Scoring, pinned: pinned, open: o.OpenModel}
	e.all = newCache(keptEngines, e.build)
	e.catalogs = newCache(keptCatalogs, e.catalog)
	e.models = newCache(keptModels, e.model)
	return e
}

// of returns the engine of an era. The error is a *gapError for what is not kept, or of the moment.
func (e *engines) of(ctx context.Context, a era) (*scoring.Engine, error) { return e.all.get(ctx, a) }

func (e *engines) build(ctx context.Context, a era) (*scoring.Engine, error) {
	params, err := e.params(ctx, a.Config)
	if err != nil {
		return nil, err
	}
	engine, err := scoring.New(params, e.opts)
	if err != nil {
		return nil, &gapError{scoring.GapConfig, err}
	}
	snapshot, err := e.catalogs.get(ctx, a.Catalog)
	if err != nil {
		return nil, err
	}
	var d scoring.Deployment
	if a.Model != (Ref{}) {
		m, err := e.models.get(ctx, a.Model)
		switch {
		case err != nil:
			return nil, err
		case a.previous:
			d.Previous = m
		default:
			d.Model = m
		}
	}
	// The catalogue comes last: all is built then, and only once.
	return engine, errors.Join(engine.SetOutcomes(ctx, e.outcomes), engine.SetEditorial(ctx, e.lists),
		engine.Deploy(ctx, d), engine.SetCatalog(ctx, snapshot))
}

// params returns the parameters of a version. A text that has another version by now was written for a program that
// knew other parameters.
func (e *engines) params(ctx context.Context, version string) (scoring.Params, error) {
	text, ok, err := e.past.ConfigText(ctx, version)
	if err != nil {
		return scoring.Params{}, err
	}
	if !ok {
		return scoring.Params{}, &gapError{gap: scoring.GapConfig}
	}
	params, err := config.ParseScoring("config_version "+version, []byte(text))
	if err == nil && params.Version() != version {
		err = fmt.Errorf("this program gives these parameters the version %s", params.Version())
	}
	if err != nil {
		return scoring.Params{}, &gapError{scoring.GapConfig, err}
	}
	return params, nil
}

func (e *engines) catalog(ctx context.Context, version int64) (*catalog.Snapshot, error) {
	items, err := e.past.CatalogAt(ctx, version)
	if errors.Is(err, postgres.ErrNotKept) {
		return nil, &gapError{scoring.GapCatalog, err}
	}
	if err != nil {
		return nil, err
	}
	return catalog.New(items, version, catalog.DefaultRules()) // an engine applies its own rules
}

// model opens a model; decisions refer to it as live ones do. One that is not there or is another is a gap; one that
// could not be read may be read later.
func (e *engines) model(_ context.Context, ref Ref) (*model.Model, error) {
	wanted, pinned := &Model{Ref: ref}, e.pinned != nil && e.pinned.Ref == ref
	if pinned {
		wanted = e.pinned
	}
	m, err := e.open(wanted)
	if err == nil && m.Ref.SHA256 != ref.SHA256 {
		err = fmt.Errorf("its SHA-256 is %s, not %s", m.Ref.SHA256, ref.SHA256)
	}
	unread := (*fs.PathError)(nil)
	switch {
	case err != nil && pinned:
		return nil, &pinnedError{ref, err}
	case errors.As(err, &unread) && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, &gapError{scoring.GapModel, err}
	}
	m.Ref = schemas.ModelRef(ref)
	return m, nil
}
