package chaos

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

const (
	drainTimeout = 5 * time.Second
	// drainSlack is what a process on a busy machine may take beyond its drain deadline: to leave its groups and to
	// end.
	drainSlack = 5 * time.Second
)

// TestStopUnderLoad asks instances to stop in the middle of their work. Each ends within its drain deadline, with
// status 0; once in ten times its batch in hand cannot be finished, since somebody has locked the ledger.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := open(t, setup{env: []string{"RECSTREAM_CONSUMER_DRAIN_TIMEOUT=" + drainTimeout.String()}})
	r := s.begin(t, "10", "SIGTERM under load")
	r.read(t)
	s.serve(t)
	r.publish(t, 500)
	for stops := share(100); r.faults < stops; {
		s.serve(t).awaitLog(t, "joined consumer group", "group="+s.name+" ")
		r.advance(t, 25)
		r.pause(500 * time.Millisecond)
		unlock := func() {}
		if r.faults%10 == 9 {
			unlock = r.lockLedger(t)
			r.awaitBlocked(t)
		}
		took := s.living()[0].stop(t, drainTimeout+drainSlack)
		unlock()
		r.struck("stopped within %s", took)
	}
	r.finish(t, share(50_000), share(100))
}

// secondSignalTime is what an instance may take to end once it is not to finish anything.
const secondSignalTime = 2 * time.Second

// TestSecondSignal asks an instance that cannot finish its work to stop, twice: the second time it ends at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := open(t, setup{env: []string{"RECSTREAM_CONSUMER_DRAIN_TIMEOUT=1m"}})
	r := s.begin(t, "10", "second SIGTERM while draining")
	r.publish(t, 200)
	for stops := share(20); r.faults < stops; {
		i := s.serve(t)
		r.advance(t, 25)
		unlock := r.lockLedger(t)
		r.awaitBlocked(t)
		i.meant.Store(true)
		i.signal(t, syscall.SIGTERM)
		i.awaitLog(t, "stopping: ")
		r.pause(time.Second)
		i.signal(t, syscall.SIGTERM)
		if !i.endsWithin(secondSignalTime) {
			t.Fatalf("instance %d does not end at the second signal\n%s", i.number, i.tail(20))
		}
		unlock()
		if status := i.cmd.ProcessState.ExitCode(); status != 128+int(syscall.SIGTERM) {
			t.Errorf("status %d, want 143", status)
		}
		r.struck("instance %d ended at the second signal", i.number)
	}
	s.serve(t)
	r.finish(t, share(5_000), share(20))
}

// lockLedger keeps everybody else from writing decisions, until unlock.
func (r *run) lockLedger(t *testing.T) (unlock func()) {
	t.Helper()
	tx, err := r.db.Begin(t.Context())
	need(t, err)
	unlock = func() { _ = tx.Rollback(context.Background()) } // a second time does nothing
	t.Cleanup(unlock)
	_, err = tx.Exec(within(t, patience), `LOCK TABLE decisions IN SHARE MODE`)
	need(t, err)
	r.note("the ledger is locked")
	return unlock
}

// awaitBlocked waits until the batch in hand of every partition waits for the ledger.
func (r *run) awaitBlocked(t *testing.T) {
	t.Helper()
	eventually(t, "a batch that waits for the ledger", patience, func() (bool, string) {
		var waiting int
		err := r.db.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting >= r.partitions, fmt.Sprint(waiting, err)
	})
}
