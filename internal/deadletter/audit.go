package deadletter

import (
	"context"
	"math"

	"recstream/internal/postgres"
)

// auditPage is how many letters that were sent back are looked up, and kept, at a time: about a megabyte.
const auditPage = 10_000

// Audit knows from the database which letters of a topic were sent back. It is quick for letters that come in the order
// of a partition, since it keeps one page of the table. It is not safe for concurrent use.
type Audit struct {
	database  *postgres.Database
	limit     int // of a page
	topic     string
	partition int                     // of the page,
	from, to  int64                   // which knows all letters at offsets from "from" up to, but not with, "to"
	sent      map[sentLetter]struct{} // those of them that were sent back
}

// sentLetter is a letter's place in its partition and its time: a topic that was made anew has other letters there.
type sentLetter struct{ offset, millis int64 }

// OpenAudit returns the audit of a topic's letters. An error says that the database does not tell.
func OpenAudit(ctx context.Context, db *postgres.Database, topic string) (*Audit, error) {
	a := &Audit{database: db, limit: auditPage, topic: topic}
	if err := a.load(ctx, 0, 0); err != nil {
		return nil, err
	}
	return a, nil
}

// Marked returns a visit that is handed letters with SentBack set. A nil audit knows of none.
func (a *Audit) Marked(ctx context.Context, visit func(*Letter) error) func(*Letter) error {
	if a == nil {
		return visit
	}
	return func(l *Letter) error {
		if err := a.mark(ctx, l); err != nil {
			return err
		}
		return visit(l)
	}
}

func (a *Audit) mark(ctx context.Context, l *Letter) error {
	at := l.Place
	if at.Partition != a.partition || at.Offset < a.from || at.Offset >= a.to {
		if err := a.load(ctx, at.Partition, at.Offset); err != nil {
			return err
		}
	}
	_, l.SentBack = a.sent[sentLetter{at.Offset, l.At.UnixMilli()}]
	return nil
}

// load reads the page from an offset on.
func (a *Audit) load(ctx context.Context, partition int, from int64) error {
	list, err := a.database.SentLetters(ctx, a.topic, partition, from, a.limit)
	if err != nil {
		return err
	}
	a.partition, a.from, a.to = partition, from, math.MaxInt64
	if len(list) == a.limit {
		a.to = max(list[len(list)-1].Offset, from+1) // the last place may have more
	}
	a.sent = make(map[sentLetter]struct{}, len(list))
	for _, l := range list {
		a.sent[sentLetter{l.Offset, l.At.UnixMilli()}] = struct{}{}
	}
	return nil
}
