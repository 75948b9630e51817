package deadletter

import (
	"strings"
	"testing"
	"time"

	"recstream/producer"
)

// TestOutcomeOfARedrive sends a letter back, has it read, and maybe rejected again by an instance whose clock is another
// than the database's.
func TestOutcomeOfARedrive(t *testing.T) {
	tests := map[string]struct {
		rejected bool
		clock    time.Duration // of the instance, ahead of the database's
		want     string
	}{
		"its decision is gone":             {false, 0, "its decision is no longer kept"},
		"rejected again":                   {true, time.Second, "rejected again: record_refused, see 0/"},
		"rejected again, the clock behind": {true, -2 * time.Minute, "rejected again: record_refused, see 0/"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write(t, 1)
			b.send(t, producer.Record{Topic: requests, Value: []byte("{}"), Time: time.Now()}) // where the letter says that it came from
			b.run(t, b.redriver())
			_, err := b.db.Pool().Exec(deadline(t), "INSERT INTO stream_offsets (group_name, topic, partition, next_offset) VALUES ('g', $1, 0, 10)", requests)
			must(t, err)
			rows, err := b.db.RedrivesOf(deadline(t), letters, 0, []int64{0})
			must(t, err)
			if test.rejected {
				b.send(t, producer.Record{Topic: letters, Key: []byte("k-0"), Value: []byte(`{"request_id":"r-0"}`), Time: rows[0].BegunAt.Add(test.clock),
					Headers: letterHeaders(requests, 0, int(rows[0].To.Offset))})
			}
			h := &History{Topic: Topic{b.client, letters}, Database: b.db, Groups: map[string]string{requests: "g"}}
			list, err := h.Of(deadline(t), b.letter(t, Place{0, 0}))
			must(t, err)
			if len(list) != 1 || !strings.Contains(list[0].Outcome, test.want) {
				t.Errorf("history %+v, want one that says %q", list, test.want)
			}
		})
	}
}

// letter returns the letter at a place.
func (b *bench) letter(t *testing.T, p Place) (letter *Letter) {
	t.Helper()
	topic := Topic{b.client, letters}
	must(t, topic.Read(deadline(t), Span{p.Partition, p.Offset, p.Offset + 1}, func(l *Letter) error { letter = l; return ErrEnough }, nil))
	return letter
}
