package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // for machines without zones

	"recstream/schemas"
)

// partitionNames lists the ledger's partitions, in order. Outcomes have partitions of the same days.
func partitionNames(t testing.TB, db *Database) []string {
	return partitionsOf(t, db, tableDecisions)
}

func partitionsOf(t testing.TB, db *Database, table string) []string {
	return queryRows[string](t, db, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1`, table)
}

// daysOf takes the table's name off its partitions' names.
func daysOf(table string, partitions []string) []string {
	var days []string
	for _, name := range partitions {
		days = append(days, strings.TrimPrefix(name, table+"_"))
	}
	return days
}

// recordWithin records as a worker does: again, as long as the error is transient.
func recordWithin(t *testing.T, l *Ledger, b schemas.Batch, attempts int) {
	for attempt := 1; ; attempt++ {
		err := l.Record(t.Context(), b)
		if err == nil {
			return
		}
		if !transient(err) || attempt == attempts {
			t.Errorf("attempt %d: %v", attempt, err)
			return
		}
	}
}

func TestMissingPartitionIsMadeForTheNextAttempt(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db)
	recordWithin(t, l, batchOf(0, decision("r", noon)), 2)
	if got, want := partitionNames(t, db), []string{"decisions_20260314"}; !slices.Equal(got, want) {
		t.Errorf("partitions %v, want %v", got, want)
	}
}

func TestMissingPartitionIsNobodysFault(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db)
	for day := range 15 {
		at := noon.AddDate(0, 0, day)
		var wg sync.WaitGroup
		for partition := range 4 {
			wg.Go(func() {
				b := batchOf(partition, decision(fmt.Sprint(day, partition), at))
				b.Next = 0
				recordWithin(t, l, b, 3)
			})
		}
		wg.Wait()
	}
	if n := count(t, db); n != 60 {
		t.Errorf("%d rows, want 60", n)
	}
	// Another instance was quicker.
	if err := l.addMissingPartition(deadline(t), batchOf(0, decision("r", noon))); err == nil || !transient(err) {
		t.Errorf("the partition is there: error %v, want one that asks for another attempt", err)
	}
}

// A constraint can be mended by who made it; to call its events bad could be to lose all of them.
func TestAnOwnersConstraintIsWaitedFor(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	execute(t, db, `ALTER TABLE decisions ADD CONSTRAINT named CHECK (user_id <> 'nobody')`)
	d := decision("r", noon)
	d.UserID = "nobody"
	if err := l.Record(deadline(t), batchOf(0, d)); err == nil || !transient(err) || errors.Is(err, errMissingPartition) {
		t.Errorf("error %v, want a transient one that names no partition", err)
	}
}

func TestPartitionsAreUTCDaysWhereverTheServerIs(t *testing.T) {
	for _, zone := range []string{"UTC", "Asia/Tokyo", "America/Los_Angeles"} {
		t.Run(zone, func(t *testing.T) {
			db := newDatabase(t, setting("timezone", zone), setting("datestyle", "SQL, DMY"))
			midnight := noon.Add(12 * time.Hour)
			last := midnight.Add(-time.Microsecond)
			l := newLedger(t, db, last, midnight)
			must(t, l.Record(deadline(t), batchOf(0, decision("last", last))))
			must(t, l.Record(deadline(t), batchOf(1, decision("first", midnight))))
			got := queryRows[string](t, db, `SELECT request_id || ' ' || tableoid::regclass FROM decisions ORDER BY scored_at`)
			want := []string{"last decisions_20260314", "first decisions_20260315"}
			if !slices.Equal(got, want) {
				t.Errorf("rows %v, want %v", got, want)
			}
			comment := queryRows[string](t, db, `SELECT obj_description('decisions_20260314'::regclass)`)[0]
			if want := "Decisions scored on 2026-03-14 (UTC)."; comment != want {
				t.Errorf("comment %q, want %q", comment, want)
			}
		})
	}
}

func TestMaintainPartitions(t *testing.T) {
	db := newDatabase(t)
	steps := []struct {
		name    string
		now     time.Time
		keep    Partitions
		made    int
		dropped []string
		left    []string
	}{
		{"first", noon, Partitions{Ahead: 2}, 3, nil, []string{"20260314", "20260315", "20260316"}},
		{"again", noon, Partitions{Ahead: 2}, 0, nil, []string{"20260314", "20260315", "20260316"}},
		{"next day, all kept within the retention", noon.AddDate(0, 0, 1), Partitions{Ahead: 1, Retention: 24 * time.Hour}, 0, nil,
			[]string{"20260314", "20260315", "20260316"}},
		{"a day too old", noon.AddDate(0, 0, 2), Partitions{Ahead: 0, Retention: 24 * time.Hour}, 0,
			[]string{"20260314"}, []string{"20260315", "20260316"}},
		{"long stopped", noon.AddDate(0, 0, 9), Partitions{Ahead: 0, Retention: 24 * time.Hour}, 1,
			[]string{"20260315", "20260316"}, []string{"20260323"}},
	}
	tables := []string{tableDecisions, tableOutcomes, tableProfileVersions}
	for _, step := range steps {
		var want []string
		for _, table := range tables {
			if table == tableProfileVersions {
				continue // TestPastProfilesAreKeptADayLonger
			}
			for _, day := range step.dropped {
				want = append(want, table+"_"+day)
			}
		}
		made, dropped, err := db.MaintainPartitions(deadline(t), step.now, step.keep)
		dropped = slices.DeleteFunc(dropped, func(name string) bool { return strings.HasPrefix(name, tableProfileVersions) })
		if err != nil || made != len(tables)*step.made || !slices.Equal(dropped, want) {
			t.Errorf("%s: made %d, dropped %v, error %v; want %d of each table, %v", step.name, made, dropped, err, step.made, want)
		}
		for _, table := range tables[:2] {
			if got := daysOf(table, partitionsOf(t, db, table)); !slices.Equal(got, step.left) {
				t.Errorf("%s: partitions of %s %v, want %v", step.name, table, got, step.left)
			}
		}
	}
}

func TestPastProfilesAreKeptADayLonger(t *testing.T) {
	db := newDatabase(t)
	for day, want := range [][]string{{"20260314"}, {"20260314", "20260315"}, {"20260314", "20260315", "20260316"}, {"20260315", "20260316", "20260317"}} {
		_, _, err := db.MaintainPartitions(deadline(t), noon.AddDate(0, 0, day), Partitions{Retention: 24 * time.Hour})
		must(t, err)
		if got := daysOf(tableProfileVersions, partitionsOf(t, db, tableProfileVersions)); !slices.Equal(got, want) {
			t.Errorf("day %d: partitions %v, want %v", day, got, want)
		}
	}
}

func TestInstancesMaintainPartitionsTogether(t *testing.T) {
	db := newDatabase(t)
	_, err := db.createPartition(deadline(t), tableDecisions, noon.AddDate(0, 0, -9))
	must(t, err)
	var wg sync.WaitGroup
	var made, dropped [4]int
	for i := range made {
		wg.Go(func() {
			n, names, err := db.MaintainPartitions(t.Context(), noon, Partitions{Ahead: 3, Retention: time.Hour})
			if err != nil {
				t.Error(err)
			}
			made[i], dropped[i] = n, len(names)
		})
	}
	wg.Wait()
	if m, d := made[0]+made[1]+made[2]+made[3], dropped[0]+dropped[1]+dropped[2]+dropped[3]; m != 12 || d != 1 {
		t.Errorf("made %v, dropped %v; want 12 and 1 in all", made, dropped)
	}
}

func TestPartitionsLeaveNoDayOutWhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	db := newDatabase(t)
	now := time.Date(2026, 10, 24, 1, 30, 0, 0, berlin) // 25 hours before the clocks go back
	_, _, err = db.MaintainPartitions(deadline(t), now, Partitions{Ahead: 3})
	must(t, err)
	want := []string{"decisions_20261023", "decisions_20261024", "decisions_20261025", "decisions_20261026"}
	if got := partitionNames(t, db); !slices.Equal(got, want) {
		t.Errorf("partitions %v, want %v", got, want)
	}
}

// TestLongQueriesStopNeitherPartitionsNorBatches holds a reader's transaction open, as a long report does.
func TestLongQueriesStopNeitherPartitionsNorBatches(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon, noon.AddDate(0, 0, -9))
	reader, err := db.Pool().Begin(deadline(t))
	must(t, err)
	_, err = reader.Exec(deadline(t), `SELECT count(*) FROM decisions`)
	must(t, err)

	quick := &Database{pool: db.pool, timeout: 3 * time.Second}
	if made, _, err := quick.MaintainPartitions(deadline(t), noon, Partitions{Ahead: 1}); made != 5 || err != nil {
		t.Errorf("made %d partitions beside a reader, error %v; want one of decisions and two of each of the others", made, err)
	}
	if _, _, err := quick.MaintainPartitions(deadline(t), noon, Partitions{Retention: time.Hour}); !hasCode(err, "55P03") || !transient(err) {
		t.Errorf("dropping beside a reader: %v, want to give up soon (55P03) and be asked again", err)
	}
	must(t, l.Record(deadline(t), batchOf(0, decision("r", noon))))
	must(t, reader.Rollback(deadline(t)))
	if _, dropped, err := quick.MaintainPartitions(deadline(t), noon, Partitions{Retention: time.Hour}); len(dropped) != 1 || err != nil {
		t.Errorf("after the reader: dropped %v, error %v; want one", dropped, err)
	}
}

func TestDetachedPartitionIsNamed(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	execute(t, db, `ALTER TABLE decisions DETACH PARTITION decisions_20260314`)
	err := l.Record(deadline(t), batchOf(0, decision("r", noon)))
	if err == nil || !transient(err) || !strings.Contains(err.Error(), "decisions_20260314 is there and is no partition") {
		t.Errorf("error %v, want one that names the table", err)
	}
	execute(t, db, `DROP TABLE decisions_20260314`)
	recordWithin(t, l, batchOf(0, decision("r", noon)), 2)
}
