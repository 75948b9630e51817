package chaos

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"recstream/internal/chaos/plant"
	"recstream/internal/chaos/proxy"
	"recstream/internal/chaos/workload"
	"recstream/internal/devstack"
)

const (
	stormTime = 30 * time.Minute
	// stormMost is how many troubles there are at a time at the most.
	stormMost = 3
)

// TestStorm has faults of all classes come over one to four instances, several at a time, in random order.
func TestStorm(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownPostgres: true, proxyPostgres: true, proxyKafka: true, cluster: thorough()})
	s.plantSwitch(t)
	r := s.begin(t, "12", fmt.Sprintf("storm of all for %s, %d kinds", scaledTime(stormTime), len(troubles)))
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.3, Bad: 0.1, Repeats: 0.05, Heavy: -1})
	r.read(t)
	r.another(t)
	r.another(t)
	r.publish(t, 200)
	r.advance(t, 25)
	w := &weather{run: r, until: time.Now().Add(scaledTime(stormTime)), met: map[string]int{}}
	w.rage(t)
	r.advance(t, 25)
	r.finish(t, 0, share(500))
}

// weather is a storm under way.
type weather struct {
	*run
	until  time.Time
	active []active
	met    map[string]int // how often each kind has done harm
	queue  []trouble      // of what is still to come before all has come once more
}

// active is a trouble that is not over.
type active struct {
	trouble
	effect
	since time.Time
}

// effect is what a trouble that was begun comes to.
type effect struct {
	over func() // ends it; nil where there is nothing to end
	// proof says whether it has done harm so far; nil where to begin it was to do it.
	proof func() bool
}

// begun is a trouble that has done harm by being begun.
func begun(over func()) *effect { return &effect{over: over} }

// rage has troubles come and go until the time is over, and then ends those that are left.
func (w *weather) rage(t *testing.T) {
	t.Helper()
	for time.Now().Before(w.until) {
		w.mustLive(t)
		if len(w.active) < stormMost && w.rng.IntN(3) > 0 {
			w.begin(t)
		} else if len(w.active) > 0 {
			w.endOne()
		}
		w.pause(time.Second)
	}
	for len(w.active) > 0 {
		w.mustLive(t)
		w.endOne()
		w.pause(time.Second)
	}
	w.mustHaveMet(t)
}

// mustHaveMet fails the test if a kind of trouble has never done harm, where there were ten times as many as kinds.
func (w *weather) mustHaveMet(t *testing.T) {
	t.Helper()
	for _, kind := range troubles {
		if w.met[kind.name] == 0 && w.faults >= 10*len(troubles) {
			t.Errorf("in all the storm there was nothing of this: %s", kind.name)
		}
	}
}

// begin begins a trouble, unless one of what it harms is going on. All kinds come before one comes again.
func (w *weather) begin(t *testing.T) {
	t.Helper()
	if len(w.queue) == 0 {
		w.queue = append(w.queue, troubles...)
		w.rng.Shuffle(len(w.queue), func(i, j int) { w.queue[i], w.queue[j] = w.queue[j], w.queue[i] })
	}
	next := w.queue[0]
	for _, a := range w.active {
		if a.harms == next.harms {
			return
		}
	}
	w.queue = w.queue[1:]
	e := next.begin(t, w.run)
	if e == nil {
		return // there was nothing to harm
	}
	w.note("begins: %s", next.name)
	w.active = append(w.active, active{next, *e, time.Now()})
}

// proofTime is how long a trouble may take to do harm: others may keep instances from meeting it.
const proofTime = 5 * time.Second

// endOne ends the trouble that has lasted longest, unless it is to be given more time to do harm. It counts if it has
// done some.
func (w *weather) endOne() {
	a := w.active[0]
	happened := a.proof == nil || a.proof()
	if !happened && time.Since(a.since) < proofTime {
		return
	}
	w.active = w.active[1:]
	if a.over != nil {
		a.over()
	}
	if !happened {
		w.note("over, and nothing has met it: %s", a.name)
		return
	}
	w.met[a.name]++
	w.struck("over: %s", a.name)
}

// trouble is a fault that lasts until it is over.
type trouble struct {
	name  string
	harms string // what; nothing is harmed twice at a time
	// begin begins it; nil is that there is nothing to harm.
	begin func(t *testing.T, r *run) *effect
}

