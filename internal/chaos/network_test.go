package chaos

import (
	"fmt"
	"testing"
	"time"

	"recstream/internal/chaos/proxy"
)

// wire is a kind of trouble on the way between instances and a server.
type wire struct {
	name string
	// harm begins it, in one direction; heal is for everything that can be healed.
	harm func(p *proxy.Proxy, d proxy.Direction)
	// done returns what the trouble has done so far, in that direction: what counts up.
	done  func(n proxy.Counts, traffic proxy.Traffic) int64
	lasts time.Duration
	both  bool // it is in both directions at once
}

// shaped is a wire whose shape is bad for a while.
func shaped(name string, shape proxy.Shape, lasts time.Duration, done func(proxy.Traffic) int64) wire {
	return wire{name: name, lasts: lasts,
		harm: func(p *proxy.Proxy, d proxy.Direction) { p.Shape(d, shape) },
		done: func(_ proxy.Counts, traffic proxy.Traffic) int64 { return done(traffic) }}
}

var wires = []wire{
	shaped("latency", proxy.Shape{Latency: 200 * time.Millisecond, Jitter: 200 * time.Millisecond}, 3*time.Second,
		func(n proxy.Traffic) int64 { return n.Delayed }),
	shaped("1 Mbit/s", proxy.Shape{BytesPerSecond: proxy.Megabit}, 3*time.Second,
		func(n proxy.Traffic) int64 { return n.Limited }),
	shaped("black hole", proxy.Shape{BlackHole: true}, 3*time.Second,
		func(n proxy.Traffic) int64 { return n.Swallowed }),
	{name: "reset", both: true,
		harm: func(p *proxy.Proxy, _ proxy.Direction) { p.Reset() },
		done: func(n proxy.Counts, _ proxy.Traffic) int64 { return int64(n.Reset) }},
	{name: "half-open",
		harm: func(p *proxy.Proxy, d proxy.Direction) {
			p.HalfOpen([]proxy.Side{proxy.ToServer: proxy.Server, proxy.ToClient: proxy.Client}[d])
		},
		done: func(n proxy.Counts, _ proxy.Traffic) int64 { return int64(n.HalfOpened) }},
}

// TestNetworkToPostgres makes the network between instances and Postgres bad, one way at a time.
func TestNetworkToPostgres(t *testing.T) {
	t.Parallel()
	s := open(t, setup{proxyPostgres: true})
	r := s.begin(t, "6", "network to Postgres")
	r.badNetwork(t, s.postgresProxy)
}

// TestNetworkToKafka makes the network between instances, and readers, and Kafka bad.
func TestNetworkToKafka(t *testing.T) {
	t.Parallel()
	s := open(t, setup{proxyKafka: true})
	r := s.begin(t, "6", "network to Kafka")
	r.read(t)
	r.badNetwork(t, s.kafkaProxies[0])
}

// ways are the directions that a wire can be bad in.
func (w wire) ways() []proxy.Direction {
	if w.both {
		return []proxy.Direction{proxy.ToServer}
	}
	return []proxy.Direction{proxy.ToServer, proxy.ToClient}
}

// badNetwork does every kind of harm, in all of its directions, again and again. The stream gets over each.
func (r *run) badNetwork(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	r.serve(t)
	r.serve(t)
	r.publish(t, 200)
	rounds, perRound := share(10), 0
	for _, w := range wires {
		perRound += len(w.ways())
	}
	for range rounds {
		for _, w := range wires {
			for _, d := range w.ways() {
				r.advance(t, 25)
				r.pause(300 * time.Millisecond)
				r.spoil(t, p, w, d)
			}
		}
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), rounds*perRound)
}

// spoil does one kind of harm in one direction for as long as it lasts, sees that it was done, and heals the wire.
func (r *run) spoil(t *testing.T, p *proxy.Proxy, w wire, d proxy.Direction) {
	t.Helper()
	done := func() int64 {
		n := p.Counts()
		return w.done(n, []proxy.Traffic{proxy.ToServer: n.ToServer, proxy.ToClient: n.ToClient}[d])
	}
	before, began := done(), time.Now()
	w.harm(p, d)
	eventually(t, w.name+" to do harm", patience, func() (bool, string) {
		return done() > before && time.Since(began) >= w.lasts, fmt.Sprint(done(), " after ", before)
	})
	p.Heal()
	if w.both {
		r.struck("%s", w.name)
		return
	}
	r.struck("%s, way %d", w.name, d)
}
