package upkeep

import (
	"context"
	"log/slog"
	"time"
)

// Follow takes up something that is kept in the database whenever its version there is another one.
type Follow struct {
	What     string // for the log, such as "the editorial lists"
	Version  func(context.Context) (string, error)
	Take     func(context.Context) error
	Interval time.Duration
	Log      *slog.Logger

	taken   bool
	version string // that was taken up last
}

// Run looks for changes until ctx ends.
func (f *Follow) Run(ctx context.Context) { loop(ctx, f.Interval, nil, f.Log, f.What, f.Refresh) }

// Refresh looks once.
func (f *Follow) Refresh(ctx context.Context) error {
	version, err := f.Version(ctx)
	if err != nil || f.taken && version == f.version {
		return err
	}
	if err := f.Take(ctx); err != nil {
		return err
	}
	f.taken, f.version = true, version
	f.Log.Debug("taken up", "what", f.What, keyVersion, version)
	return nil
}
