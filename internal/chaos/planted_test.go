package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/plant"
	"recstream/internal/chaos/workload"
)

// planted says how each bug is provoked, and with which of the codes the checker has to find it.
var planted = map[plant.Bug]struct {
	provocation
	codes []history.Code
}{
	// Where the service itself notices that it has lost events, it says so, and that is no gap of retention.
	plant.OffsetBeforeRows:       {killedAt(plant.BeforeStore, 2), codes(history.LostRow, history.WrongGap)},
	plant.ResultsBeforeRows:      {killedAt(plant.AfterPublish, 2), codes(history.LostRow, history.WrongGap)},
	plant.NoFence:                {frozenAt(plant.BeforeStore), codes(history.FenceBackwards)},
	plant.FenceApart:             {killedAt(plant.AfterCommit, 3), codes(history.LostRow)},
	plant.LedgerErrorSwallowed:   {failingAt(plant.BeforeStore, 2), codes(history.LostRow)},
	plant.FeedbackErrorSwallowed: {failingAt(plant.FeedbackBeforeStore, 2), codes(history.LostOutcome)},
	plant.RedeliveredScoredAnew:  {killedAt(plant.BeforePublish, 2), codes(history.ResultDiffersFromRow)},
	plant.RepeatsDecidedAnew:     {calm, codes(history.ResultsDiffer)},
	plant.RepeatAnsweredAsOwn:    {calm, codes(history.ResultsDiffer)},
	plant.FeedbackAppliedTwice:   {calm, codes(history.ProfileWrong)},

	plant.PositionKept:             {rebalanced, codes(history.LostRow, history.WrongGap)},
	plant.PositionBeforeProducerID: {overtaken, codes(history.DoubledResult)},
	plant.OffsetPlusOne:            {killedAt(plant.AfterEnd, 2), codes(history.LostRow, history.WrongGap)},
	plant.OffsetMinusOne:           {killedAt(plant.AfterEnd, 2), codes(history.DoubledResult, history.DoubledRejection, history.OffsetNotAtEnd)},
	plant.OffsetBackwards:          {killedAt(plant.BeforeStore, 5), codes(history.OffsetBackwards, history.DoubledResult)},
	plant.OffsetApart:              {killedAt(plant.AfterEnd, 2), codes(history.DoubledResult)},

	plant.NoIdempotence:         {failingAt(plant.AfterProduce, 2), codes(history.DoubledResult)},
	plant.NoFencing:             {frozenAt(plant.BeforeEnd), codes(history.DoubledResult)},
	plant.PublishErrorSwallowed: {failingAt(plant.BeforeProduce, 2), codes(history.LostResult)},
	plant.AbortTakenForCommit:   {calm, codes(history.LostResult)},
	plant.OutcomeNotReadBack:    {failingAt(plant.AfterEnd, 2), codes(history.DoubledResult)},
	plant.ResultsScattered:      {calm, codes(history.KeyScattered)},
	plant.ResultsReversed:       {calm, codes(history.OrderBroken)},
	plant.DeadLetterDropped:     {calm, codes(history.DeadLetterLost)},
	plant.DeadLetterAltered:     {calm, codes(history.DeadLetterWrong)},
	plant.RejectionUnanswered:   {calm, codes(history.LostRejection)},
}

func codes(list ...history.Code) []history.Code { return list }

// TestPlantedBugs has the checker find every bug that can be planted.
func TestPlantedBugs(t *testing.T) {
	for _, bug := range plant.Bugs() {
		p, ok := planted[bug]
		if !ok {
			t.Errorf("nothing provokes the bug %q", bug)
			continue
		}
		t.Run(string(bug), func(t *testing.T) {
			t.Parallel()
			p.mustFind(t, bug, p.codes)
		})
	}
}

// TestNoBugPlanted shows that what provokes a bug is nothing that the program does not get over without one: all of it
// is done, one thing after the other, and there is no violation.
func TestNoBugPlanted(t *testing.T) {
	grounds := map[ground]map[string]provocation{}
	for _, p := range planted {
		if grounds[p.ground] == nil {
			grounds[p.ground] = map[string]provocation{}
		}
		grounds[p.ground][p.name] = p.provocation
	}
	for g, provocations := range grounds {
		t.Run(fmt.Sprintf("partitions-%d-quiet-%t", g.partitions, g.quiet), func(t *testing.T) {
			t.Parallel()
			g.mustBeClean(t, provocations)
		})
	}
}

// mustBeClean runs provocations without a bug.
func (g ground) mustBeClean(t *testing.T, provocations map[string]provocation) {
	t.Helper()
	r := g.begin(t, "none planted")
	faults := 0
	for _, name := range slices.Sorted(maps.Keys(provocations)) {
		p := provocations[name]
		r.note("%s", name)
		p.provoke(t, r, nil)
		r.rest(t, nil)
		for _, i := range r.living() {
			i.stop(t, patience)
		}
		faults += p.faults
		need(t, r.send(t.Context(), plantedEvents))
	}
	r.serve(t)
	r.finish(t, 0, faults)
}

