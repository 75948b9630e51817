package upkeep

import (
	"context"
	"log/slog"
	"time"

	"recstream/internal/postgres"
	"recstream/scoring"
)

// tierQueue is how many changes wait to be stored; more are logged only.
const tierQueue = 256

// lastChanges is how long the changes that wait may take to be stored at the end.
const lastChanges = 2 * time.Second

// TierStore keeps what became of the tiers.
type TierStore interface {
	RecordTierChange(context.Context, postgres.TierChange) error
}

// Tiers logs and stores when a tier is left alone, tried again, and trusted again.
type Tiers struct {
	store    TierStore
	instance string
	log      *slog.Logger
	queue    chan scoring.TierChange
}

// NewTiers returns one that stores under the name of an instance.
func NewTiers(store TierStore, instance string, log *slog.Logger) *Tiers {
	return &Tiers{store: store, instance: instance, log: log, queue: make(chan scoring.TierChange, tierQueue)}
}

// Note takes a change and does not wait.
func (t *Tiers) Note(c scoring.TierChange) {
	level := slog.LevelWarn
	if c.To == "closed" {
		level = slog.LevelInfo
	}
	args := []any{"tier", c.Tier, "from", c.From, "to", c.To, keyReason, c.Reason}
	if c.Model != nil {
		args = append(args, keyModel, c.Model.Name, keyVersion, c.Model.Version)
	}
	t.log.Log(context.Background(), level, "tier changed", args...)
	select {
	case t.queue <- c:
	default:
		t.log.Warn("a change of a tier is not stored: too many wait", "tier", c.Tier)
	}
}

// Run stores changes until ctx ends, and then what waits, if that is quick. What cannot be stored is logged.
func (t *Tiers) Run(ctx context.Context) {
	for {
		select {
		case c := <-t.queue:
			t.record(ctx, c)
		case <-ctx.Done():
			t.recordLast(ctx)
			return
		}
	}
}

func (t *Tiers) recordLast(ended context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), lastChanges)
	defer cancel()
	for len(t.queue) > 0 {
		t.record(ctx, <-t.queue)
	}
}

func (t *Tiers) record(ctx context.Context, c scoring.TierChange) {
	change := postgres.TierChange{At: c.At, Instance: t.instance, Tier: c.Tier, Model: c.Model,
		From: string(c.From), To: string(c.To), Reason: c.Reason}
	if err := t.store.RecordTierChange(ctx, change); err != nil && ctx.Err() == nil {
		t.log.Warn("a change of a tier is not stored", "tier", c.Tier, keyError, err)
	}
}
