package upkeep

import (
	"context"
	"log/slog"
	"sync/atomic"
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
	Interval time.Duration
	Log      *slog.Logger

	version int64 // in force; 0 before the first
	state   atomic.Pointer[CatalogState]
}

// Run looks for changes until ctx ends.
func (c *Catalog) Run(ctx context.Context) {
	loop(ctx, c.Interval, nil, c.Log, "reading the catalogue", c.Refresh)
}

// CatalogState says which catalogue is in force.
type CatalogState struct {
	Version int64     // 0 before the first
	Items   int       // of it
	Checked time.Time // when it was last found to be the stored one
}

// State returns how things stand. It may be called from any goroutine.
func (c *Catalog) State() CatalogState {
	if s := c.state.Load(); s != nil {
		return *s
	}
	return CatalogState{}
}

// Refresh looks once: where the stored version differs from the one in force, it is read and put into force.
func (c *Catalog) Refresh(ctx context.Context) error {
	version, err := c.Store.CatalogVersion(ctx)
	if err != nil {
		return err
	}
	if version == c.version {
		c.found(c.State().Items)
		return nil
	}
	items, version, err := c.Store.Catalog(ctx)
	if err != nil {
		return err
	}
	snapshot, err := catalog.New(items, version, c.Engine.Params().Rules)
	if err != nil {
		return err
	}
	if err := c.Engine.SetCatalog(ctx, snapshot); err != nil {
		return err
	}
	c.version = version
	c.found(len(items))
	c.Log.Info("catalogue in force", keyVersion, version, keyItems, len(items))
	return nil
}

// found notes that the version in force is the stored one.
func (c *Catalog) found(items int) {
	c.state.Store(&CatalogState{Version: c.version, Items: items, Checked: time.Now()})
}
