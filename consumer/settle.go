package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"recstream/schemas"
)

// settler brings each message of a batch to its outcome, whatever its topic is for: it decodes, rejects, and
// stores what came of the rest. Its buffers are reused from batch to batch.
type settler struct {
	cfg       *Config
	log       *slog.Logger
	partition int
	handler   handler
	times     Times // of the batch in hand
	fence     int64 // where the partition's fence stands, as far as we know
	known     int64 // events before it may have been stored before, however long ago

	outcomes []schemas.Outcome // one a message, in order
	rejected []schemas.Rejection
}

// handler is what one topic differs by from the other. A worker has one of its own; it speaks of the messages
// of a batch by their places in it.
type handler interface {
	// prepare sizes the buffers for n messages.
	prepare(n int)
	// decode reads message i. An error is final for it.
	decode(m *schemas.Message, i int) error
	// forget empties what decode has read of message i.
	forget(i int)
	// sender returns whom to tell that message i is rejected, "" for nobody.
	sender(i int) (requestID, userID string)
	// store stores what comes of the part's messages that are not rejected, and moves the fence to next, in one
	// transaction. It can follow a call that failed, or seemed to: what is stored already is kept as it is.
	store(ctx context.Context, p part, next int64) error
}

// Codes of rejections that are not the decoder's.
const (
	CodeRecordRefused = "record_refused" // the database takes no such value
)

// settle leaves the outcome of each message in s.outcomes, with all that it came to stored.
func (s *settler) settle(ctx context.Context, b *batch) error {
	s.prepare(b)
	began := time.Now()
	for i := range b.messages {
		s.decode(&b.messages[i], i)
	}
	spend(&s.times.Decode, began)
	defer s.reportRejected()
	return s.store(ctx, part{begin: b.from, next: b.next, lo: 0, hi: len(b.messages)})
}

// prepare sizes the buffers for a batch.
func (s *settler) prepare(b *batch) {
	n := len(b.messages)
	s.outcomes = resize(s.outcomes, n)
	s.rejected = resize(s.rejected, n)
	for i := range s.outcomes {
		s.outcomes[i] = schemas.Outcome{Message: &b.messages[i]}
	}
	s.handler.prepare(n)
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
	defer func() { // a defect of ours must not make a poison message of the event
		if v := recover(); v != nil {
			s.handler.forget(i)
			s.reject(i, schemas.Rejection{Code: string(schemas.ReasonPanic), Detail: fmt.Sprint(v), Stage: "decode"})
		}
	}()
	err := s.handler.decode(m, i)
	if err == nil {
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
	r.RequestID, r.UserID = s.handler.sender(i)
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

// store stores a part. Where the database refuses a value for good, the part is halved until the message at
// fault is found; that one is rejected.
func (s *settler) store(ctx context.Context, p part) error {
	attempts := 0
	err := s.cfg.retry(ctx, s.log, stageStore, func(attempt int) error {
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
		s.reject(p.lo, schemas.Rejection{Code: CodeRecordRefused, Detail: err.Error(), Stage: "record", Attempts: attempts})
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

// tryStore is one attempt. It can follow one that failed, or seemed to.
func (s *settler) tryStore(ctx context.Context, p part, attempt int) error {
	if attempt > 1 {
		if err := s.readFence(ctx, p); err != nil {
			return err
		}
	}
	next := max(p.next, s.fence) // redelivered messages leave the fence where it is
	err := s.handler.store(ctx, p, next)
	if err == nil {
		s.fence = next
	}
	return err
}

// redelivered reports whether messages of the part may be stored already.
func (s *settler) redelivered(p part) bool { return p.begin < max(s.fence, s.known) }

// readFence learns what became of the attempt before. A fence at the part's end or beyond says that the part
// is stored, by us or by another: then what is stored is looked up. One that moved to elsewhere says that the
// partition has another owner; one that is gone, that the ledger is another.
func (s *settler) readFence(ctx context.Context, p part) error {
	fence, ok, err := s.cfg.Events.fences().Fence(ctx, s.cfg.Topic, s.partition)
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
