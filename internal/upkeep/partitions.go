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

// Partitions makes the ledger's day partitions ahead of time and drops those past their retention, and shadow
// decisions of that age with them.
type Partitions struct {
	Database *postgres.Database
	Keep     postgres.Partitions
	Now      func() time.Time
	Log      *slog.Logger
}

// Run looks after the partitions until ctx ends.
func (p *Partitions) Run(ctx context.Context) {
	loop(ctx, partitionInterval, p.Log, "looking after the ledger's partitions", p.Maintain)
}

// Maintain looks once.
func (p *Partitions) Maintain(ctx context.Context) error {
	made, dropped, err := p.Database.MaintainPartitions(ctx, p.Now(), p.Keep)
	if made > 0 {
		p.Log.Info("ledger partitions made", "count", made)
	}
	if len(dropped) > 0 {
		p.Log.Info("ledger partitions past their retention dropped", "partitions", dropped)
	}
	if p.Keep.Retention == 0 {
		return err
	}
	shadows, failed := p.Database.DropShadows(ctx, p.Now().Add(-p.Keep.Retention))
	if shadows > 0 {
		p.Log.Info("shadow decisions past their retention dropped", "count", shadows)
	}
	return errors.Join(err, failed)
}
