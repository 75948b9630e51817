package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/postgres"
	"recstream/producer"
	"recstream/schemas"
)

// fakeOutbox notes what was published, and fails as it is told to.
type fakeOutbox struct {
	added, sent []string
	flush       func() error // nil is well
}

func (o *fakeOutbox) Add(out *schemas.Outcome) { o.added = append(o.added, out.Decision.RequestID) }

func (o *fakeOutbox) Flush(context.Context) error {
	if o.flush != nil {
		if err := o.flush(); err != nil {
			return err
		}
	}
	o.sent, o.added = append(o.sent, o.added...), nil
	return nil
}

// A replay that cannot publish sees what became of it, and ends where no waiting helps.
func TestReplayThatCannotPublish(t *testing.T) {
	refused := func(err error) error { return &producer.Error{Topic: "trial", Err: err} }
	tests := map[string]struct {
		err    error
		become func(*postgres.Replay)
		want   string
	}{
		"paused":     {refused(kafka.TopicAuthorizationFailed), func(r *postgres.Replay) { r.State = postgres.ReplayPaused }, "replay 7 is paused"},
		"cancelled":  {refused(kafka.UnknownTopicOrPartition), func(r *postgres.Replay) { r.State = postgres.ReplayCancelled }, "replay 7 is cancelled"},
		"taken over": {refused(kafka.NotEnoughReplicas), func(r *postgres.Replay) { r.Owner = "you" }, "replay 7 was taken over by another process"},
		"too large": {errors.Join(refused(kafka.MessageSizeTooLarge)), func(*postgres.Replay) {},
			"a result is larger than topic trial takes; raise its max.message.bytes, then resume the replay"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeStore()
			s.answered(t, 10, "r")
			w := newTestWorker(t, s, &Plan{})
			w.plan.Emit = "trial"
			w.outbox = &fakeOutbox{flush: func() error {
				test.become(&s.replay)
				return test.err
			}}
			w.add(10, "r", "")
			if err := w.settle(deadline(t)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if len(s.rows) > 0 {
				t.Errorf("stored %q, which was not published", s.rows)
			}
		})
	}
}

// What is published is what is stored: of an id without a live decision, only the first event of the replay.
func TestNothingIsPublishedThatIsNotStored(t *testing.T) {
	s := newFakeStore()
	w := newTestWorker(t, s, &Plan{Config: s.version(t, "fallback: {tiers: [basic]}\n"), Present: State{Config: s.version(t, "max_items: 1\n"), Catalog: 1}})
	out := new(fakeOutbox)
	w.outbox = out
	s.rows = []string{"r"} // of another batch, or partition
	w.add(10, "r", "")
	w.add(11, "q", "")
	w.add(12, "q", "")
	if err := w.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.rows, []string{"r", "q"}) || !slices.Equal(out.sent, []string{"q"}) || w.figures.Repeated != 2 || w.figures.Alone != 1 {
		t.Errorf("rows %q, published %q, figures %+v", s.rows, out.sent, w.figures)
	}
}

// A batch that was read is stored although the replay is told to stop, unless it has to wait for the rate.
func TestBatchInHandIsStored(t *testing.T) {
	tests := map[string]struct {
		rate float64
		due  time.Duration // from now, until when the rate is used up
		want int
	}{
		"without a rate": {0, 0, 3},
		"within it":      {5000, 0, 3},
		"beyond it":      {5000, time.Hour, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeStore()
			w := newTestWorker(t, s, &Plan{Rate: test.rate})
			w.limit.due = time.Now().Add(test.due)
			for i := range int64(3) {
				s.answered(t, 10+i, fmt.Sprint("r", i))
				w.add(10+i, fmt.Sprint("r", i), "")
			}
			stopped, stop := context.WithCancel(t.Context())
			stop()
			if err := w.settle(stopped); (err == nil) != (test.want > 0) {
				t.Errorf("error %v", err)
			}
			if stored := w.checkpoint == 20; len(s.rows) != test.want || stored != (test.want > 0) {
				t.Errorf("rows %q, checkpoint %d", s.rows, w.checkpoint)
			}
		})
	}
}

