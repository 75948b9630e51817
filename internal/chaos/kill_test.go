package chaos

import (
	"testing"
	"time"
)

// TestKillAtRandom kills instances at random moments, two to four of them at work, and starts others after a while.
// Each kill comes while the group is at work: it has committed something since the kill before.
func TestKillAtRandom(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	r := s.begin(t, "1", "SIGKILL at random")
	r.read(t)
	for range 3 {
		s.serve(t)
	}
	r.publish(t, 500)
	for kills := share(200); r.faults < kills; {
		r.advance(t, 25)
		r.pause(500 * time.Millisecond)
		alive := s.living()
		if len(alive) > 2 && (len(alive) == 4 || r.rng.IntN(2) == 0) {
			r.killOne(t, alive)
			continue
		}
		s.serve(t)
	}
	for len(s.living()) < 2 {
		s.serve(t)
	}
	r.finish(t, share(100_000), share(200))
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
