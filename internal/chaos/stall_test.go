package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/workload"
)

// The full size of a stall, and what memory an instance may need more than it needed at work before it: as much as
// batches in hand, and a garbage collector that is late, come to, and nothing that grows with the backlog.
const (
	stallTime   = 10 * time.Minute
	stallEvents = 1_000_000
	stallMemory = 96 << 20
)

// backlogBytes is how much a backlog comes to, however few its events are: what gathers it in memory is found.
const backlogBytes = 3 * stallMemory

// TestPostgresStalls has Postgres fall silent while events come on, and sees that they are not gathered in memory.
func TestPostgresStalls(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownPostgres: true, env: []string{"RECSTREAM_CONSUMER_BATCH_RECORDS=500"}})
	r := s.beginStall(t, "Postgres stalls")
	i := s.serve(t)
	r.sendHeavy(t, min(stallWarmUp, share(stallEvents)/4))
	need(t, r.observer.AwaitEnd(within(t, patience)))
	memory := i.weigh()
	defer memory.end()
	atWork := memory.most()

	need(t, s.postgres.Pause())
	t.Cleanup(func() { _ = s.postgres.Resume() })
	if err := s.db.Ping(within(t, time.Second)); err == nil {
		t.Fatal("Postgres answers although it was paused")
	}
	began := time.Now()
	behind := r.sendHeavy(t, share(stallEvents))
	r.outlast(t, began)
	need(t, s.postgres.Resume())
	r.struck("Postgres was silent for %s, %d events came meanwhile", time.Since(began), behind)
	r.catchUp(t, behind)
	memory.mustBeFlat(t, atWork)
	r.finish(t, 0, 1)
}

// TestKafkaStalls has Kafka fall silent with most events of a backlog unread.
func TestKafkaStalls(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownKafka: true, env: []string{"RECSTREAM_CONSUMER_BATCH_RECORDS=500"}})
	r := s.beginStall(t, "Kafka stalls")
	i := s.serve(t)
	r.sendHeavy(t, min(stallWarmUp, share(stallEvents)/4))
	need(t, r.observer.AwaitEnd(within(t, patience)))
	memory := i.weigh()
	defer memory.end()
	atWork := memory.most()

	unlock := r.lockLedger(t) // so that the backlog is still one when Kafka stalls
	behind := r.sendHeavy(t, share(stallEvents))
	need(t, s.kafka.Pause())
	t.Cleanup(func() { _ = s.kafka.Resume() })
	unlock()
	if err := s.client.Ping(within(t, time.Second)); err == nil {
		t.Fatal("Kafka answers although it was paused")
	}
	began := time.Now()
	r.outlast(t, began)
	need(t, s.kafka.Resume())
	r.struck("Kafka was silent for %s, with %d events unread", time.Since(began), behind)
	r.catchUp(t, behind)
	memory.mustBeFlat(t, atWork)
	r.finish(t, 0, 1)
}

// stallWarmUp is how many events an instance works through before a stall at the most: enough that they come faster than
// they are handled, so that it has full batches in hand, as it has behind the stall.
const stallWarmUp = 50_000

func (s *stage) beginStall(t *testing.T, name string) *run {
	t.Helper()
	r := s.begin(t, "9", fmt.Sprintf("%s for %s", name, scaledTime(stallTime)))
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.1, Bad: 0.001, Repeats: 0.001, Heavy: -1})
	return r
}

// sendHeavy publishes so many events, many at a time, and returns how many there are. Each has a header that makes a
// backlog as heavy as it is to be, of bytes that cannot be compressed: pieces of one store, so that they take this
// process no memory.
func (r *run) sendHeavy(t *testing.T, n int) int {
	t.Helper()
	const atOnce = 1000
	size := backlogBytes / share(stallEvents)
	store := make([]byte, 2<<20+size)
	for i := range store {
		store[i] = byte(r.rng.Uint32())
	}
	for left := n; left > 0; left -= atOnce {
		events := r.take(min(left, atOnce))
		for i := range events {
			at := r.rng.IntN(len(store) - size)
			if e := &events[i]; !e.Large {
				e.Headers = append(e.Headers, history.Header{Key: "ballast", Value: store[at : at+size]})
			}
		}
		need(t, r.publisher.Publish(t.Context(), events...))
	}
	return n
}

// outlast waits until a stall has lasted for long enough. Nothing else can be waited for: it is to be nothing that
// happens.
func (r *run) outlast(t *testing.T, began time.Time) {
	t.Helper()
	limit := scaledTime(stallTime)
	eventually(t, "the stall to last", limit+patience, func() (bool, string) {
		r.mustLive(t)
		return time.Since(began) >= limit, ""
	})
}

// catchUp waits until a backlog is worked off, at some hundred events a second at the least.
func (r *run) catchUp(t *testing.T, events int) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(events)*2*time.Millisecond)
	defer cancel()
	if err := r.observer.AwaitEnd(ctx); err != nil {
		r.dump(t)
		t.Fatalf("the backlog is not worked off: %v", err)
	}
	t.Logf("%d events worked off in %s", events, time.Since(began).Round(time.Second/10))
}

// scales weigh an instance again and again.
type scales struct {
	pid    int
	cancel context.CancelFunc
	asked  chan chan []int64
	done   chan struct{}
}

// weighEvery is how often an instance is weighed.
const weighEvery = 100 * time.Millisecond

// weigh begins to weigh an instance. Call end.
func (i *instance) weigh() *scales {
	ctx, cancel := context.WithCancel(context.Background())
	w := &scales{pid: i.cmd.Process.Pid, cancel: cancel, asked: make(chan chan []int64), done: make(chan struct{})}
	go w.run(ctx)
	return w
}

func (w *scales) run(ctx context.Context) {
	defer close(w.done)
	ticker := time.NewTicker(weighEvery)
	defer ticker.Stop()
	weights := []int64{residentBytes(w.pid)}
	for {
		select {
		case <-ticker.C:
			weights = append(weights, residentBytes(w.pid))
		case answer := <-w.asked:
			answer <- append([]int64{}, weights...)
		case <-ctx.Done():
			return
		}
	}
}

// end stops weighing. A second time does nothing.
func (w *scales) end() {
	w.cancel()
	<-w.done
}

// weights returns the weights so far, in bytes.
func (w *scales) weights() []int64 {
	answer := make(chan []int64)
	w.asked <- answer
	return <-answer
}

func (w *scales) most() (bytes int64) {
	for _, n := range w.weights() {
		bytes = max(bytes, n)
	}
	return bytes
}

// residentBytes returns what a process has in memory, as Linux has it in /proc; 0 where there is no process.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	var kilobytes int64
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	_, _ = fmt.Sscan(rest, &kilobytes) // without a number it is 0
	return kilobytes << 10
}

// mustBeFlat reports what the instance weighed over time, and fails the test if that grew.
func (w *scales) mustBeFlat(t *testing.T, before int64) {
	t.Helper()
	weights, most := w.weights(), w.most()
	const points = 12
	var line strings.Builder
	for n := range points {
		part := weights[n*len(weights)/points : (n+1)*len(weights)/points]
		var top int64
		for _, bytes := range part {
			top = max(top, bytes)
		}
		fmt.Fprintf(&line, " %d", top>>20)
	}
	t.Logf("memory in MB: %d before, then over %s:%s", before>>20, time.Duration(len(weights))*weighEvery, &line)
	if most == 0 || most > before+stallMemory {
		t.Errorf("memory: %d MB at the most, %d MB before: it grows with the backlog", most>>20, before>>20)
	}
}
