package upkeep

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"recstream/internal/postgres"
	"recstream/scoring"
)

// tierQueue is how many changes wait to be logged and stored; what comes beyond is counted only.
const tierQueue = 256

// tierStoring is how long a change may take to be stored, as those behind it wait to be logged, and how long all that
// are left may take at the end.
const tierStoring = 2 * time.Second

// TierStore keeps what became of the tiers.
type TierStore interface {
	RecordTierChange(context.Context, postgres.TierChange) error
}

// Tiers logs and stores when a tier is left alone, tried again, and trusted again. Who notes a change waits neither
// for the log nor for the store: Run writes them.
type Tiers struct {
	store    TierStore
	instance string
	log      *slog.Logger
	queue    chan scoring.TierChange
	lost     atomic.Int64 // changes that found the queue full since it was last told
}

// NewTiers returns one that stores under the name of an instance.
func NewTiers(store TierStore, instance string, log *slog.Logger) *Tiers {
	return &Tiers{store: store, instance: instance, log: log, queue: make(chan scoring.TierChange, tierQueue)}
}

// Note takes a change and does not wait.
func (t *Tiers) Note(c scoring.TierChange) {
	select {
	case t.queue <- c:
	default:
		t.lost.Add(1)
	}
}

// Run logs and stores changes in their order until ctx ends, and then those that wait. What cannot be stored in time
// is logged all the same.
func (t *Tiers) Run(ctx context.Context) {
	storing, cancel := outliving(ctx, tierStoring)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case c := <-t.queue:
			t.record(storing, c)
		case <-ctx.Done():
		}
	}
	for len(t.queue) > 0 {
		t.record(storing, <-t.queue)
	}
}

// outliving returns a context that ends that long after ctx does.
func outliving(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return later, cancel
}

// record logs a change and stores it, and tells what was lost after it.
func (t *Tiers) record(ctx context.Context, c scoring.TierChange) {
	t.tell(c)
	ctx, cancel := context.WithTimeout(ctx, tierStoring)
	defer cancel()
	change := postgres.TierChange{At: c.At, Instance: t.instance, Tier: c.Tier, Model: c.Model, Variant: c.Variant,
		From: string(c.From), To: string(c.To), Reason: c.Reason}
	if err := t.store.RecordTierChange(ctx, change); err != nil {
		t.log.Warn("a change of a tier is not stored", "tier", c.Tier, keyError, err)
	}
	if lost := t.lost.Swap(0); lost > 0 {
		t.log.Warn("changes of tiers are neither logged nor stored: too many waited", "count", lost)
	}
}

func (t *Tiers) tell(c scoring.TierChange) {
	level := slog.LevelWarn
	if c.To == "closed" {
		level = slog.LevelInfo
	}
	args := []any{"tier", c.Tier, "from", c.From, "to", c.To, keyReason, c.Reason}
	if c.Model != nil {
		args = append(args, keyModel, c.Model.Name, keyVersion, c.Model.Version)
	}
	if c.Variant != "" {
		args = append(args, "variant", c.Variant)
	}
	t.log.Log(context.Background(), level, "tier changed", args...)
}
