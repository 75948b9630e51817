package upkeep

import (
	"context"
	"log/slog"
	"time"

	"recstream/schemas"
	"recstream/scoring"
	"recstream/scoring/catalog"
)

// CatalogStore is where the catalogue is kept.
type CatalogStore interface {
	CatalogVersion(context.Context) (int64, error)
	Catalog(context.Context) (items []schemas.Item, version int64, err error)
}

// Catalog gives an engine the stored catalogue, whenever that has changed.
type Catalog struct {
	Store    CatalogStore
	Engine   *scoring.Engine
	Rules    catalog.Rules // those of the engine's parameters
	Interval time.Duration
	Log      *slog.Logger

	version int64 // in force; 0 before the first
}

// Run looks for changes until ctx ends.
func (c *Catalog) Run(ctx context.Context) {
	loop(ctx, c.Interval, c.Log, "reading the catalogue", c.Refresh)
}

// Refresh looks once: where the stored version differs from the one in force, it is read and put into force.
func (c *Catalog) Refresh(ctx context.Context) error {
	version, err := c.Store.CatalogVersion(ctx)
	if err != nil || version == c.version {
		return err
	}
	items, version, err := c.Store.Catalog(ctx)
	if err != nil {
		return err
	}
	snapshot, err := catalog.New(items, version, c.Rules)
	if err != nil {
		return err
	}
	if err := c.Engine.SetCatalog(ctx, snapshot); err != nil {
		return err
	}
	c.version = version
	c.Log.Info("catalogue in force", keyVersion, version, keyItems, len(items))
	return nil
}
