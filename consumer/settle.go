package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"recstream/schemas"
)

// settler brings each message of a batch to its outcome and stores the decisions. Its buffers are reused from
// batch to batch.
type settler struct {
	cfg       *Config
	log       *slog.Logger
	partition int
	scorer    Scorer
	fence     int64 // where the partition's fence stands, as far as we know
	known     int64 // events before it may have been decided before, however long ago

	outcomes  []schemas.Outcome // one a message, in order
	requests  []schemas.Request // by message
	decisions []schemas.Decision
	rejected  []schemas.Rejection
	ids       []string
	firsts    map[string]int // request id → the first message of the batch that has it
	fresh     []*schemas.Decision
}

// Codes of rejections that are not the decoder's.
const (
	codeRecordRefused = "record_refused" // the database takes no such value
)

// settle leaves the outcome of each message in w.outcomes, with every decision stored.
func (s *settler) settle(ctx context.Context, b *batch) error {
	s.prepare(b)
	for i := range b.messages {
		s.decode(&b.messages[i], i)
	}
	defer s.reportRejected()
	return s.store(ctx, part{begin: b.from, next: b.next, lo: 0, hi: len(b.messages)})
}

// prepare sizes the buffers for a batch.
func (s *settler) prepare(b *batch) {
	n := len(b.messages)
	s.outcomes = resize(s.outcomes, n)
	s.requests = resize(s.requests, n)
	s.decisions = resize(s.decisions, n)
	s.rejected = resize(s.rejected, n)
	for i := range s.outcomes {
		s.outcomes[i] = schemas.Outcome{Message: &b.messages[i]}
	}
}

// resize returns s with length n; elements keep what they had, for its memory.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	grown := make([]T, n)
	copy(grown, s[:cap(s)])
	return grown
}

func (s *settler) decode(m *schemas.Message, i int) {
	req := &s.requests[i]
	defer func() { // a defect of ours must not make a poison message of the event
		if v := recover(); v != nil {
			*req = schemas.Request{}
			s.reject(i, schemas.Rejection{Code: string(schemas.ReasonPanic), Detail: fmt.Sprint(v), Stage: "decode"})
		}
	}()
	err := schemas.DecodeRequest(m.Value, req)
	if err == nil {
		if req.RequestedAt.IsZero() {
			req.RequestedAt = m.Time
		}
		req.RequestedAt = req.RequestedAt.Truncate(time.Microsecond) // what the ledger keeps
		return
	}
	r := schemas.Rejection{Code: schemas.CodeInvalidJSON, Detail: err.Error(), Stage: "decode"}
	var refused *schemas.DecodeError
	if errors.As(err, &refused) {
		r.Code, r.Field, r.Detail = refused.Code, refused.Field, refused.Detail
	}
	s.reject(i, r)
}

func (s *settler) reject(i int, r schemas.Rejection) {
	r.RequestID, r.UserID = s.requests[i].RequestID, s.requests[i].UserID
	r.At = s.cfg.Now().UTC()
	r.Attempts = max(r.Attempts, 1)
	s.rejected[i] = r
	s.outcomes[i].Decision, s.outcomes[i].Rejection = nil, &s.rejected[i]
}

// reportRejected logs the batch's rejections in one line; each has its dead letter.
func (s *settler) reportRejected() {
	n, last := 0, (*schemas.Outcome)(nil)
	for i := range s.outcomes {
		if s.outcomes[i].Rejection != nil {
			n, last = n+1, &s.outcomes[i]
		}
	}
	if n > 0 {
		s.log.Warn("events rejected, see their dead letters", keyCount, n,
			keyOffset, last.Message.Offset, keyStage, last.Rejection.Stage, keyCode, last.Rejection.Code)
	}
}

// part is a run of a batch's messages that is stored at once: those from lo up to hi.
type part struct {
	begin, next int64 // offsets
	lo, hi      int
}

// store decides and stores a part. Where the database refuses a value for good, the part is halved until the
// message at fault is found; that one is rejected.
func (s *settler) store(ctx context.Context, p part) error {
	attempts := 0
	err := retry(ctx, s.log, "store", func(attempt int) error {
		attempts = attempt
		return s.tryStore(ctx, p, attempt)
	})
	if err == nil || ctx.Err() != nil || IsTransient(err) || errors.Is(err, errFenced) {
		return err
	}
	switch p.hi - p.lo {
	case 0:
		return err
	case 1:
		if s.outcomes[p.lo].Rejection != nil {
			return err // there is nothing left to leave out
		}
		s.reject(p.lo, schemas.Rejection{Code: codeRecordRefused, Detail: err.Error(), Stage: "record", Attempts: attempts})
		return s.store(ctx, p)
	}
	middle := (p.lo + p.hi) / 2
	split := s.outcomes[middle].Message.Offset
	if err := s.store(ctx, part{begin: p.begin, next: split, lo: p.lo, hi: middle}); err != nil {
		return err
	}
	return s.store(ctx, part{begin: split, next: p.next, lo: middle, hi: p.hi})
}

