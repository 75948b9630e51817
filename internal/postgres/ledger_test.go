package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

func transient(err error) bool {
	var e interface{ Transient() bool }
	return !errors.As(err, &e) || e.Transient()
}

func TestFence(t *testing.T) {
	db := newDatabase(t)
	l := NewLedger(db, group, twoDay)
	if _, ok, err := l.Fence(deadline(t), topic, 0); ok || err != nil {
		t.Errorf("a fence that was never set: ok %t, error %v", ok, err)
	}
	for _, step := range []struct {
		from, to, want int64
		moved          bool
	}{{0, 7, -1, false}, {-1, 5, 5, true}, {-1, 9, 5, false}, {4, 9, 5, false}, {5, 3, 3, true}} {
		if err := l.MoveFence(deadline(t), topic, 0, step.from, step.to); errors.Is(err, ErrFenced) == step.moved || err != nil && !transient(err) {
			t.Errorf("from %d to %d: %v", step.from, step.to, err)
		}
		f, ok, err := l.Fence(deadline(t), topic, 0)
		if ok != (step.want >= 0) || ok && f != step.want || err != nil {
			t.Errorf("from %d to %d: fence %d, ok %t, error %v; want %d", step.from, step.to, f, ok, err, step.want)
		}
	}
	must(t, l.Record(deadline(t), schemas.Batch{Topic: topic, From: 3, Next: 9}))
	f, _, err := l.Fence(deadline(t), topic, 0)
	if f != 9 || err != nil {
		t.Errorf("after a batch without decisions: fence %d, error %v; want 9", f, err)
	}
	for name, other := range map[string]struct {
		group, topic string
		partition    int
	}{"group": {"other", topic, 0}, "topic": {group, "other", 0}, "partition": {group, topic, 1}} {
		if _, ok, err := NewLedger(db, other.group, twoDay).Fence(deadline(t), other.topic, other.partition); ok || err != nil {
			t.Errorf("another %s: ok %t, error %v; want no fence", name, ok, err)
		}
	}
}

func TestGapIsNotedOnce(t *testing.T) {
	db := newDatabase(t)
	l := NewLedger(db, group, twoDay)
	for _, want := range []bool{true, false} {
		isNew, err := l.NoteGap(deadline(t), schemas.Gap{Topic: topic, Partition: 3, From: 5, To: 9, Reason: schemas.GapRetention})
		if isNew != want || err != nil {
			t.Errorf("a gap that is new: %t, %v; want %t", isNew, err, want)
		}
	}
	var n, lost int
	must(t, db.Pool().QueryRow(deadline(t), `SELECT count(*), sum(to_offset - from_offset) FROM stream_gaps
		WHERE group_name = $1 AND topic = $2 AND partition = 3 AND reason = 'retention'`, group, topic).Scan(&n, &lost))
	if n != 1 || lost != 4 {
		t.Errorf("%d gaps with %d events are noted, want one with 4", n, lost)
	}
}

func TestRecordWithAStaleFenceStoresNothing(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	must(t, l.Record(deadline(t), batchOf(0, decision("first", noon))))
	err := l.Record(deadline(t), batchOf(0, decision("second", noon)))
	if !errors.Is(err, ErrFenced) || !transient(err) {
		t.Errorf("error %v, want %v", err, ErrFenced)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want that of the first alone", n)
	}
}

func TestRefusedValueLeavesTheFence(t *testing.T) {
	for name, spoil := range map[string]func(*schemas.Decision){
		"NUL":            func(d *schemas.Decision) { d.UserID = "a\x00b" },
		"not UTF-8":      func(d *schemas.Decision) { d.UserID = "\xff" },
		"time too large": func(d *schemas.Decision) { d.RequestedAt = time.Unix(9_300_000_000_000, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			l := newLedger(t, db, noon)
			bad := decision("bad", noon)
			spoil(bad)
			err := l.Record(deadline(t), batchOf(0, decision("good", noon), bad))
			if err == nil || transient(err) {
				t.Errorf("error %v, want a permanent one", err)
			}
			if n, f := count(t, db), fenceOf(t, l, 0); n != 0 || f != 0 {
				t.Errorf("%d rows and fence %d, want 0 and 0", n, f)
			}
			must(t, l.Record(deadline(t), batchOf(0, decision("good", noon)))) // the connection is in order
		})
	}
}

func TestOneIDInTwoTransactionsIsStoredOnce(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	for i := range 10 {
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for partition := range errs {
			wg.Go(func() {
				b := batchOf(partition, decision(fmt.Sprint("same", i), noon), decision(fmt.Sprint(i, partition), noon))
				b.From, b.Next = 0, 0 // the fence stays, for the next round
				errs[partition] = l.Record(t.Context(), b)
			})
		}
		wg.Wait()
		stored := 0
		for _, err := range errs {
			if err == nil {
				stored++
			} else if !errors.Is(err, ErrConflict) || !transient(err) {
				t.Errorf("error %v, want %v", err, ErrConflict)
			}
		}
		if stored != 1 {
			t.Errorf("round %d: %d transactions stored the id", i, stored)
		}
	}
	if n := count(t, db); n != 20 {
		t.Errorf("%d rows, want two a round", n)
	}
}