// provocation is what is done in a run so that a bug goes wrong.
type provocation struct {
	ground
	name    string
	faults  int // that it does
	provoke func(t *testing.T, r *run, env []string)
}

// ground is what a provocation needs.
type ground struct {
	partitions int // of each topic
	// quiet is without feedback: an instance that stops in the middle of a batch of it keeps the locks that it has in
	// Postgres, and everybody else would wait until Postgres ends its session, after a minute.
	quiet bool
}

// plantedEvents are published in a run with a bug: some ten batches of requests.
const plantedEvents = 400

// begin opens a stage with everything published before the first instance is started, so that batches are full.
func (g ground) begin(t *testing.T, name string) *run {
	t.Helper()
	s := open(t, setup{partitions: g.partitions, env: []string{
		"RECSTREAM_KAFKA_SESSION_TIMEOUT=1s", "RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=200ms"}})
	r := s.begin(t, "bugs", name)
	feedback := 0.25
	if g.quiet {
		feedback = 0
	}
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t), Users: 40,
		Feedback: feedback, Bad: 0.1, Repeats: 0.1, Heavy: -1})
	need(t, r.send(t.Context(), plantedEvents))
	return r
}

// mustFind runs a bug and fails the test unless the bug went wrong and the checker says so, with one of the codes.
func (p provocation) mustFind(t *testing.T, bug plant.Bug, want []history.Code) {
	t.Helper()
	r := p.begin(t, string(bug))
	p.provoke(t, r, []string{plant.EnvBug + "=" + string(bug)})
	r.rest(t, unfinished[bug])
	if !slices.ContainsFunc(r.fleet, func(i *instance) bool { return strings.Contains(i.log.String(), plant.BugAtWork(bug)) }) {
		t.Fatal("the bug was not provoked: this run shows nothing")
	}
	violations := history.Check(r.collect(t))
	if !slices.ContainsFunc(violations, func(v history.Violation) bool { return slices.Contains(want, v.Code) }) {
		t.Errorf("the checker has not found it; want one of %q, got %d violations:\n%s", want, len(violations), history.Report(violations, 3))
	}
	r.requests, r.violations, r.took = int(r.sent.Load()), len(violations), time.Since(r.began)
	table.add(r.report)
}

// unfinished says how far the bugs get that keep a run from its end; the others get there.
var unfinished = map[plant.Bug]func(history.Progress) bool{
	plant.LedgerErrorSwallowed:   func(p history.Progress) bool { return p.Committed == p.End },
	plant.FeedbackErrorSwallowed: func(p history.Progress) bool { return p.Committed == p.End },
	plant.OffsetMinusOne:         func(p history.Progress) bool { return p.Committed == p.End-1 && p.Fence == p.End },
	plant.PositionKept:           func(p history.Progress) bool { return p.Fence == p.End },
}

// ended reports whether all of a partition is committed and stored.
func ended(p history.Progress) bool { return p.Committed >= p.End && p.Fence >= p.End }

// rest waits until every partition has got as far as it can; nil is to its end.
func (r *run) rest(t *testing.T, done func(history.Progress) bool) {
	t.Helper()
	if done == nil {
		done = ended
	}
	eventually(t, "the run to come to rest", patience, func() (bool, string) {
		seen, err := r.observer.Observe(t.Context())
		left := slices.ContainsFunc(seen, func(p history.Progress) bool { return p.End > 0 && !done(p) })
		return err == nil && !left, fmt.Sprint(seen, err)
	})
}

// calm does no harm at all.
var calm = provocation{name: "calm", ground: ground{partitions: 4}, provoke: func(t *testing.T, r *run, env []string) { r.serve(t, env...) }}

// faultAt is the environment of an instance with a fault at a point.
func faultAt(point plant.Point, at int, do plant.Action) []string {
	return []string{plant.EnvPoint + "=" + string(point), fmt.Sprintf("%s=%d", plant.EnvAt, at), plant.EnvDo + "=" + string(do)}
}

// killedAt has the instance die when it has reached a point so often, and another one take over.
func killedAt(point plant.Point, at int) provocation {
	return provocation{name: fmt.Sprintf("killed at %s, time %d", point, at), ground: ground{partitions: 1}, faults: 1, provoke: func(t *testing.T, r *run, env []string) {
		i := r.serve(t, slices.Concat(env, faultAt(point, at, plant.Kill))...)
		r.mustDieAt(t, i, point)
		r.serve(t, env...)
	}}
}

// mustDieAt waits until the instance has killed itself at the point.
func (r *run) mustDieAt(t *testing.T, i *instance, point plant.Point) {
	t.Helper()
	i.meant.Store(true)
	if !i.endsWithin(patience) {
		t.Fatalf("instance %d has not reached %s\n%s", i.number, point, i.tail(20))
	}
	if i.signalled() != syscall.SIGKILL || !strings.Contains(i.log.String(), plant.PointReached(point)) {
		t.Fatalf("instance %d ended with %v, not at %s\n%s", i.number, i.err, point, i.tail(20))
	}
	r.struck("instance %d killed itself at %s", i.number, point)
}

