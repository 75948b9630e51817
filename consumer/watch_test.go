package consumer

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestWatchReportsAStalledWorkerOnceEveryLimit(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	observed := new(witness)
	w := watch{observer: observed}
	w.enter(1, stageSettle)
	w.enter(2, stageIdle)
	w.enter(3, stageSettle)
	w.leave(3)
	began := w.posts[1].since
	lines := func() int { return strings.Count(out.String(), "makes no progress") }

	for _, step := range []struct {
		after time.Duration
		want  int
	}{
		{30 * time.Second, 0}, {60 * time.Second, 1}, {90 * time.Second, 1}, {120 * time.Second, 2},
	} {
		w.report(began.Add(step.after), time.Minute, log)
		if got := lines(); got != step.want || len(observed.stalled) != step.want {
			t.Fatalf("after %s: %d reports and %d observed, want %d\n%s", step.after, got, len(observed.stalled), step.want, &out)
		}
	}
	if !strings.Contains(out.String(), "partition=1") || !strings.Contains(out.String(), "stage=settle") {
		t.Errorf("report names neither partition nor stage: %s", &out)
	}
	w.enter(1, stagePublish)
	w.report(began.Add(121*time.Second), 10*time.Minute, log)
	if lines() != 2 {
		t.Errorf("a worker that moved on was reported:\n%s", &out)
	}
}
