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
	w := &weather{run: r, until: time.Now().Add(scaledTime(stormTime))}
	w.rage(t)
	r.advance(t, 25)
	r.finish(t, 0, share(500))
}

// weather is a storm under way.
type weather struct {
	*run
	until  time.Time
	active []active
	queue  []trouble // of what is still to come before all has come once more
}

// active is a trouble that is not over.
type active struct {
	trouble
	over func()
}

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
		w.endOne()
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
	over := next.begin(t, w.run)
	if over == nil {
		return // there was nothing to harm
	}
	w.struck("begins: %s", next.name)
	w.active = append(w.active, active{next, over})
}

// endOne ends the trouble that has lasted longest.
func (w *weather) endOne() {
	a := w.active[0]
	w.active = w.active[1:]
	a.over()
	w.note("over: %s", a.name)
}

// trouble is a fault that lasts until it is over.
type trouble struct {
	name  string
	harms string // what; nothing is harmed twice at a time
	begin func(t *testing.T, r *run) (over func())
}

var troubles = []trouble{
	{"an instance is killed", "instances", func(t *testing.T, r *run) func() {
		if len(r.living()) == 1 {
			return nil
		}
		r.any().kill()
		return func() {
			for range 1 + r.rng.IntN(2) {
				r.another(t)
			}
		}
	}},
	{"an instance stops", "instances", func(t *testing.T, r *run) func() {
		if len(r.living()) == 1 {
			return nil
		}
		i := r.any()
		i.ask(t)
		return func() {
			i.stopped(t)
			if r.rng.IntN(2) == 0 {
				r.another(t)
			}
		}
	}},
	{"an instance joins", "instances", func(t *testing.T, r *run) func() {
		r.another(t)
		return func() {}
	}},
	{"an instance is silent", "instances", func(t *testing.T, r *run) func() {
		i := r.any()
		i.signal(t, syscall.SIGSTOP)
		return func() { i.signal(t, syscall.SIGCONT) }
	}},
	{"clocks are wrong", "clocks", func(t *testing.T, r *run) func() {
		wrong := time.Duration(r.rng.Int64N(int64(2*skew))) - skew
		for n := range clocks {
			setClock(t, r.clock(n), wrong*time.Duration(n+1)/clocks)
		}
		return func() {}
	}},
	{"Postgres is stopped", "Postgres", func(t *testing.T, r *run) func() {
		need(t, r.postgres.Kill())
		return func() { need(t, r.postgres.Start(within(t, startTime))) }
	}},
	{"Postgres is silent", "Postgres", func(t *testing.T, r *run) func() {
		need(t, r.postgres.Pause())
		return func() { need(t, r.postgres.Resume()) }
	}},
	{"sessions are ended", "Postgres", func(t *testing.T, r *run) func() {
		r.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recstream'`)
		return func() {}
	}},
	{"the ledger is locked", "Postgres", func(t *testing.T, r *run) func() { return r.lockLedger(t) }},
	{"outcomes are locked", "Postgres", lockOutcomes},
	{"disk full, says Postgres", "Postgres", raised("53100", "decisions").begin},
	{"not serializable", "Postgres", raised("40001", "commit").begin},
	{"out of memory, says Postgres", "Postgres", raised("53200", "outcomes").begin},
	{"a broker is killed", "Kafka", func(t *testing.T, r *run) func() {
		b := r.broker()
		need(t, b.Kill())
		return func() { need(t, b.Start(within(t, startTime))) }
	}},
	{"a broker is silent", "Kafka", func(t *testing.T, r *run) func() {
		b := r.broker()
		need(t, b.Pause())
		return func() { need(t, b.Resume()) }
	}},
	{"leaders move", "Kafka", func(t *testing.T, r *run) func() {
		if r.cluster == nil {
			return nil
		}
		r.elect(t, r.leaders(t))
		return func() {}
	}},
	{"retention", "Kafka", func(t *testing.T, r *run) func() {
		logs, err := r.kafkaView.Bounds(within(t, patience), r.topics().Requests)
		need(t, err)
		l := logs[r.rng.IntN(len(logs))]
		if l.End == l.First {
			return nil
		}
		r.deleteRecords(t, l.Topic, l.Partition, l.First+1+r.rng.Int64N(l.End-l.First))
		return func() {}
	}},
	lost("commits", "COMMIT", func(r *run) *proxy.Proxy { return r.postgresProxy }, proxy.Statement(`(?i)^\s*commit`)),
	lost("transactions' ends", "EndTxn", anyKafka, proxy.API(apiEndTxn)),
	lost("records", "Produce", anyKafka, proxy.API(apiProduce)),
	lost("offsets", "TxnOffsetCommit", anyKafka, proxy.API(apiTxnOffsetCommit)),
	shapedNetwork("slow", proxy.Shape{Latency: 100 * time.Millisecond, Jitter: 200 * time.Millisecond}),
	shapedNetwork("narrow", proxy.Shape{BytesPerSecond: proxy.Megabit}),
	shapedNetwork("a black hole", proxy.Shape{BlackHole: true}),
	{"connections are reset", "network", func(_ *testing.T, r *run) func() {
		p := r.wire()
		p.Reset()
		return p.Heal
	}},
	{"connections are half-open", "network", func(_ *testing.T, r *run) func() {
		p := r.wire()
		p.HalfOpen(proxy.Server)
		return p.Heal
	}},
	{"file descriptors are exhausted", "files", func(t *testing.T, r *run) func() {
		i := r.any()
		restore := i.limitFiles(t)
		return func() {
			select {
			case <-i.done: // something else has ended it
			default:
				restore()
			}
		}
	}},
}

// lost loses the answers to what an instance asks for, again and again. It goes on for as long as the trouble lasts.
func lost(name, harms string, at func(*run) *proxy.Proxy, what proxy.Match) trouble {
	return trouble{"answers are lost: " + name, harms, func(_ *testing.T, r *run) func() {
		armed := at(r).Arm(proxy.Trigger{Match: what, Skip: r.rng.IntN(3), When: proxy.AfterResponse, Times: 5})
		return armed.Disarm
	}}
}

func anyKafka(r *run) *proxy.Proxy { return r.kafkaProxies[r.rng.IntN(len(r.kafkaProxies))] }

func shapedNetwork(name string, shape proxy.Shape) trouble {
	return trouble{"the network is " + name, "network", func(_ *testing.T, r *run) func() {
		p := r.wire()
		p.Shape([]proxy.Direction{proxy.ToServer, proxy.ToClient}[r.rng.IntN(2)], shape)
		return p.Heal
	}}
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
