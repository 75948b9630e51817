package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"recstream/internal/chaos/plant"
	"recstream/internal/chaos/workload"
)

// skew is how far the clocks of instances are wrong at the most: all of them are within a day of each other, as the
// ledger's look-back wants it.
const skew = 11 * time.Hour

// TestClocksJump has the clocks of two instances jump, each by itself, forwards and backwards, and over midnight UTC.
// An instance is killed after every third jump, so that batches are taken up on another day than they were begun.
func TestClocksJump(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	r := s.begin(t, "11", "clocks jump")
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.2, Bad: 0.05, Repeats: 0.2, Heavy: -1})
	clocks := []string{s.path("clock-1"), s.path("clock-2")}
	var at []*instance
	for _, path := range clocks {
		setClock(t, path, 0)
		at = append(at, s.serve(t, plant.EnvClock+"="+path))
	}
	r.publish(t, 300)
	jumps := max(4, share(100))
	for r.faults < jumps {
		r.awaitMembers(t, len(at))
		which := r.rng.IntN(len(clocks))
		if r.faults%4 == 3 {
			r.passMidnight(t, clocks)
		} else {
			r.jump(t, clocks[which], time.Duration(r.rng.Int64N(int64(2*skew)))-skew)
		}
		if r.faults%3 == 2 {
			at[which].kill()
			at[which] = s.serve(t, plant.EnvClock+"="+clocks[which])
		}
	}
	r.advance(t, 25)
	r.finish(t, share(20_000), jumps)
}

// setClock says by how much a clock is wrong.
func setClock(t *testing.T, path string, wrong time.Duration) {
	t.Helper()
	need(t, os.WriteFile(path+".new", []byte(wrong.String()), 0o600))
	need(t, os.Rename(path+".new", path)) // whole at any moment
}

// jump sets a clock, and waits for decisions by it.
func (r *run) jump(t *testing.T, clock string, wrong time.Duration) {
	t.Helper()
	setClock(t, clock, wrong)
	r.awaitDecisions(t, time.Now().Add(wrong), time.Minute)
	r.struck("a clock is wrong by %s", wrong)
}

// passMidnight sets all clocks to shortly before midnight, and waits for decisions on both sides of it. Where midnight
// is too far away for clocks within a day of each other, the nearer one is taken, and passed backwards.
func (r *run) passMidnight(t *testing.T, clocks []string) {
	t.Helper()
	const before = 8 * time.Second
	now := time.Now().UTC()
	midnight := now.Truncate(24 * time.Hour)
	if now.Sub(midnight) > 12*time.Hour {
		midnight = midnight.Add(24 * time.Hour)
	}
	for _, path := range clocks {
		setClock(t, path, midnight.Add(-before).Sub(now))
	}
	r.awaitDecisions(t, midnight.Add(-before), before)
	r.awaitDecisions(t, midnight, time.Minute)
	r.struck("clocks passed midnight")
}

