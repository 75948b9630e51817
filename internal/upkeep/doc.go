// Package upkeep keeps a running instance up to date: the catalogue, the parameters, the models and the
// experiments that the scoring engine uses, and the ledger's partitions.
//
// Each loop looks, acts, and waits for its interval, until its context ends. Trouble is logged when it begins or
// turns into another, and once when it is over; what was in force stays in force meanwhile. Only of a model that is
// configured by its path does the file decide: without a good one there is no model.
package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"
)

// Keys of log attributes.
const (
	keyError   = "error"
	keyVersion = "version"
	keyItems   = "items"
	keyModel   = "model"
	keySHA256  = "sha256"
	keyReason  = "reason"
	keyFile    = "file"
	keyConfig  = "config_version"

	keyExperiment  = "experiment"
	keyExperiments = "experiments"
)

// guarded takes a step. A panic in it is a defect of ours; the instance goes on with what is in force.
func guarded(ctx context.Context, step func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return step(ctx)
}

// loop calls step until ctx ends, at once, then every interval and at each of the hangups, nil for none. An error is logged when it differs from
// the one before, so that a long outage is one line.
func loop(ctx context.Context, interval time.Duration, hangups <-chan os.Signal, log *slog.Logger, what string, step func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for ctx.Err() == nil {
		err := guarded(ctx, step)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && last != "":
			log.Info(what + " works again")
			last = ""
		case err != nil && err.Error() != last:
			log.Warn(what+" is in trouble, trying again", keyError, err)
			last = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case s := <-hangups:
			log.Info("looking at "+what+" at once", "signal", s)
		}
	}
}
