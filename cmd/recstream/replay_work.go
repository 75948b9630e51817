package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"recstream/internal/postgres"
	"recstream/internal/replay"
)

func newReplayResumeCommand(app *app) *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a replay that was paused or killed",
		Long: `resume goes on where the replay is, with the plan that it was started with. Where another process still works on it,
that one ends: the replay is taken over. Every request counts once all the same. The limits that 'replay run' was given
count again; one that is given here counts in its place, this time.`,
		Example: "  recstream replay resume 7",
		Args:    allArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := runID(args[0])
			if err != nil {
				return err
			}
			cfg, err := app.loadConfig()
			if err != nil {
				return err
			}
			return app.withReplayer(cmd.Context(), cfg, func(r *replayer) error {
				claimed, err := r.db.ClaimReplay(cmd.Context(), run, r.owner)
				if err != nil {
					return replayError(run, err)
				}
				return r.work(cmd.Context(), claimed, f)
			})
		},
	}
	f.register(cmd, itsLimits)
	return cmd
}

// limitError says that a report exceeds what the command line allows. It ends the program with a status of its own.
type limitError struct{ exceeded []string }

func (e *limitError) Error() string { return strings.Join(e.exceeded, "; ") }

// work works on a replay to its end, and prints its report.
func (r *replayer) work(ctx context.Context, claimed *postgres.Replay, f limitFlags) error {
	options := r.options()
	shown := newReplayProgress(r.app.stderr, claimed)
	options.Progress = shown.show
	fmt.Fprintln(r.app.stderr, shown.start())
	report, err := replay.Run(ctx, claimed, r.owner, options)
	shown.finish()
	if err != nil {
		return replayError(claimed.RunID, err)
	}
	if err := printReport(r.app.stdout, report, f.output); err != nil {
		return err
	}
	return judgeReport(report, f.limits)
}

// judgeReport returns an error where a report exceeds limits: those that are given, else those that the replay was started
// with. One that is not done is within none: whoever asks would take it for good.
func judgeReport(r *replay.Report, given replay.Limits) error {
	limits := given.Or(r.Plan.Limits)
	if limits.Any() && r.State != postgres.ReplayDone {
		return withHint(fmt.Errorf("replay %d is %s: its limits count when it is done", r.RunID, r.State), nextStep(r.RunID, r.State))
	}
	list := limits.Exceeded(r)
	if len(list) == 0 {
		return nil
	}
	if r.Differing()+replay.Sum(r.Irreproducible) == 0 {
		return &limitError{list} // no table has what was not there
	}
	return withHint(&limitError{list}, fmt.Sprintf("the table replay_differences has the requests, under run_id %d", r.RunID))
}

// progressEvery is how often a line says how far a replay is, where nobody looks at a bar.
const progressEvery = 5 * time.Second

// replayProgress shows how far a replay is: a bar on a terminal, lines elsewhere.
type replayProgress struct {
	w       io.Writer
	run     int32
	bar     *progressbar.ProgressBar // nil is lines
	total   int64
	before  int64 // done before this process began
	started time.Time
	last    time.Time
}

func newReplayProgress(w io.Writer, r *postgres.Replay) *replayProgress {
	done, total := replay.Progress(r)
	p := &replayProgress{w: w, run: r.RunID, total: total, before: done, started: time.Now(), last: time.Now()}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(total-done, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
			progressbar.OptionSetDescription(fmt.Sprintf("replay %d", r.RunID)), progressbar.OptionShowIts(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// start says what begins.
func (p *replayProgress) start() string {
	if p.before > 0 {
		return fmt.Sprintf("replay %d goes on at offset %d of %d", p.run, p.before, p.total)
	}
	return fmt.Sprintf("replay %d of %d offsets", p.run, p.total)
}

// show is told how far it is.
func (p *replayProgress) show(done, total int64) {
	if p.bar != nil {
		_ = p.bar.Set64(done - p.before) // what cannot be drawn is not worth an error
		return
	}
	if time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	fmt.Fprintln(p.w, p.line(done, total, p.last.Sub(p.started)))
}

// line says how far it is after that time of work.
func (p *replayProgress) line(done, total int64, took time.Duration) string {
	rate := float64(done-p.before) / max(took.Seconds(), 1e-3)
	left := time.Duration(float64(total-done) / max(rate, 1e-3) * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("replay %d: %.0f %%, %d of %d offsets, %.0f/s, %s left", p.run, 100*float64(done)/float64(max(total, 1)), done, total, rate, left)
}

func (p *replayProgress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // see show
	}
}

// isLimit reports whether an error is that of a report which exceeds what is allowed.
func isLimit(err error) bool {
	_, ok := errors.AsType[*limitError](err)
	return ok
}
