package chaos

import (
	"testing"
	"time"
)

// TestKillAtRandom kills instances at random moments, two to four of them at work, and starts others after a while.
// Each kill comes while the group is at work: it has committed something since the kill before.
func TestKillAtRandom(t *testing.T) {
	t.Parallel()
	r := open(t, setup{}).begin(t, "1", "SIGKILL at random")
	r.read(t)
	r.killAtRandom(t, 200, 100_000)
}

// TestKillAtLeastOnce does the same to instances that may write a result again: nothing else is allowed to them. That
// readers see each once is no promise then.
func TestKillAtLeastOnce(t *testing.T) {
	t.Parallel()
	r := open(t, setup{atLeastOnce: true}).begin(t, "1", "SIGKILL at random, at_least_once")
	r.killAtRandom(t, 50, 25_000)
}

// killAtRandom kills the scaled part of so many instances, with at least the scaled part of so many requests.
func (r *run) killAtRandom(t *testing.T, kills, requests int) {
	t.Helper()
	for range 3 {
		r.serve(t)
	}
	r.publish(t, 500)
	for r.faults < share(kills) {
		r.advance(t, 25)
		r.pause(500 * time.Millisecond)
		alive := r.living()
		if len(alive) > 2 && (len(alive) == 4 || r.rng.IntN(2) == 0) {
			r.killOne(t, alive)
			continue
		}
		r.serve(t)
	}
	for len(r.living()) < 2 {
		r.serve(t)
	}
	r.finish(t, share(requests), share(kills))
}

// killOne kills any of the instances.
func (r *run) killOne(t *testing.T, alive []*instance) {
	t.Helper()
	i := alive[r.rng.IntN(len(alive))]
	if !i.kill() {
		t.Fatalf("instance %d was not ended by the kill: %v\n%s", i.number, i.err, i.tail(20))
	}
	r.struck("instance %d of %d was killed", i.number, len(alive))
}