func TestFindLooksBack(t *testing.T) {
	db := newDatabase(t)
	tests := map[string]struct {
		lookBack time.Duration
		ago      time.Duration
		ever     bool
		found    bool
	}{
		"now":                                       {twoDay, 0, false, true},
		"an earlier day within the window":          {twoDay, 47 * time.Hour, false, true},
		"before the window":                         {twoDay, 49 * time.Hour, false, false},
		"before the window, ever":                   {twoDay, 49 * time.Hour, true, true},
		"the same day, before a short window":       {time.Hour, 11 * time.Hour, false, true},
		"the same day, without a window":            {0, 12 * time.Hour, false, true},
		"the day before, before a short window":     {time.Hour, 13 * time.Hour, false, false},
		"the day before, within the window's hours": {13 * time.Hour, 13 * time.Hour, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			at := noon.Add(-test.ago)
			l := newLedger(t, db, at)
			l.lookBack = test.lookBack
			must(t, l.Record(deadline(t), batchOf(0, decision(name, at))))
			found, err := l.Find(deadline(t), []string{name, "unknown"}, noon, test.ever)
			must(t, err)
			if got := found[name] != nil; got != test.found || len(found) > 1 {
				t.Errorf("found %v, want %t", found, test.found)
			}
		})
	}
}

func TestFindPrefersTheLatest(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon, noon.AddDate(0, 0, -1))
	must(t, l.Record(deadline(t), batchOf(0, decision("r", noon))))
	must(t, l.Record(deadline(t), batchOf(1, decision("r", noon.AddDate(0, 0, -1)))))
	found, err := l.Find(deadline(t), []string{"r"}, noon, false)
	must(t, err)
	if !found["r"].ScoredAt.Equal(noon) {
		t.Errorf("scored at %s, want the latest, %s", found["r"].ScoredAt, noon)
	}
}

func TestNearMidnight(t *testing.T) {
	midnight := noon.Add(12 * time.Hour)
	tokyo := time.FixedZone("UTC+9", 9*3600)
	for name, test := range map[string]struct {
		at   time.Time
		want bool
	}{
		"noon":            {noon, false},
		"a minute before": {midnight.Add(-time.Minute), true},
		"earlier":         {midnight.Add(-time.Minute - time.Microsecond), false},
		"at":              {midnight, true},
		"within a minute": {midnight.Add(time.Minute - time.Microsecond), true},
		"a minute after":  {midnight.Add(time.Minute), false},
		"elsewhere's":     {time.Date(2026, 3, 14, 0, 0, 1, 0, tokyo), false},
		"ours, elsewhere": {midnight.In(tokyo), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := nearMidnight(batchOf(0, decision("r", test.at))); got != test.want {
				t.Errorf("nearMidnight(%s) = %t", test.at, got)
			}
		})
	}
	if nearMidnight(batchOf(0)) {
		t.Error("a batch without decisions is near midnight")
	}
}

const advisoryLocks = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = $1
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func TestBatchesFarFromMidnightTakeNoLock(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	for _, test := range []struct {
		at   time.Time
		want int
	}{{noon, 0}, {noon.Add(12 * time.Hour), 1}} {
		conn, err := db.Pool().Acquire(deadline(t))
		must(t, err)
		tx, err := l.begin(deadline(t), conn.Conn(), batchOf(0, decision("r", test.at)))
		must(t, err)
		if got := queryRows[int](t, db, advisoryLocks, true)[0]; got != test.want {
			t.Errorf("at %s: %d locks, want %d", test.at, got, test.want)
		}
		rollback(tx, time.Second)
		conn.Release()
	}
}

// TestOneIDOnBothSidesOfMidnightIsStoredOnce holds the first batch back until the second waits for it.
func TestOneIDOnBothSidesOfMidnightIsStoredOnce(t *testing.T) {
	before, after := noon.Add(12*time.Hour-100*time.Millisecond), noon.Add(12*time.Hour+100*time.Millisecond)
	for name, isolation := range map[string]string{"usual isolation": "read committed", "strict by default": "serializable"} {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t, setting("default_transaction_isolation", isolation))
			l := newLedger(t, db, before, after)
			first := batchOf(0, decision("same", before))
			conn, err := db.Pool().Acquire(deadline(t))
			must(t, err)
			defer conn.Release()
			tx, err := l.begin(deadline(t), conn.Conn(), first)
			must(t, err)

			second := make(chan error, 1)
			go func() { second <- l.Record(context.WithoutCancel(t.Context()), batchOf(1, decision("same", after))) }()
			eventually(t, "the second batch waits", func() bool { return queryRows[int](t, db, advisoryLocks, false)[0] == 1 })
			must(t, l.copyDecisions(deadline(t), conn.Conn().PgConn(), first))
			must(t, tx.Commit(deadline(t)))
			if err := <-second; !errors.Is(err, ErrConflict) {
				t.Errorf("second batch: %v, want %v", err, ErrConflict)
			}
			if n := count(t, db); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
		})
	}
}

// setting returns the statement that sets a parameter for the database's later sessions.
func setting(name, value string) string {
	return fmt.Sprintf(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET %s = %%L', current_database(), '%s'); END $$`, name, value)
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := deadline(t); !holds(); {
		select {
		case <-tick.C:
		case <-end.Done():
			t.Fatalf("%s: not before the deadline", what)
		}
	}
}
