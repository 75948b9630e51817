package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"recstream/internal/deadletter"
)

// redriveProgress shows how far a redrive is: a bar on a terminal, a line every few seconds elsewhere.
type redriveProgress struct {
	w       io.Writer
	bar     *progressbar.ProgressBar // nil is lines
	dryRun  bool
	total   int64 // offsets
	now     func() time.Time
	started time.Time
	last    time.Time // when a line was printed
}

func (a *app) newRedriveProgress(spans []deadletter.Span, dryRun bool) *redriveProgress {
	p := &redriveProgress{w: a.stderr, dryRun: dryRun, total: offsetsOf(spans), now: time.Now}
	p.started = p.now()
	p.last = p.started
	if file, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(file), progressbar.OptionSetDescription("redrive"),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// show is told how far the run is.
func (p *redriveProgress) show(r *deadletter.Report) {
	if p.bar != nil {
		p.bar.Describe(p.name(r) + fmt.Sprintf(": %d sent", r.Sent))
		_ = p.bar.Set64(r.Read) // what cannot be drawn is not worth an error
		return
	}
	now := p.now()
	if now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	fmt.Fprintln(p.w, p.line(r, now.Sub(p.started)))
}

// line says how far the run is after that time of work.
func (p *redriveProgress) line(r *deadletter.Report, took time.Duration) string {
	verb := "sent"
	if p.dryRun {
		verb = "would send"
	}
	return fmt.Sprintf("%s: %s %s, %.0f/s; %d of %d offsets read, %.0f %%", p.name(r), verb, lettersText(r.Sent), float64(r.Sent)/max(took.Seconds(), 1e-3),
		r.Read, p.total, 100*float64(r.Read)/float64(max(p.total, 1)))
}

func (p *redriveProgress) name(r *deadletter.Report) string {
	if p.dryRun {
		return "dry run"
	}
	return fmt.Sprintf("run %d", r.Run.ID)
}

func (p *redriveProgress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // see show
	}
}
