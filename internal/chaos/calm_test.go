package chaos

import "testing"

// TestNoFault shows that a run without a fault has no violation, and that readers see it all.
func TestNoFault(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	r := s.begin(t, "0", "no fault")
	r.read(t)
	s.serve(t)
	s.serve(t)
	r.publish(t, 500)
	r.advance(t, int64(share(10_000)))
	r.finish(t, share(20_000), 0)
}