// errFenced says that another worker has moved the partition on.
var errFenced = errors.New("fenced: another instance has taken this partition over")

// tryStore is one attempt. It can follow one that failed, or seemed to: what is stored already is found and
// kept as it is.
func (s *settler) tryStore(ctx context.Context, p part, attempt int) error {
	if attempt > 1 {
		if err := s.readFence(ctx, p); err != nil {
			return err
		}
	}
	if err := s.answer(ctx, p); err != nil {
		return err
	}
	next := max(p.next, s.fence) // redelivered messages leave the fence where it is
	if len(s.fresh) == 0 && next == s.fence {
		return nil
	}
	err := s.cfg.Ledger.Record(ctx, schemas.Batch{
		Topic: s.cfg.Topic, Partition: s.partition,
		From: s.fence, Next: next, Decisions: s.fresh,
	})
	if err == nil {
		s.fence = next
	}
	return err
}

// readFence learns what became of the attempt before. A fence at the part's end or beyond says that the part
// is stored, by us or by another: then only its decisions are looked up. One that moved to elsewhere says
// that the partition has another owner; one that is gone, that the ledger is another.
func (s *settler) readFence(ctx context.Context, p part) error {
	fence, ok, err := s.cfg.Ledger.Fence(ctx, s.cfg.Topic, s.partition)
	if err != nil {
		return err
	}
	if !ok || fence != s.fence && fence < p.next {
		return &fencedError{expected: s.fence, found: fence}
	}
	s.fence = fence
	return nil
}

type fencedError struct{ expected, found int64 }

func (e *fencedError) Error() string {
	return fmt.Sprintf("%v: the fence stands at %d, not %d", errFenced, e.found, e.expected)
}

func (e *fencedError) Unwrap() error { return errFenced }

// Transient is false: the partition is to be opened anew.
func (e *fencedError) Transient() bool { return false }

// answer gives each request of the part its decision: the stored one where there is one, that of the same
// id earlier in the batch, or a new one. The new ones are in s.fresh.
func (s *settler) answer(ctx context.Context, p part) error {
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	redelivered := p.begin < max(s.fence, s.known)
	stored, err := s.find(ctx, p, now, redelivered)
	if err != nil {
		return err
	}
	s.fresh = s.fresh[:0]
	begun := false
	for i := p.lo; i < p.hi; i++ {
		out, id := &s.outcomes[i], s.requests[i].RequestID
		if out.Rejection != nil {
			continue
		}
		if d := stored[id]; d != nil {
			out.Decision = d
			continue
		}
		if first := s.firsts[id]; first < i && s.outcomes[first].Decision != nil {
			out.Decision = s.outcomes[first].Decision
			continue
		}
		if !begun {
			if err := s.scorer.Begin(); err != nil {
				return fmt.Errorf("score: %w", err)
			}
			begun = true
		}
		if err := s.decide(i, now); err != nil {
			return err
		}
	}
	return nil
}

// find looks up the part's request ids in the ledger and notes the first message of each.
func (s *settler) find(ctx context.Context, p part, now time.Time, ever bool) (map[string]*schemas.Decision, error) {
	if s.firsts == nil {
		s.firsts = map[string]int{}
	}
	clear(s.firsts)
	s.ids = s.ids[:0]
	for i := p.lo; i < p.hi; i++ {
		if s.outcomes[i].Rejection != nil {
			continue
		}
		id := s.requests[i].RequestID
		if _, seen := s.firsts[id]; !seen {
			s.firsts[id] = i
			s.ids = append(s.ids, id)
		}
	}
	if len(s.ids) == 0 {
		return nil, nil
	}
	return s.cfg.Ledger.Find(ctx, s.ids, now, ever)
}

// decide scores message i, or rejects it where it cannot be scored.
func (s *settler) decide(i int, now time.Time) error {
	req, d := &s.requests[i], &s.decisions[i]
	began := time.Now()
	if err := s.scorer.Decide(req, d); err != nil {
		var coded interface{ Code() string }
		if !errors.As(err, &coded) {
			return err
		}
		s.reject(i, schemas.Rejection{Code: coded.Code(), Detail: err.Error(), Stage: "score"})
		return nil
	}
	d.ScoredAt = now
	d.QueueTime = max(0, now.Sub(req.RequestedAt)).Truncate(time.Microsecond)
	d.ScoreTime = time.Since(began).Truncate(time.Microsecond)
	d.Source = s.outcomes[i].Message.Source
	s.outcomes[i].Decision = d
	s.fresh = append(s.fresh, d)
	return nil
}
