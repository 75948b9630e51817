package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"recstream/internal/postgres"
)

// partitionInterval is how often the ledger's partitions are looked after. They are made days ahead.
const partitionInterval = time.Hour

// Partitions makes the ledger's day partitions ahead of time and drops those past their retention, and with them
// the shadow decisions, the changes of tiers and the versions of the catalogue of that age. It drops what has faded away
// of popularity too, and the replays past theirs.
type Partitions struct {
	Database           *postgres.Database
	Keep               postgres.Partitions
	KeepReplay         time.Duration // replays that do not run are deleted that long after they were created; 0 keeps all
	PopularityHalfLife time.Duration // above 0
	Now                func() time.Time
	Log                *slog.Logger
}

// Run looks after the partitions, and then the replays, until ctx ends.
func (p *Partitions) Run(ctx context.Context) {
	loop(ctx, partitionInterval, nil, p.Log, "looking after the ledger's partitions", func(ctx context.Context) error {
		return errors.Join(p.Maintain(ctx), p.dropReplays(ctx))
	})
}

// dropReplays deletes the replays past their retention. It can take minutes, so nothing is to wait for it.
func (p *Partitions) dropReplays(ctx context.Context) error {
	if p.KeepReplay == 0 {
		return nil
	}
	dropped, err := p.Database.DropReplays(ctx, p.Now().Add(-p.KeepReplay))
	if len(dropped) > 0 {
		p.Log.Info("replays past their retention deleted", "run_ids", dropped)
	}
	return err
}

// Maintain looks once after all but the replays.
func (p *Partitions) Maintain(ctx context.Context) error {
	made, dropped, err := p.Database.MaintainPartitions(ctx, p.Now(), p.Keep)
	if made > 0 {
		p.Log.Info("ledger partitions made", "count", made)
	}
	if len(dropped) > 0 {
		p.Log.Info("ledger partitions past their retention dropped", "partitions", dropped)
	}
	counts, countsFailed := p.Database.DropPopularity(ctx, p.PopularityHalfLife)
	if counts > 0 {
		p.Log.Info("popularity that has faded or is of no item dropped", "count", counts)
	}
	return errors.Join(err, countsFailed, p.dropOld(ctx))
}

// dropOld drops the rows past the retention of tables without partitions.
func (p *Partitions) dropOld(ctx context.Context) error {
	if p.Keep.Retention == 0 {
		return nil
	}
	before := p.Now().Add(-p.Keep.Retention)
	shadows, shadowsFailed := p.Database.DropShadows(ctx, before)
	if shadows > 0 {
		p.Log.Info("shadow decisions past their retention dropped", "count", shadows)
	}
	changes, changesFailed := p.Database.DropTierChanges(ctx, before)
	if changes > 0 {
		p.Log.Info("changes of tiers past their retention dropped", "count", changes)
	}
	// The oldest day of the ledger begins up to a day before, and a decision's catalogue may be older than itself.
	versions, versionsFailed := p.Database.DropCatalogVersions(ctx, before.AddDate(0, 0, -2))
	if versions > 0 {
		p.Log.Info("versions of items past their retention dropped", "count", versions)
	}
	return errors.Join(shadowsFailed, changesFailed, versionsFailed)
}
