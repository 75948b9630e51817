package chaos

import (
	"slices"
	"testing"
	"time"

	"recstream/internal/chaos/plant"
	"recstream/internal/chaos/workload"
)

// TestKillAtEachPoint has instances kill themselves at each of the named points, as often as told. Several are at work
// at a time, each with a point of its own, so that a kill also comes upon those who take over. A short run has some of
// the points, others each time.
func TestKillAtEachPoint(t *testing.T) {
	t.Parallel()
	s := open(t, setup{env: []string{"RECSTREAM_KAFKA_SESSION_TIMEOUT=1s", "RECSTREAM_KAFKA_HEARTBEAT_INTERVAL=200ms"}})
	r := s.begin(t, "2", "SIGKILL at each of the named points")
	r.read(t)
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.4, Bad: 0.1, Repeats: 0.05, Heavy: -1})
	r.publish(t, 500)
	points := some(r, slices.Repeat(plant.Points(), share(20)))
	r.killAtPoints(t, points)
	s.serve(t)
	r.finish(t, share(50_000), len(points))
}

// doomed is an instance that is to kill itself at a point.
type doomed struct {
	*instance
	point plant.Point
}

// killAtPoints keeps three instances at work, until each of the points has had its kill.
func (r *run) killAtPoints(t *testing.T, points []plant.Point) {
	t.Helper()
	var alive []doomed
	for r.faults < len(points) {
		for len(alive) < 3 && r.faults+len(alive) < len(points) {
			alive = append(alive, r.doom(t, points[r.faults+len(alive)]))
		}
		eventually(t, "an instance to kill itself", patience, func() (bool, string) {
			ended := slices.IndexFunc(alive, func(d doomed) bool { return d.endsWithin(time.Millisecond) })
			if ended < 0 {
				return false, alive[0].tail(5)
			}
			r.mustDieAt(t, alive[ended].instance, alive[ended].point)
			alive = slices.Delete(alive, ended, ended+1)
			return true, ""
		})
	}
}

// doom starts an instance that kills itself at the point, one of the first times that it is there.
func (r *run) doom(t *testing.T, point plant.Point) doomed {
	t.Helper()
	return doomed{r.serve(t, faultAt(point, 1+r.rng.IntN(3), plant.Kill)...), point}
}