var troubles = []trouble{
	{"an instance is killed", "instances", func(t *testing.T, r *run) *effect {
		if len(r.living()) == 1 {
			return nil
		}
		if i := r.any(); !i.kill() {
			t.Fatalf("instance %d was not ended by the kill: %v\n%s", i.number, i.err, i.tail(20))
		}
		return begun(func() {
			for range 1 + r.rng.IntN(2) {
				r.another(t)
			}
		})
	}},
	{"an instance stops", "instances", func(t *testing.T, r *run) *effect {
		if len(r.living()) == 1 {
			return nil
		}
		i := r.any()
		i.ask(t)
		return begun(func() {
			i.stopped(t)
			if r.rng.IntN(2) == 0 {
				r.another(t)
			}
		})
	}},
	{"an instance joins", "instances", func(t *testing.T, r *run) *effect {
		before := len(r.fleet)
		if r.another(t); len(r.fleet) == before {
			return nil
		}
		i := r.fleet[before]
		return &effect{proof: func() bool { return r.joins(i) > 0 }}
	}},
	{"an instance is silent", "instances", func(t *testing.T, r *run) *effect {
		i := r.any()
		i.signal(t, syscall.SIGSTOP)
		return begun(func() { i.signal(t, syscall.SIGCONT) })
	}},
	{"clocks are wrong", "clocks", func(t *testing.T, r *run) *effect {
		wrong := time.Duration(r.rng.Int64N(int64(2*skew))) - skew
		for n := range clocks {
			setClock(t, r.clock(n), wrong*time.Duration(n+1)/clocks)
		}
		return begun(nil)
	}},
	{"Postgres is stopped", "Postgres", func(t *testing.T, r *run) *effect {
		need(t, r.postgres.Kill())
		return begun(func() { need(t, r.postgres.Start(within(t, startTime))) })
	}},
	{"Postgres is silent", "Postgres", func(t *testing.T, r *run) *effect {
		need(t, r.postgres.Pause())
		return begun(func() { need(t, r.postgres.Resume()) })
	}},
	{"sessions are ended", "Postgres", func(t *testing.T, r *run) *effect {
		var ended int
		need(t, r.db.QueryRow(within(t, patience), `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
			FROM pg_stat_activity WHERE application_name = 'recstream'`).Scan(&ended))
		if ended == 0 {
			return nil
		}
		return begun(nil)
	}},
	{"the ledger is locked", "Postgres", func(t *testing.T, r *run) *effect {
		return &effect{over: r.lockLedger(t), proof: r.blocks(t, "decisions")}
	}},
	{"outcomes are locked", "Postgres", func(t *testing.T, r *run) *effect {
		return &effect{over: lockOutcomes(t, r), proof: r.blocks(t, "outcomes")}
	}},
	{"disk full, says Postgres", "Postgres", refused("53100", "decisions")},
	{"not serializable", "Postgres", refused("40001", "commit")},
	{"out of memory, says Postgres", "Postgres", refused("53200", "outcomes")},
	{"a broker is killed", "Kafka", func(t *testing.T, r *run) *effect {
		b := r.broker()
		need(t, b.Kill())
		return begun(func() { need(t, b.Start(within(t, startTime))) })
	}},
	{"a broker is silent", "Kafka", func(t *testing.T, r *run) *effect {
		b := r.broker()
		need(t, b.Pause())
		return begun(func() { need(t, b.Resume()) })
	}},
	{"leaders move", "Kafka", func(t *testing.T, r *run) *effect {
		if r.cluster == nil {
			return nil
		}
		r.elect(t, r.leaders(t))
		r.faults-- // it is counted when it is over, as all are
		return begun(nil)
	}},
	{"retention", "Kafka", func(t *testing.T, r *run) *effect {
		logs, err := r.kafkaView.Bounds(within(t, patience), r.topics().Requests)
		need(t, err)
		l := logs[r.rng.IntN(len(logs))]
		if l.End == l.First {
			return nil
		}
		r.deleteRecords(t, l.Topic, l.Partition, l.First+1+r.rng.Int64N(l.End-l.First))
		return begun(nil)
	}},
	lost("commits", "COMMIT", func(r *run) *proxy.Proxy { return r.postgresProxy }, proxy.Statement(`(?i)^\s*commit`)),
	lost("transactions' ends", "EndTxn", anyKafka, proxy.API(apiEndTxn)),
	lost("records", "Produce", anyKafka, proxy.API(apiProduce)),
	lost("offsets", "TxnOffsetCommit", anyKafka, proxy.API(apiTxnOffsetCommit)),
	shapedNetwork("slow", proxy.Shape{Latency: 100 * time.Millisecond, Jitter: 200 * time.Millisecond}),
	shapedNetwork("narrow", proxy.Shape{BytesPerSecond: proxy.Megabit}),
	shapedNetwork("a black hole", proxy.Shape{BlackHole: true}),
	{"connections are reset", "network", func(_ *testing.T, r *run) *effect {
		p := r.wire()
		if p.Reset() == 0 {
			return nil
		}
		return begun(p.Heal)
	}},
	{"connections are half-open", "network", func(_ *testing.T, r *run) *effect {
		p := r.wire()
		if p.HalfOpen(proxy.Server) == 0 {
			return nil
		}
		return begun(p.Heal)
	}},
	{"file descriptors are exhausted", "files", func(t *testing.T, r *run) *effect {
		i := r.any()
		before, restore := i.log.Count(tooMany), i.limitFiles(t)
		r.postgresProxy.Reset() // so that it asks for some
		over := func() {
			select {
			case <-i.done: // something else has ended it
			default:
				restore()
			}
		}
		return &effect{over: over, proof: func() bool { return i.log.Count(tooMany) > before }}
	}},
}

