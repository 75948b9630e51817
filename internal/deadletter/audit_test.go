package deadletter

import (
	"slices"
	"testing"
	"time"
)

// sentBack returns how many of the letters the audit has as sent back, and how many there are.
func (b *bench) sentBack(t *testing.T, audit *Audit) (sent, all int) {
	t.Helper()
	topic := Topic{b.client, letters}
	spans, err := topic.Spans(deadline(t), time.Time{})
	must(t, err)
	for _, s := range spans {
		must(t, topic.Read(deadline(t), s, audit.Marked(deadline(t), func(l *Letter) error {
			if all++; l.SentBack {
				sent++
			}
			return nil
		}), nil))
	}
	return sent, all
}

func TestAuditKnowsWhatWasSentBack(t *testing.T) {
	b := newBench(t)
	b.write(t, 250)
	first := b.redriver()
	first.Max = 130
	b.run(t, first)
	again := b.redriver()
	again.Again, again.Filter.Places, again.Selection = true, []Place{{0, 1}, {0, 2}}, "again"
	b.run(t, again) // two rows of one letter
	for name, limit := range map[string]int{"one page": auditPage, "many pages": 7, "a letter a page": 1} {
		t.Run(name, func(t *testing.T) {
			audit, err := OpenAudit(deadline(t), b.db, letters)
			must(t, err)
			audit.limit = limit
			must(t, audit.load(deadline(t), 0, 0))
			for range 2 { // from the beginning once more
				if sent, all := b.sentBack(t, audit); sent != 130 || all != 250 {
					t.Errorf("%d of %d were sent back, want 130 of 250", sent, all)
				}
			}
		})
	}
	if sent, _ := b.sentBack(t, nil); sent != 0 {
		t.Errorf("without an audit %d were sent back", sent)
	}
}

// TestWhatIsNotKnownIsOpen changes the one row of a letter.
func TestWhatIsNotKnownIsOpen(t *testing.T) {
	tests := map[string]struct {
		change string
		want   int
	}{
		"sent":                       {"state = 'sent'", 1},
		"on its way":                 {"state = 'sending', settled_at = NULL", 0},
		"was not sent":               {"state = 'aborted'", 0},
		"cannot be known":            {"state = 'unknown'", 0},
		"a letter of the topic then": {"letter_at = letter_at - interval '1 ms'", 0},
	}
	b := newBench(t)
	b.write(t, 1)
	b.run(t, b.redriver())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tx, err := b.db.Pool().Exec(deadline(t), "CREATE TABLE kept AS TABLE redrives")
			must(t, err)
			_, err = b.db.Pool().Exec(deadline(t), "UPDATE redrives SET "+test.change)
			must(t, err)
			audit, err := OpenAudit(deadline(t), b.db, letters)
			must(t, err)
			if sent, _ := b.sentBack(t, audit); sent != test.want || tx.RowsAffected() != 1 {
				t.Errorf("%d letters were sent back, want %d", sent, test.want)
			}
			_, err = b.db.Pool().Exec(deadline(t), "TRUNCATE redrives; INSERT INTO redrives TABLE kept; DROP TABLE kept")
			must(t, err)
		})
	}
}

func TestOpenLettersAreRedriven(t *testing.T) {
	b := newBench(t)
	b.write(t, 25)
	first := b.redriver()
	first.Max = 13
	b.run(t, first)
	rest := b.redriver()
	rest.Filter.Open, rest.Again, rest.Selection = true, true, "--open=true"
	if r := b.run(t, rest); r.Chosen != 12 || r.Sent != 12 || r.Skipped != nil {
		t.Errorf("report %+v", r)
	}
	b.each(t, 25, 1)
}

func TestProgressIsTold(t *testing.T) {
	b := newBench(t)
	b.write(t, 250)
	r := b.redriver()
	r.Rate = 1e6
	var told []Report
	r.Progress = func(report *Report) { told = append(told, *report) }
	b.run(t, r)
	var offsets int64
	for _, s := range spansOf(t, r) {
		offsets += s.End - s.First
	}
	ascending := slices.IsSortedFunc(told, func(x, y Report) int { return int(x.Sent - y.Sent + x.Read - y.Read) })
	first, last := told[0], told[len(told)-1]
	if len(told) < 5 || !ascending || first.Run.ID == 0 || first.Sent != 0 || last.Sent != 250 || last.Read != offsets {
		t.Errorf("%d times, in order %v; first %+v, last %+v of %d offsets", len(told), ascending, first, last, offsets)
	}
}

func TestPurgeFindsWhatIsOpen(t *testing.T) {
	b := newBench(t)
	b.write(t, 10)
	r := b.redriver()
	r.Filter.Places = []Place{{0, 0}, {0, 3}, {1, 1}}
	b.run(t, r)
	p := &Purge{Topic: r.Topic, Database: b.db, OlderThan: time.Now().Add(time.Hour)}
	for i, s := range spansOf(t, r) {
		d, err := p.Find(deadline(t), s)
		must(t, err)
		if want := []int64{3, 4}[i]; d.Letters != 5 || d.Open != want {
			t.Errorf("partition %d: %d of %d letters are open, want %d of 5", i, d.Open, d.Letters, want)
		}
	}
}
