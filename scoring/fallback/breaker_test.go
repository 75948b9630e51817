package fallback_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/fallback"
)

const (
	panicked = schemas.ReasonPanic
	late     = schemas.ReasonDeadlineExceeded
)

var start = time.Date(2026, 1, 1, 20, 0, 0, 0, time.UTC)

// second is so many seconds after the start.
func second(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// small opens with 2 failures among 3 reports, rests 10 s, and closes after 2 trials.
func small() fallback.BreakerParams {
	return fallback.BreakerParams{Window: 3, Failures: 2, Rest: 10 * time.Second, Probes: 2}
}

// The steps of a test of a breaker: what is done, and what it has to come to.
type step func(t *testing.T, b *fallback.Breaker)

func allow(n int, want bool) step {
	return func(t *testing.T, b *fallback.Breaker) {
		t.Helper()
		if got := b.Allow(second(n)); got != want {
			t.Fatalf("second %d: allow is %t", n, got)
		}
	}
}

func success(n int) step { return func(_ *testing.T, b *fallback.Breaker) { b.Success(second(n)) } }

func failure(n int, r schemas.Reason) step {
	return func(_ *testing.T, b *fallback.Breaker) { b.Failure(second(n), r) }
}

func cancel() step { return func(_ *testing.T, b *fallback.Breaker) { b.Cancel() } }

func TestBreaker(t *testing.T) {
	opened := []step{allow(1, true), failure(1, late), allow(2, true), failure(2, panicked)}
	onTrial := append(slices.Clone(opened), allow(12, true))
	tests := map[string]struct {
		steps []step
		want  fallback.Status
	}{
		"new": {nil, fallback.Status{State: fallback.Closed}},
		"one failure": {[]step{success(0), failure(1, late)},
			fallback.Status{State: fallback.Closed, Failures: 1}},
		"the failure leaves the window": {[]step{failure(1, late), success(2), success(2), success(2)},
			fallback.Status{State: fallback.Closed}},
		"failures too far apart": {[]step{failure(1, late), success(2), success(2), failure(3, late)},
			fallback.Status{State: fallback.Closed, Failures: 1}},
		"failures as far apart as can be": {[]step{failure(1, late), success(2), failure(3, late)},
			fallback.Status{State: fallback.Open, Since: second(3), Reason: late, Failures: 2}},
		"neutral reports count nothing": {[]step{failure(1, late), cancel(), cancel(), cancel(), failure(3, late)},
			fallback.Status{State: fallback.Open, Since: second(3), Reason: late, Failures: 2}},
		"opened": {opened, fallback.Status{State: fallback.Open, Since: second(2), Reason: panicked, Failures: 2}},
		"rests": {append(slices.Clone(opened), allow(3, false), allow(11, false), success(11), failure(11, late)),
			fallback.Status{State: fallback.Open, Since: second(2), Reason: panicked, Failures: 2}},
		"on trial": {onTrial, fallback.Status{State: fallback.HalfOpen, Since: second(12), Reason: panicked, Failures: 2}},
		"no more trials than have to succeed": {append(slices.Clone(onTrial), allow(12, true), allow(12, false), success(13), allow(13, false)),
			fallback.Status{State: fallback.HalfOpen, Since: second(12), Reason: panicked, Failures: 2}},
		"a neutral trial makes room": {append(slices.Clone(onTrial), allow(12, true), allow(12, false), cancel(), allow(13, true), allow(13, false)),
			fallback.Status{State: fallback.HalfOpen, Since: second(12), Reason: panicked, Failures: 2}},
		"reports of nobody on trial": {append(slices.Clone(onTrial), cancel(), failure(13, late), success(13), success(14)),
			fallback.Status{State: fallback.HalfOpen, Since: second(12), Reason: panicked, Failures: 2}},
		"trials succeed": {append(slices.Clone(onTrial), success(13), allow(14, true), success(15), allow(15, true)),
			fallback.Status{State: fallback.Closed, Since: second(15)}},
		"old failures are forgotten": {append(slices.Clone(onTrial), allow(12, true), success(13), success(15), failure(16, late)),
			fallback.Status{State: fallback.Closed, Since: second(15), Failures: 1}},
		"a trial fails": {append(slices.Clone(onTrial), success(13), allow(14, true), failure(15, late), allow(16, false), allow(24, false)),
			fallback.Status{State: fallback.Open, Since: second(15), Reason: late, Failures: 2}},
		"successes start anew": {append(slices.Clone(onTrial), success(13), allow(14, true), failure(15, late), allow(25, true), success(25)),
			fallback.Status{State: fallback.HalfOpen, Since: second(25), Reason: late, Failures: 2}},
		"trials that never report": {append(slices.Clone(onTrial), allow(14, true), allow(23, false), allow(24, true), allow(25, true), allow(25, false), success(26), success(27)),
			fallback.Status{State: fallback.Closed, Since: second(27)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := fallback.NewBreaker(small(), nil)
			for _, do := range tt.steps {
				do(t, b)
			}
			if got := b.Status(); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestBreakerTellsItsChanges(t *testing.T) {
	var got []fallback.Change
	b := fallback.NewBreaker(small(), func(c fallback.Change) { got = append(got, c) })
	for _, do := range []step{failure(1, late), failure(2, panicked), allow(12, true), failure(13, late),
		allow(23, true), allow(23, true), success(24), success(25)} {
		do(t, b)
	}
	want := []fallback.Change{
		{From: fallback.Closed, To: fallback.Open, Reason: panicked, At: second(2)},
		{From: fallback.Open, To: fallback.HalfOpen, Reason: panicked, At: second(12)},
		{From: fallback.HalfOpen, To: fallback.Open, Reason: late, At: second(13)},
		{From: fallback.Open, To: fallback.HalfOpen, Reason: late, At: second(23)},
		{From: fallback.HalfOpen, To: fallback.Closed, At: second(25)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// naive is the same machine as simple as it can be: a list of all reports of the closed state, and a list of those
// on trial.
type naive struct {
	p       fallback.BreakerParams
	status  fallback.Status
	failed  []bool      // by report in the closed state
	trials  []time.Time // when the requests passed that are on trial and have not reported
	passed  int
	tried   time.Time
	changes []fallback.Change
}

func (n *naive) become(to fallback.State, now time.Time, reason schemas.Reason) {
	n.changes = append(n.changes, fallback.Change{From: n.status.State, To: to, Reason: reason, At: now})
	n.status = fallback.Status{State: to, Since: now, Reason: reason, Failures: n.status.Failures}
	n.failed, n.trials, n.passed = nil, nil, 0
	if to == fallback.Closed {
		n.status.Failures = 0
	}
}

func (n *naive) allow(now time.Time) bool {
	if n.status.State == fallback.Closed {
		return true
	}
	if n.status.State == fallback.Open {
		if now.Before(n.status.Since.Add(n.p.Rest)) {
			return false
		}
		n.become(fallback.HalfOpen, now, n.status.Reason)
	}
	full := len(n.trials)+n.passed == n.p.Probes
	if full && now.Before(n.tried.Add(n.p.Rest)) {
		return false
	}
	if full {
		n.trials = nil
	}
	n.trials = append(n.trials, now)
	n.tried = now
	return true
}

func (n *naive) report(now time.Time, failed bool, reason schemas.Reason) {
	if n.status.State == fallback.Closed {
		n.failed = append(n.failed, failed)
		n.status.Failures = 0
		for _, f := range n.failed[max(0, len(n.failed)-n.p.Window):] {
			if f {
				n.status.Failures++
			}
		}
		if n.status.Failures >= n.p.Failures {
			n.become(fallback.Open, now, reason)
		}
		return
	}
	if len(n.trials) == 0 {
		return
	}
	if failed {
		n.become(fallback.Open, now, reason)
		return
	}
	n.trials = n.trials[1:]
	if n.passed++; n.passed == n.p.Probes {
		n.become(fallback.Closed, now, "")
	}
}

func (n *naive) cancel() {
	if len(n.trials) > 0 {
		n.trials = n.trials[1:]
	}
}

// Whatever is done in whatever order, also with reports that nobody owes and with a clock that goes back, the
// breaker is the naive machine.
func TestBreakerEqualsNaive(t *testing.T) {
	reasons := []schemas.Reason{panicked, late, schemas.ReasonNonFiniteScore}
	reached := map[fallback.State]int{}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := fallback.BreakerParams{Window: 1 + rng.IntN(12), Rest: time.Duration(1+rng.IntN(5)) * time.Second, Probes: 1 + rng.IntN(4)}
		p.Failures = 1 + rng.IntN(p.Window)
		var changes []fallback.Change
		b := fallback.NewBreaker(p, func(c fallback.Change) { changes = append(changes, c) })
		n := &naive{p: p, status: fallback.Status{State: fallback.Closed}}
		now, share := start, rng.Float64()
		for i := range 500 {
			now = now.Add(time.Duration(rng.IntN(1200)-200) * time.Millisecond)
			reason := reasons[rng.IntN(len(reasons))]
			switch rng.IntN(10) {
			case 0:
				b.Cancel()
				n.cancel()
			case 1, 2, 3, 4:
				if got, want := b.Allow(now), n.allow(now); got != want {
					t.Fatalf("seed %d, step %d: allow is %t, want %t", seed, i, got, want)
				}
			default:
				failed := rng.Float64() < share
				if failed {
					b.Failure(now, reason)
				} else {
					b.Success(now)
				}
				n.report(now, failed, reason)
			}
			if got := b.Status(); got != n.status {
				t.Fatalf("seed %d, step %d: got %+v, want %+v", seed, i, got, n.status)
			}
			if b.Closed() != (n.status.State == fallback.Closed) {
				t.Fatalf("seed %d, step %d: closed is %v in %+v", seed, i, b.Closed(), n.status)
			}
			reached[n.status.State]++
		}
		if !slices.Equal(changes, n.changes) {
			t.Fatalf("seed %d: got %v, want %v", seed, changes, n.changes)
		}
	}
	for _, s := range []fallback.State{fallback.Closed, fallback.Open, fallback.HalfOpen} {
		if reached[s] < 10_000 {
			t.Errorf("%d steps in state %s: the test looks at too little", reached[s], s)
		}
	}
}

// together runs a function on so many goroutines at once, and waits for them.
func together(n int, f func(worker int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for w := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(w)
		})
	}
	done.Wait()
}

// However the reports of many goroutines come between each other, none is lost and none counts twice: failures stay
// for as many reports as the window has, and the first one too many opens the breaker, once.
func TestBreakerCountsConcurrentReports(t *testing.T) {
	const workers, each = 8, 200
	const failures, window = workers * each, 4 * workers * each
	var changes []fallback.Change
	b := fallback.NewBreaker(fallback.BreakerParams{Window: window, Failures: failures + 1, Rest: time.Second, Probes: 1},
		func(c fallback.Change) { changes = append(changes, c) })
	half := func(int) {
		for range each {
			b.Failure(start, late)
			b.Success(start)
		}
	}
	together(workers, half)
	if got := b.Status(); got.State != fallback.Closed || got.Failures != failures {
		t.Fatalf("one failure is missing, and it is %+v", got)
	}
	together(workers, func(int) {
		for range window / workers {
			b.Success(start)
		}
	})
	if got := b.Status(); got.State != fallback.Closed || got.Failures != 0 {
		t.Fatalf("all failures have left the window, and it is %+v", got)
	}
	together(workers, half)
	together(workers, func(int) { b.Failure(second(1), panicked) })
	want := []fallback.Change{{From: fallback.Closed, To: fallback.Open, Reason: panicked, At: second(1)}}
	if !slices.Equal(changes, want) {
		t.Errorf("got %+v, want %+v", changes, want)
	}
}

// Of many that ask at once no more pass on trial than have to succeed, and one alone begins the trial.
func TestBreakerAllowsConcurrentTrials(t *testing.T) {
	const workers = 16
	for range 100 {
		var changes []fallback.Change
		b := fallback.NewBreaker(small(), func(c fallback.Change) { changes = append(changes, c) })
		b.Failure(second(1), late)
		b.Failure(second(1), late)
		var passed atomic.Int64
		together(workers, func(int) {
			if b.Allow(second(11)) {
				passed.Add(1)
			}
		})
		if passed.Load() != int64(small().Probes) || len(changes) != 2 {
			t.Fatalf("%d passed; changes %+v", passed.Load(), changes)
		}
	}
}

// Goroutines that ask and report at random, or never report, leave a breaker whose changes form one story, and which
// closes when the tier is well again.
func TestBreakerRecoversAfterChaos(t *testing.T) {
	const workers, each = 8, 3000
	var changes []fallback.Change
	p := fallback.BreakerParams{Window: 10, Failures: 5, Rest: 50 * time.Millisecond, Probes: 3}
	b := fallback.NewBreaker(p, func(c fallback.Change) { changes = append(changes, c) })
	var clock atomic.Int64
	now := func() time.Time { return start.Add(time.Duration(clock.Add(1)) * time.Millisecond) }
	together(workers, func(worker int) {
		rng := rand.New(rand.NewPCG(uint64(worker), 2))
		for range each {
			if !b.Allow(now()) {
				continue
			}
			switch rng.IntN(8) {
			case 0: // it panicked, say
			case 1:
				b.Cancel()
			case 2, 3:
				b.Failure(now(), late)
			default:
				b.Success(now())
			}
		}
	})
	state := fallback.Closed
	for i, c := range changes {
		legal := c.From == state && (c.From == fallback.Closed && c.To == fallback.Open ||
			c.From == fallback.Open && c.To == fallback.HalfOpen || c.From == fallback.HalfOpen && c.To != fallback.HalfOpen)
		if !legal || (c.Reason == "") != (c.To == fallback.Closed) {
			t.Fatalf("change %d of %d, in state %s: %+v", i, len(changes), state, c)
		}
		state = c.To
	}
	if len(changes) < 10 {
		t.Errorf("only %d changes: the test looks at too little", len(changes))
	}
	for range 3 * int(p.Rest/time.Millisecond) {
		if b.Allow(now()) {
			b.Success(now())
		}
	}
	if got := b.Status(); got.State != fallback.Closed {
		t.Errorf("it does not recover: %+v", got)
	}
}

func TestBreakerAllocatesNothing(t *testing.T) {
	b := fallback.NewBreaker(small(), nil)
	n := 0
	allocations := testing.AllocsPerRun(100, func() {
		n += 20
		b.Failure(second(n), late)
		b.Failure(second(n), late)
		for range 2 {
			b.Allow(second(n + 10))
			b.Success(second(n + 10))
		}
		b.Status()
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkBreaker(b *testing.B) {
	p := fallback.DefaultParams().Breaker
	b.Run("closed", func(b *testing.B) {
		breaker := fallback.NewBreaker(p, nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if breaker.Allow(start) {
					breaker.Success(start)
				}
			}
		})
	})
	b.Run("open", func(b *testing.B) {
		breaker := fallback.NewBreaker(p, nil)
		for range p.Failures {
			breaker.Failure(start, late)
		}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				breaker.Allow(start)
			}
		})
	})
}
