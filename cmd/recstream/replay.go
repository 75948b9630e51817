package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"recstream/internal/postgres"
	"recstream/internal/replay"
)

func newReplayCommand(app *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "replay",
		Short:   "Decide past requests again, and compare with what was decided live",
		GroupID: groupRun,
		Long: `A replay reads requests again from their topic, decides them again, and says what became of it. Its decisions stand
in the database under a run id of their own; no offset and no row of live traffic is touched, and nothing is
published unless it is told to.

Without --model and --scoring every decision is to come out as it was made: with the model, the parameters, the
catalogue and the profile that it names. With either, the replay tries them on past requests.`,
		Example: `  recstream replay run --from 2026-03-01T20:00:00Z --to 2026-03-01T21:00:00Z --max-differing 0
  recstream replay run --from -24h --model films@4 --min-overlap 0.8 --why "may films@4 go live?"
  recstream replay list
  recstream replay show 7 --max-differing 0
  recstream replay resume 7`,
	}
	onlySubcommands(cmd)
	cmd.AddCommand(newReplayRunCommand(app), newReplayResumeCommand(app), newReplayPauseCommand(app),
		newReplayCancelCommand(app), newReplayListCommand(app), newReplayShowCommand(app))
	return cmd
}

// replayListHint is what is to be done about a replay that is not there.
const replayListHint = "run 'recstream replay list'"

// runID reads the number of a replay.
func runID(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, usagef("RUN is %q, not the number of a replay; %s", text, replayListHint)
	}
	return int32(n), nil
}

// replayError adds what to do next to an error of a replay's.
func replayError(run int32, err error) error {
	stopped, ok := errors.AsType[*replay.StoppedError](err)
	switch {
	case errors.Is(err, postgres.ErrNoReplay):
		return withHint(fmt.Errorf("there is no replay %d", run), replayListHint)
	case errors.Is(err, postgres.ErrReplayOver):
		return withHint(fmt.Errorf("replay %d is done or cancelled", run), fmt.Sprintf("run 'recstream replay show %d'", run))
	case ok: // which partition noticed it is of no interest
		return withHint(stopped, nextStep(run, stopped.State))
	case hasHint(err):
		return err
	}
	if _, isDatabase := errors.AsType[*postgres.Error](err); isDatabase {
		return withHint(err, migrateHint)
	}
	return withHint(err, nextStep(run, postgres.ReplayRunning))
}

// nextStep is what to do about a replay that is not done.
func nextStep(run int32, state postgres.ReplayState) string {
	switch state {
	case postgres.ReplayPaused:
		return fmt.Sprintf("run 'recstream replay resume %d' to go on where it is", run)
	case postgres.ReplayCancelled: // it may be deleted in this moment
		return "run 'recstream replay list' for those that there are"
	default:
		return fmt.Sprintf("run 'recstream replay show %d' for how it stands", run)
	}
}

// hasHint reports whether an error says what to do, or what a report exceeds.
func hasHint(err error) bool {
	_, ok := errors.AsType[hinted](err)
	return ok || isLimit(err)
}

// onReplay makes a command that does something with one replay.
func onReplay(app *app, use, short, long string, do func(context.Context, *postgres.Database, int32) error) *cobra.Command {
	name, _, _ := strings.Cut(use, " ")
	return &cobra.Command{
		Use: use, Short: short, Long: long, Example: fmt.Sprintf("  recstream replay %s 7", name), Args: allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := runID(args[0])
			if err != nil {
				return err
			}
			return app.withDatabase(cmd.Context(), func(db *postgres.Database) error {
				return replayError(run, do(cmd.Context(), db, run))
			})
		},
	}
}

func newReplayPauseCommand(app *app) *cobra.Command {
	return onReplay(app, "pause RUN", "Stop a replay after the batches in hand, wherever it runs",
		`pause makes the process that works on the replay end after the batches in hand, within a second or so.
'recstream replay resume' goes on from there. Ctrl-C in that process does the same.`,
		func(ctx context.Context, db *postgres.Database, run int32) error {
			if err := db.PauseReplay(ctx, run, ""); err != nil {
				return err
			}
			_, err := fmt.Fprintf(app.stdout, "replay %d is paused; 'recstream replay resume %d' goes on\n", run, run)
			return err
		})
}

func newReplayCancelCommand(app *app) *cobra.Command {
	var del bool
	cmd := onReplay(app, "cancel RUN", "Stop a replay for good, and delete its rows if wanted",
		`cancel makes the process that works on the replay end; it cannot be resumed. What it has stored stays, unless
--delete is given: then its decisions, its figures and itself are deleted, which is possible of a finished replay too.`,
		func(ctx context.Context, db *postgres.Database, run int32) error {
			return cancelReplay(ctx, app, db, run, del)
		})
	cmd.Flags().BoolVar(&del, "delete", false, "delete all that the replay has stored")
	return cmd
}

func cancelReplay(ctx context.Context, app *app, db *postgres.Database, run int32, del bool) error {
	err := db.CancelReplay(ctx, run)
	if del && errors.Is(err, postgres.ErrReplayOver) {
		err = nil // a finished one is only deleted
	}
	if err != nil || !del {
		if err == nil {
			_, err = fmt.Fprintf(app.stdout, "replay %d is cancelled\n", run)
		}
		return err
	}
	told := time.Now()
	n, err := db.DeleteReplay(ctx, run, func(decisions int64) {
		if time.Since(told) > progressEvery {
			told = time.Now()
			fmt.Fprintf(app.stderr, "replay %d: %d decisions are deleted\n", run, decisions)
		}
	})
	if err == nil {
		_, err = fmt.Fprintf(app.stdout, "replay %d is deleted, with %d decisions\n", run, n)
	}
	return err
}

func newReplayShowCommand(app *app) *cobra.Command {
	var f limitFlags
	cmd := onReplay(app, "show RUN", "Print the report of a replay, or how far it has come",
		`show prints what the replay came to. Of one that is not done it prints what there is so far. Where 'replay run' was
given limits, or show is, the exit status is 3 where the report exceeds them, and 1 where the replay is not done.`,
		func(ctx context.Context, db *postgres.Database, run int32) error {
			r, err := db.Replay(ctx, run)
			if err != nil {
				return err
			}
			report, err := replay.ReportOf(r)
			if err != nil {
				return err
			}
			if err := printReport(app.stdout, report, f.output); err != nil {
				return err
			}
			return judgeReport(report, f.limits)
		})
	f.register(cmd, itsLimits)
	return cmd
}