// failingAt has an operation fail once, or its answer be lost.
func failingAt(point plant.Point, at int) provocation {
	return provocation{name: fmt.Sprintf("failing at %s, time %d", point, at), ground: ground{partitions: 1}, faults: 1, provoke: func(t *testing.T, r *run, env []string) {
		i := r.serve(t, slices.Concat(env, faultAt(point, at, plant.Fail))...)
		i.awaitLog(t, plant.PointReached(point))
		r.struck("instance %d failed at %s", i.number, point)
	}}
}

// frozenAt has the instance stop at a point, without a word, and go on when another one has done all of its work.
func frozenAt(point plant.Point) provocation {
	return provocation{name: fmt.Sprintf("frozen at %s", point), ground: ground{partitions: 1, quiet: true}, faults: 1, provoke: func(t *testing.T, r *run, env []string) {
		first := r.serve(t, slices.Concat(env, faultAt(point, 2, plant.Stop))...)
		r.mustStopAt(t, first, point)
		r.serve(t, env...)
		r.rest(t, nil)
		first.signal(t, syscall.SIGCONT)
		r.awaitJoins(t, first, 2)
	}}
}

// mustStopAt waits until the instance has stopped itself at the point, with all of its threads.
func (r *run) mustStopAt(t *testing.T, i *instance, point plant.Point) {
	t.Helper()
	i.awaitLog(t, plant.PointReached(point))
	eventually(t, "the process to be stopped", patience, func() (bool, string) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", i.cmd.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") T "), string(stat)
	})
	r.struck("instance %d stopped at %s", i.number, point)
}

// awaitJoins waits until the instance has joined the group of requests so often.
func (r *run) awaitJoins(t *testing.T, i *instance, n int) {
	t.Helper()
	eventually(t, "the instance to join its group again", patience, func() (bool, string) { return r.joins(i) >= n, i.tail(5) })
}

// joins returns how often the instance has joined the group of requests.
func (r *run) joins(i *instance) (n int) {
	for line := range strings.Lines(i.log.String()) {
		if containsAll(line, []string{"joined consumer group", "group=" + r.groups().Requests + " "}) {
			n++
		}
	}
	return n
}

// overtaken has an instance take a partition over while its last owner, which seemed dead, ends its last transaction:
// the new one is held up just before it would have made that impossible. It hears late that the old one is back.
var overtaken = provocation{name: "overtaken by the last owner", ground: ground{partitions: 1, quiet: true}, faults: 2, provoke: func(t *testing.T, r *run, env []string) {
	first := r.serve(t, slices.Concat(env, faultAt(plant.BeforeEnd, 2, plant.Stop))...)
	r.mustStopAt(t, first, plant.BeforeEnd)
	before, err := r.look(t)
	need(t, err)
	second := r.serve(t, slices.Concat(env, faultAt(plant.BeforeProducerID, 1, plant.Stop),
		[]string{"RECSTREAM_KAFKA_SESSION_TIMEOUT=12s", "RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=4s"})...)
	r.mustStopAt(t, second, plant.BeforeProducerID)
	first.signal(t, syscall.SIGCONT)
	eventually(t, "the last owner's transaction to end", patience, func() (bool, string) {
		now, err := r.look(t)
		return err == nil && now > before, fmt.Sprint(now, err)
	})
	second.signal(t, syscall.SIGCONT)
}}

// rebalanced has a second instance join while the first cannot store what it has in hand, so that it gives that up.
var rebalanced = provocation{name: "rebalanced while the ledger is slow", ground: ground{partitions: 4}, faults: 1, provoke: func(t *testing.T, r *run, env []string) {
	env = append(slices.Clone(env), "RECSTREAM_CONSUMER_DRAIN_TIMEOUT=1s")
	first := r.serve(t, env...)
	r.rest(t, nil) // it needs the ledger to start
	tx, err := r.db.Begin(t.Context())
	need(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }() // after a commit it does nothing
	_, err = tx.Exec(t.Context(), `LOCK TABLE decisions IN SHARE MODE`)
	need(t, err)
	need(t, r.send(t.Context(), plantedEvents))
	eventually(t, "the instance to wait for the ledger", patience, func() (bool, string) {
		var waiting int
		err := r.db.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'COPY decisions%'`).Scan(&waiting)
		return waiting > 1, fmt.Sprint(waiting, err)
	})
	r.serveInto(t, first, env)
	r.struck("a batch was given up in a rebalance")
	need(t, tx.Commit(t.Context()))
}}

// serveInto starts an instance beside another one, and waits until that has given its work up and joined again.
func (r *run) serveInto(t *testing.T, first *instance, env []string) {
	t.Helper()
	joins := r.joins(first)
	r.serve(t, env...)
	first.awaitLog(t, "partition given back to the group")
	r.awaitJoins(t, first, joins+1)
}