// awaitDecisions waits for decisions scored from that time on, by the clock of an instance.
func (r *run) awaitDecisions(t *testing.T, from time.Time, within time.Duration) {
	t.Helper()
	r.mustLive(t)
	eventually(t, fmt.Sprintf("decisions at %s", from), patience, func() (ok bool, state string) {
		err := r.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM decisions WHERE scored_at >= $1 AND scored_at < $2)`,
			from, from.Add(within)).Scan(&ok)
		return err == nil && ok, fmt.Sprint(err)
	})
}

// disk is a small one of its own.
type disk struct {
	dir   string
	bytes int64
}

// newDisk makes a disk for the data of a server, and takes it away at the test's end.
func newDisk(t *testing.T, bytes int64) disk {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no faults")
	}
	dir, err := os.MkdirTemp("", "recstream-disk-*") //nolint:usetesting // Postgres, another user, cannot enter the test's own
	need(t, err)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", bytes)); err != nil {
		_ = os.Remove(dir)
		t.Skipf("no small disk to be had, for that root's rights are needed: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
		_ = os.Remove(dir)
	})
	return disk{dir, bytes}
}

// fill takes all the room that is left, for as long as free is not called.
func (d disk) fill(t *testing.T) (free func()) {
	t.Helper()
	path := filepath.Join(d.dir, "filler")
	f, err := os.Create(path) //nolint:gosec // the test's own directory
	need(t, err)
	chunk := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(chunk)
	}
	need(t, f.Close())
	if pathError, ok := err.(*os.PathError); !ok || pathError.Err != syscall.ENOSPC { //nolint:errorlint // as os returns it
		t.Fatalf("fill the disk: %v", err)
	}
	return func() { need(t, os.Remove(path)) }
}

// TestPostgresDiskFull fills the disk that Postgres has its data on. It refuses what takes room, or ends, if it was
// its log that found none; then it is started when there is room again.
func TestPostgresDiskFull(t *testing.T) {
	t.Parallel()
	d := newDisk(t, 400<<20)
	s := open(t, setup{ownPostgres: true, postgresDir: d.dir, env: []string{"RECSTREAM_LOG_LEVEL=debug"}})
	r := s.begin(t, "11", "Postgres: disk full")
	s.serve(t)
	s.serve(t)
	r.publish(t, 300)
	for times := share(20); r.faults < times; {
		r.advance(t, 25)
		before := r.met("53100")
		free := d.fill(t)
		var how string
		eventually(t, "Postgres to find no room", patience, func() (bool, string) {
			how = "refused"
			if r.met("53100") > before {
				return true, ""
			}
			how = "ended"
			return s.db.Ping(within(t, time.Second)) != nil, r.living()[0].tail(3)
		})
		r.pause(time.Second)
		free()
		need(t, s.postgres.Start(within(t, startTime))) // where it has ended
		r.struck("the disk was full: %s", how)
	}
	r.advance(t, 25)
	r.finish(t, share(20_000), share(20))
}

// TestKafkaDiskFull fills the disk that Kafka has its logs on. A broker ends then, and is started when there is room
// again.
func TestKafkaDiskFull(t *testing.T) {
	t.Parallel()
	onlyThorough(t, "a Kafka of its own")
	d := newDisk(t, 800<<20)
	s := open(t, setup{ownKafka: true, kafkaDir: d.dir})
	r := s.begin(t, "11", "Kafka: disk full")
	s.serve(t)
	s.serve(t)
	r.publish(t, 300)
	for times := share(20); r.faults < times; {
		r.advance(t, 25)
		free := d.fill(t)
		eventually(t, "Kafka to find no room", patience, func() (bool, string) {
			return s.client.Ping(within(t, time.Second)) != nil, "it answers"
		})
		free()
		need(t, s.kafka.Start(within(t, startTime)))
		r.struck("the disk was full")
	}
	r.advance(t, 25)
	r.finish(t, share(20_000), share(20))
}

// TestDescriptorsExhausted takes an instance all file descriptors that it has not yet, and then the connections that
// it has.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	s := open(t, setup{proxyPostgres: true, proxyKafka: thorough(), env: []string{"RECSTREAM_LOG_LEVEL=debug"}})
	r := s.begin(t, "11", "file descriptors exhausted")
	s.serve(t)
	s.serve(t)
	r.publish(t, 300)
	for times := share(100); r.faults < times; {
		r.advance(t, 25)
		i := r.living()[r.rng.IntN(2)]
		restore := i.limitFiles(t)
		before := i.log.Count(tooMany)
		eventually(t, "the instance to be refused a file", patience, func() (bool, string) {
			s.postgresProxy.Reset()
			for _, p := range s.kafkaProxies {
				p.Reset()
			}
			return i.log.Count(tooMany) > before+1, i.tail(3)
		})
		restore()
		r.struck("instance %d had no file descriptor left", i.number)
	}
	r.advance(t, 25)
	r.finish(t, share(20_000), share(100))
}

// tooMany is how EMFILE is said.
const tooMany = "too many open files"

// limitFiles has the instance get no file descriptor any more, until restore.
func (i *instance) limitFiles(t *testing.T) (restore func()) {
	t.Helper()
	limit := func(n string) {
		out, err := exec.CommandContext(within(t, patience), "prlimit", //nolint:gosec // nobody else's words
			"--pid", strconv.Itoa(i.cmd.Process.Pid), "--nofile="+n).CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v: %s", err, out)
		}
	}
	limit("3:4096")
	return func() { limit("4096:4096") }
}
