package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/schemas"
)

// simulateFlags are what the command line of simulate says.
type simulateFlags struct {
	requestFlags
	fail   []string
	at     string
	output string
}

func newSimulateCommand(app *app) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:     "simulate",
		Short:   "Show what a request would be answered, with tiers failing",
		GroupID: groupAbout,
		Long: `simulate decides one request as an instance with this configuration would now: with the catalogue, the active model,
the running experiments, the popularity, the editorial lists and the user's profile as they are in the database. The
tiers of --fail are taken to be switched off. It explains the decision, and stores, publishes and changes nothing.

What only a running instance knows is left out: tiers that rest because they failed there, and drift. There is no
deadline either.`,
		Example: `  recstream simulate --user ada --mood funny
  recstream simulate --fail model --mood funny --group couple
  recstream simulate --fail model,previous_model,similar --user ada --at 2026-12-24T20:00:00Z -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := f.request(cmd)
			if err != nil {
				return err
			}
			return app.simulate(cmd.Context(), &f, &req)
		},
	}
	f.register(cmd)
	cmd.Flags().StringSliceVar(&f.fail, "fail", nil, "`TIERS` that are not to answer, separated by commas")
	cmd.Flags().StringVar(&f.at, "at", "", "`TIME` of the request, RFC 3339 (default now)")
	outputVar(cmd, &f.output, "text", "json")
	return cmd
}

// noDeadline is two centuries in milliseconds: a request that was never published can be as old as it likes, whatever deadline
// is configured.
const noDeadline = 200 * 365 * 24 * 60 * 60 * 1000

func (a *app) simulate(ctx context.Context, f *simulateFlags, req *schemas.Request) error {
	req.Explain, req.DeadlineMS = true, noDeadline
	req.RequestedAt = time.Now().UTC().Truncate(time.Microsecond)
	if f.at != "" {
		at, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return usagef("--at %s is no time; use such as 2026-12-24T20:00:00Z", f.at)
		}
		req.RequestedAt = at.UTC().Truncate(time.Microsecond)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	p, err := newPipeline(ctx, cfg, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer p.close()
	d, err := p.simulate(ctx, f.fail, req)
	if err != nil {
		return err
	}
	ladder := p.engine.Params().Fallback.Tiers
	if d.ConfigVersion != p.engine.ConfigVersion() { // an experiment's variant has parameters of its own
		if ladder, err = ladderOf(ctx, p.database, d.ConfigVersion); err != nil {
			return err
		}
	}
	return printSimulation(a.stdout, d, ladder, f.output)
}

// simulate decides a request with tiers switched off, and keeps nothing of it.
func (p *pipeline) simulate(ctx context.Context, fail []string, req *schemas.Request) (*schemas.Decision, error) {
	params := p.engine.Params()
	for _, tier := range fail {
		if t := schemas.Tier(tier); !slices.Contains(params.Fallback.SwitchedOff, t) {
			params.Fallback.SwitchedOff = append(slices.Clone(params.Fallback.SwitchedOff), t)
		}
	}
	if err := params.Validate(); err != nil {
		return nil, usagef("--fail %s: %v", strings.Join(fail, ","), err)
	}
	if err := p.engine.SetParams(ctx, params); err != nil {
		return nil, err
	}
	if err := p.database.Ping(ctx); err != nil {
		return nil, withHint(err, databaseHint(err, p.cfg))
	}
	for _, refresh := range []func(context.Context) error{p.checkMigrations, p.catalog.Refresh, p.models(untouched{p.database}).Refresh,
		p.followPopularity().Refresh, p.followEditorial().Refresh} {
		if err := refresh(ctx); err != nil {
			return nil, err
		}
	}
	known := map[string]*schemas.Profile{}
	if req.UserID != "" {
		if err := p.database.Profiles(ctx, []string{req.UserID}, known); err != nil {
			return nil, err
		}
	}
	d := &schemas.Decision{ScoredAt: time.Now().UTC().Truncate(time.Microsecond)}
	return d, p.engine.NewScorer().Decide(req, known[req.UserID], d)
}

// untouched is a database that keeps nothing of what an instance would note in it.
type untouched struct{ *postgres.Database }

func (untouched) RegisterModel(context.Context, schemas.ModelRef, postgres.ModelInfo) (int32, error) {
	return 0, nil
}

func (untouched) MarkServed(context.Context, int64) error          { return nil }
func (untouched) SaveConfig(context.Context, string, string) error { return nil }

func printSimulation(w io.Writer, d *schemas.Decision, ladder []schemas.Tier, format string) error {
	shown := describeDecision(d, ladder)
	if format == "json" {
		return printJSON(w, shown)
	}
	return shown.print(w)
}
