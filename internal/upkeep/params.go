package upkeep

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"recstream/internal/config"
	"recstream/scoring"
)

// ConfigStore keeps the text of parameters under their version.
type ConfigStore interface {
	SaveConfig(ctx context.Context, version, text string) error
}

// ParamsEngine is what parameters are given to.
type ParamsEngine interface {
	ConfigVersion() string
	SetParams(context.Context, scoring.Params) error
}

// settle is how long a changed file has to stay as it is before it is read for good: it may be half written.
const settle = 100 * time.Millisecond

// Params gives an engine the scoring parameters of a file, whenever they have changed. A file that is missing or
// has a mistake leaves those in force. Whatever comes into force has its text in the store before.
type Params struct {
	Path     string // "" is no file: the text stays
	Text     []byte // of the parameters that the engine begins with
	Store    ConfigStore
	Engine   ParamsEngine
	Interval time.Duration
	Hangups  <-chan os.Signal // each makes Run look at once; nil is none
	Log      *slog.Logger

	began   bool     // what the engine begins with is, or was, pending
	seen    []byte   // the text that was judged last; nil looks again
	pending *pending // good, and not in force or not in the store yet

	mu    sync.Mutex
	state ParamsState
}

// pending are parameters on their way to the engine.
type pending struct {
	params  scoring.Params
	version string
	text    []byte
}

// ParamsState says which parameters are in force, and what is wrong with the file.
type ParamsState struct {
	File    string // "" is none
	Version string // in force, and stored; "" before the first
	Refused string // why the file, as it stands, is not in force; "" if it is
}

// State returns how things stand. It may be called from any goroutine.
func (p *Params) State() ParamsState {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.state
	state.File = p.Path
	return state
}

// Run looks for changes until ctx ends.
func (p *Params) Run(ctx context.Context) {
	loop(ctx, p.Interval, p.Hangups, p.Log, "the scoring parameters", p.Refresh)
}

// Refresh looks once. The error says that good parameters could not be stored or put into force; they wait for the
// next look. A file that cannot be used is logged, not returned.
func (p *Params) Refresh(ctx context.Context) error {
	if !p.began {
		p.began, p.seen, p.pending = true, p.Text, p.first()
	}
	if p.Path != "" {
		p.look(ctx)
	}
	return p.activate(ctx)
}

// look reads the file, and judges what it has not seen yet.
func (p *Params) look(ctx context.Context) {
	text, err := config.ReadScoring(p.Path)
	if err != nil {
		p.seen = nil
		p.giveUp(err)
		return
	}
	if p.seen != nil && bytes.Equal(text, p.seen) || !p.settled(ctx, text) {
		return
	}
	p.seen = text
	params, err := config.ParseScoring(p.Path, text)
	if err != nil {
		p.giveUp(err)
		return
	}
	p.refuse(nil)
	p.pending = &pending{params, params.Version(), text}
}

// first is what the engine begins with.
func (p *Params) first() *pending {
	return &pending{version: p.Engine.ConfigVersion(), text: p.Text}
}

// giveUp drops what is pending, as the file says it no more. What the engine began with is stored all the same, if
// nothing is yet: no instance decides under a version that nobody can look up.
func (p *Params) giveUp(err error) {
	p.refuse(err)
	p.pending = nil
	if p.State().Version == "" {
		p.pending = p.first()
	}
}

// settled reports whether the file still has that text a moment later.
func (p *Params) settled(ctx context.Context, text []byte) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(settle):
	}
	again, err := config.ReadScoring(p.Path)
	return err == nil && bytes.Equal(again, text)
}

// refuse notes why the file is not in force, nil for a good one, and logs what is new.
func (p *Params) refuse(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	p.mu.Lock()
	before := p.state.Refused
	p.state.Refused = text
	p.mu.Unlock()
	switch {
	case text == before:
	case err != nil:
		p.Log.Error("scoring parameters refused, those before stay in force", keyFile, p.Path,
			keyConfig, p.Engine.ConfigVersion(), keyError, err)
	default:
		p.Log.Info("scoring parameters are good again", keyFile, p.Path)
	}
}

// activate stores what is pending, then puts it into force.
func (p *Params) activate(ctx context.Context) error {
	next := p.pending
	if next == nil {
		return nil
	}
	if err := p.Store.SaveConfig(ctx, next.version, string(next.text)); err != nil {
		return err
	}
	if before := p.Engine.ConfigVersion(); next.version != before {
		if err := p.Engine.SetParams(ctx, next.params); err != nil {
			return err
		}
		p.Log.Info("scoring parameters in force", keyFile, p.Path, keyConfig, next.version, "before", before)
	}
	p.pending = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Version = next.version
	return nil
}