// Who has no live decision and is known is no new user for what is tried.
func TestKnownUserWithoutALiveDecision(t *testing.T) {
	s := newFakeStore()
	w := newTestWorker(t, s, &Plan{Config: s.version(t, "rank: {weights: {affinity: 1}}\n"), Present: State{Catalog: 1}})
	w.add(10, "r", "")
	b, err := w.decided(t)
	if err != nil || b.figures.Alone != 1 || len(b.rows) != 1 {
		t.Fatalf("figures %+v (%v)", b.figures, err)
	}
	if b.jobs[0].profile == nil || slices.Contains(b.rows[0].ColdStart, schemas.ColdUnknownUser) {
		t.Errorf("decided with the profile %v, as %v", b.jobs[0].profile, b.rows[0].ColdStart)
	}
}

// A profile that is kept and cannot be read is a gap of the requests that had it, and is told of once.
func TestProfileThatCannotBeRead(t *testing.T) {
	s := newFakeStore()
	w := newTestWorker(t, s, &Plan{})
	log := logTo(w)
	s.unread = postgres.ErrUnreadable
	s.keep = map[schemas.ProfileKey]*schemas.Profile{{UserID: "ada", Version: 4}: {UserID: "ada", Version: 4}}
	for i, version := range []int64{4, 5} {
		id := fmt.Sprint("r", i)
		s.answered(t, 10+int64(i), id).ProfileVersion = version
		w.add(10+int64(i), id, "")
	}
	for range 2 {
		b, err := w.decided(t)
		if err != nil || codes(b.figures.Irreproducible) != "profile_not_kept: 1" || b.figures.Total().Compared != 1 {
			t.Errorf("figures %+v (%v)", b.figures, err)
		}
	}
	if n := strings.Count(log.String(), postgres.ErrUnreadable.Error()); n != 1 {
		t.Errorf("told %d times\n%s", n, log)
	}
}

func logTo(w *worker) *bytes.Buffer {
	log := new(bytes.Buffer)
	w.options.Log = slog.New(slog.NewTextHandler(log, nil))
	return log
}

// pausing is a store of a replay that can be paused.
type pausing struct{ *fakeStore }

func (pausing) PauseReplay(context.Context, int32, string) error { return nil }

// A failure is told of although the replay was stopped by then; being stopped is none.
func TestFailureWhileStopping(t *testing.T) {
	for _, cause := range []error{errors.New("panic: index out of range"), fmt.Errorf("partition 0: %w", context.Canceled)} {
		s := newFakeStore()
		w := newTestWorker(t, s, &Plan{})
		log := logTo(w)
		w.options.Store = pausing{s}
		if err := w.pause(t.Context(), cause); err == nil || err.Error() != "replay 7 is paused" {
			t.Errorf("error %v", err)
		}
		if told, want := strings.Contains(log.String(), cause.Error()), !errors.Is(cause, context.Canceled); told != want {
			t.Errorf("%v: told %t\n%s", cause, told, log)
		}
	}
}

// Whoever asks for what another makes may give up.
func TestCacheIsLeftWhileAValueIsMade(t *testing.T) {
	making, made := make(chan struct{}), make(chan struct{})
	c := newCache(1, func(context.Context, int) (string, error) {
		close(making)
		<-made
		return "a", nil
	})
	got := make(chan string)
	go func() {
		v, _ := c.get(t.Context(), 1)
		got <- v
	}()
	<-making
	ended, end := context.WithCancel(t.Context())
	end()
	go close(made) // the value may be written while the other leaves
	if v, err := c.get(ended, 1); (v != "a" || err != nil) && (v != "" || !errors.Is(err, context.Canceled)) {
		t.Errorf("value %q, error %v", v, err)
	}
	if v := <-got; v != "a" {
		t.Errorf("value %q", v)
	}
}