// lost loses the answers to what an instance asks for, again and again. It goes on for as long as the trouble lasts.
func lost(name, harms string, at func(*run) *proxy.Proxy, what proxy.Match) trouble {
	return trouble{"answers are lost: " + name, harms, func(_ *testing.T, r *run) *effect {
		armed := at(r).Arm(proxy.Trigger{Match: what, Skip: r.rng.IntN(3), When: proxy.AfterResponse, Times: 5})
		return &effect{over: armed.Disarm, proof: func() bool { return armed.Fired() > 0 }}
	}}
}

func anyKafka(r *run) *proxy.Proxy { return r.kafkaProxies[r.rng.IntN(len(r.kafkaProxies))] }

func shapedNetwork(name string, shape proxy.Shape) trouble {
	return trouble{"the network is " + name, "network", func(_ *testing.T, r *run) *effect {
		p, d := r.wire(), []proxy.Direction{proxy.ToServer, proxy.ToClient}[r.rng.IntN(2)]
		suffered := func() int64 {
			n := p.Counts()
			way := []proxy.Traffic{proxy.ToServer: n.ToServer, proxy.ToClient: n.ToClient}[d]
			return way.Delayed + way.Limited + way.Swallowed
		}
		before := suffered()
		p.Shape(d, shape)
		return &effect{over: p.Heal, proof: func() bool { return suffered() > before }}
	}}
}

// refused has Postgres raise a code at a place, until an instance has met it.
func refused(code, place string) func(t *testing.T, r *run) *effect {
	return func(t *testing.T, r *run) *effect {
		t.Helper()
		before := r.met(code)
		return &effect{over: raised(code, place).begin(t, r), proof: func() bool { return r.met(code) > before }}
	}
}

// blocks returns a proof that somebody waits for a locked table.
func (r *run) blocks(t *testing.T, table string) func() bool {
	t.Helper()
	return func() (waits bool) {
		err := r.db.QueryRow(within(t, proofTime), `SELECT EXISTS (SELECT FROM pg_locks
			WHERE relation = $1::regclass AND NOT granted)`, table).Scan(&waits)
		return err == nil && waits
	}
}

// wire is the way to any of the servers.
func (r *run) wire() *proxy.Proxy {
	if r.rng.IntN(2) == 0 {
		return r.postgresProxy
	}
	return anyKafka(r)
}

// broker is any of the brokers.
func (r *run) broker() *devstack.Kafka {
	if r.cluster == nil {
		return r.kafka
	}
	return r.cluster.Broker(1 + r.rng.IntN(len(r.cluster.Addrs())))
}

// any is any of the instances; there is one at the least.
func (r *run) any() *instance {
	alive := r.living()
	return alive[r.rng.IntN(len(alive))]
}

// clocks is how many there are, for all instances of a storm.
const clocks = 2

func (r *run) clock(n int) string { return filepath.Join(r.dir, fmt.Sprintf("clock-%d", n)) }

// another starts an instance with one of the clocks, unless there are four.
func (r *run) another(t *testing.T) {
	t.Helper()
	if len(r.living()) == 4 {
		return
	}
	path := r.clock(r.rng.IntN(clocks))
	setClock(t, path, 0)
	r.serve(t, plant.EnvClock+"="+path)
}
