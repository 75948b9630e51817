package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/model"
)

// ModelStore gives models the ids that decisions refer to.
type ModelStore interface {
	RegisterModel(context.Context, schemas.ModelRef, postgres.ModelInfo) (int32, error)
}

// Model gives an engine the model of a file, whenever the file has changed. A file that is missing or
// refused takes the model away, with its reason, until there is a good one: a result never claims a model
// that is not the file's.
type Model struct {
	Path     string // "" is no model
	Name     string // of the model; "" is the file's
	Version  string // "" is from the file's SHA-256
	SHA256   string // that the file must have; "" is any
	Store    ModelStore
	Engine   *scoring.Engine
	Interval time.Duration
	Log      *slog.Logger

	seen    stamp
	looked  bool
	pending *model.Model // loaded, and waiting for its id
	serving *model.Model // the last that was put into force
	refusal string       // of the file, as it was logged; "" for none
}

// stamp tells whether a file has changed. Two writes within the clock's grain differ in size, in inode, or in
// what they hold; the last is found at the next change.
type stamp struct {
	size int64
	time time.Time
	file fs.FileInfo // identity; nil where there is no file
	// bundle is the files' of a bundle, "" of a plain file.
	bundle string
}

// Run looks for changes until ctx ends.
func (m *Model) Run(ctx context.Context) {
	loop(ctx, m.Interval, nil, m.Log, "the model", m.Refresh)
}

// Refresh looks once. The error says that a good model could not be registered; a bad file is logged, not returned.
func (m *Model) Refresh(ctx context.Context) error {
	if m.Path == "" {
		return nil
	}
	if now := m.stat(); !m.looked || !now.equal(m.seen) {
		m.looked, m.seen = true, now
		m.load()
	}
	return m.activate(ctx)
}

func (m *Model) stat() stamp {
	info, err := os.Stat(m.Path)
	if err != nil {
		return stamp{}
	}
	s := stamp{size: info.Size(), time: info.ModTime(), file: info}
	if info.IsDir() {
		s.bundle = bundleStamp(m.Path)
	}
	return s
}

func (s stamp) equal(other stamp) bool {
	if s.file == nil || other.file == nil {
		return s.file == nil && other.file == nil
	}
	return s.size == other.size && s.time.Equal(other.time) && s.bundle == other.bundle && os.SameFile(s.file, other.file)
}

// load reads the file. Where it cannot be used, the model that was in force goes on as the previous one.
func (m *Model) load() {
	loaded, err := m.read()
	m.pending = loaded
	if err == nil {
		m.refusal = ""
		return
	}
	reason := schemas.ReasonModelLoadFailed
	if refused, ok := errors.AsType[*model.LoadError](err); ok {
		reason = refused.Reason
	}
	_ = m.Engine.Deploy(context.Background(), scoring.Deployment{Reason: reason, Previous: m.serving}) // nothing is built that could fail
	if err.Error() != m.refusal {
		m.refusal = err.Error()
		m.Log.Error("model not in force, the tiers below it answer", "previous", m.serving != nil, keyReason, reason, keyError, err)
	}
	// A file that could not be read, for want of a permission or by a disk's fault, becomes readable unchanged.
	if _, unreadable := errors.AsType[*fs.PathError](err); unreadable && reason != schemas.ReasonModelMissing {
		m.looked = false
	}
}

func (m *Model) read() (*model.Model, error) {
	loaded, err := model.Load(m.Path)
	if err != nil {
		return nil, err
	}
	if m.SHA256 != "" && loaded.Ref.SHA256 != m.SHA256 {
		return nil, fmt.Errorf("load model %s: its SHA-256 is %s, model.sha256 wants %s", m.Path, loaded.Ref.SHA256, m.SHA256)
	}
	if m.Name != "" {
		loaded.Ref.Name = m.Name
	}
	if m.Version != "" {
		loaded.Ref.Version = m.Version
	}
	return loaded, nil
}

// activate puts a loaded model into force once the ledger knows it.
func (m *Model) activate(ctx context.Context) error {
	if m.pending == nil {
		return nil
	}
	id, err := m.Store.RegisterModel(ctx, m.pending.Ref, InfoOf(m.pending))
	if err != nil {
		return err
	}
	m.pending.Ref.ID = id
	if err := m.Engine.Deploy(ctx, scoring.Deployment{Model: m.pending, Previous: m.serving}); err != nil {
		return err
	}
	m.serving = m.pending
	m.Log.Info("model in force", keyModel, m.pending.Ref.Name, keyVersion, m.pending.Ref.Version, keySHA256, m.pending.Ref.SHA256)
	logEvaluators(m.Log, m.Engine)
	m.pending = nil
	return nil
}
