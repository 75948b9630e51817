package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/history/collect"
	"recstream/internal/chaos/readers"
	"recstream/internal/chaos/workload"
)

// patience bounds each wait for the stream to get over a fault.
const patience = 3 * time.Minute

// run is a scenario under way on its stage.
type run struct {
	*stage
	report
	began time.Time
	rng   *rand.Rand // for the test's goroutine

	kafkaView *collect.Kafka
	observer  *collect.Observer
	watch     *collect.Watch
	readers   []*readers.Reader
	notes     []history.Note
	kept      []history.Emitted // dead letters of a topic that is there no more

	publisher *workload.Publisher
	generator *workload.Generator
	load      *load // nil while nobody publishes
	sent      atomic.Int64
}

// some returns a random part of a list, in random order: all of it, or, in a short run, as many as it has time for.
func some[T any](r *run, list []T) []T {
	list = slices.Clone(list)
	r.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if thorough() {
		return list
	}
	return list[:min(len(list), shortList)]
}

// shortList is how much of a list a short run takes.
const shortList = 12

// lookEvery is how often the progress of groups is looked at.
const lookEvery = 25 * time.Millisecond

// begin starts to look on. The class and the name of the fault are for the report.
func (s *stage) begin(t *testing.T, class, name string) *run {
	t.Helper()
	r := &run{stage: s, report: report{class: class, name: name}, began: time.Now(), rng: newRand(t)}
	var err error
	r.kafkaView, err = collect.Dial(s.own(), s.direct()...)
	need(t, err)
	t.Cleanup(r.kafkaView.Close)
	r.observer = collect.NewObserver(r.kafkaView, s.db, history.Run{Name: t.Name(), Seed: *seed, AtLeastOnce: s.atLeastOnce,
		Topics: s.topics(), Groups: s.groups(), HalfLife: halfLife})
	r.watch = r.observer.Watch(lookEvery)
	t.Cleanup(func() { r.endWatch() })
	r.publisher, err = workload.NewPublisher(s.own(), s.direct()...)
	need(t, err)
	t.Cleanup(r.publisher.Close)
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.2, Bad: 0.02, Repeats: 0.02})
	return r
}

// newRand returns what a test draws from: the same for the same seed.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	name := fnv.New64()
	_, _ = name.Write([]byte(t.Name())) // it cannot fail
	return rand.New(rand.NewPCG(*seed, name.Sum64()))
}

// endWatch stops looking on and returns what was seen, once.
func (r *run) endWatch() []history.Progress {
	if r.watch == nil {
		return nil
	}
	seen := r.watch.Stop()
	r.watch = nil
	return seen
}

// read has the readers that apps learn from read along, where they are installed.
func (r *run) read(t *testing.T) {
	t.Helper()
	for _, language := range []readers.Language{readers.Python, readers.Java} {
		reader, err := readers.Start(t.Context(), language, strings.Join(r.brokers, ","), r.topics().Results)
		if err != nil && os.Getenv("CI") == "" {
			t.Logf("no reader in %s: %v", language, err)
			continue
		}
		need(t, err)
		t.Cleanup(reader.Close)
		r.readers = append(r.readers, reader)
	}
}

// struck counts a fault that was proven to have happened, and notes it in the history.
func (r *run) struck(format string, args ...any) {
	r.faults++
	r.note(format, args...)
}

// note writes into the history what happened.
func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, history.Note{At: time.Now().UTC(), Text: fmt.Sprintf(format, args...)})
}

// pause waits for a random time up to the limit: faults are to happen at random moments. Nothing is waited for.
func (r *run) pause(limit time.Duration) { time.Sleep(time.Duration(r.rng.Int64N(int64(limit)))) }

// load is a workload being published.
type load struct {
	stop chan struct{}
	done chan struct{} // closed when nothing is published any more
	err  error         // once done
}

// batch is how many events are published at once.
const batch = 20

// publish begins to publish so many events a second, until settle.
func (r *run) publish(t *testing.T, rate int) {
	t.Helper()
	l := &load{stop: make(chan struct{}), done: make(chan struct{})}
	r.load = l
	ctx := t.Context()
	go func() {
		defer close(l.done)
		ticker := time.NewTicker(time.Second * batch / time.Duration(rate))
		defer ticker.Stop()
		for l.err == nil {
			select {
			case <-ticker.C:
				l.err = r.send(ctx, batch)
			case <-l.stop:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { _ = l.end() })
}

// end stops publishing and waits for it. It may be called again.
func (l *load) end() error {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	<-l.done
	return l.err
}

// send publishes the next events of the workload. One goroutine at a time may.
func (r *run) send(ctx context.Context, n int) error {
	return r.publisher.Publish(ctx, r.take(n)...)
}

// take makes the next events of the workload, which are to be published.
func (r *run) take(n int) []history.Published {
	events := r.generator.Take(n)
	for i := range events {
		if events[i].Topic == r.topics().Requests {
			r.sent.Add(1)
		}
	}
	return events
}

// sendRequests publishes until there are so many requests in all.
func (r *run) sendRequests(t *testing.T, total int) {
	t.Helper()
	for r.sent.Load() < int64(total) {
		need(t, r.send(t.Context(), batch))
	}
}

// committed returns how many requests the group has committed.
func (r *run) committed(ctx context.Context) (n int64, err error) {
	seen, err := r.observer.Observe(ctx)
	for _, p := range seen {
		if p.Topic == r.topics().Requests && p.Committed != history.None {
			n += p.Committed
		}
	}
	return n, err
}

// advance waits until the group has committed at least n requests more than now: it works, and has got over what
// was done to it.
func (r *run) advance(t *testing.T, n int64) {
	t.Helper()
	r.mustLive(t)
	var first int64 = -1
	eventually(t, "requests to be answered", patience, func() (bool, string) {
		now, err := r.look(t)
		if err == nil && first < 0 {
			first = now
		}
		return err == nil && now >= first+n, fmt.Sprintf("%d, then %d: %v", first, now, err)
	})
}

// look asks once how many requests are committed. A server that is away does not hold it up.
func (r *run) look(t *testing.T) (int64, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return r.committed(ctx)
}
