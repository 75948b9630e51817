package postgres

import (
	"strings"
	"testing"
)

// TestSentLettersComeFromTheIndex has so many rows that sorting them for each page would be slow.
func TestSentLettersComeFromTheIndex(t *testing.T) {
	db := newDatabase(t)
	for _, sql := range []string{
		`INSERT INTO redrive_runs (actor, topic, selection) VALUES ('ada', 't', '')`,
		`INSERT INTO redrives (id, run_id, letter_topic, letter_partition, letter_offset, letter_at, repetition, reason, from_topic, from_partition,
			from_offset, mended, redrives, actor, why, to_topic, to_partition, to_end, state, settled_at)
			SELECT gen_random_uuid(), 1, 't', i % 4, i / 4, now(), 0, '', 'f', 0, i, false, 1, '', '', 'f', 0, 0, 'sent', now()
			FROM generate_series(0, 39999) i`,
		`ANALYZE redrives`,
	} {
		execute(t, db, sql)
	}
	list, err := db.SentLetters(deadline(t), "t", 2, 9_000, 100)
	if err != nil || len(list) != 100 || list[0].Offset != 9_000 || list[99].Offset != 9_099 {
		t.Fatalf("%d letters, error %v", len(list), err)
	}
	plan := strings.Join(queryRows[string](t, db, `EXPLAIN `+selectSentLetters, "t", 2, 9_000, 100), "\n")
	if !strings.Contains(plan, "using redrives_once") || strings.Contains(plan, "Sort") {
		t.Errorf("plan\n%s", plan)
	}
}
