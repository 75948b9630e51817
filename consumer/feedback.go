package consumer

import (
	"context"
	"time"

	"recstream/schemas"
)

// Feedback are the events of a topic of feedback: each is stored, and leaves nothing but, if it is rejected, a
// dead letter.
type Feedback struct {
	Ledger FeedbackLedger
}

// FeedbackLedger stores feedback and the fence of each partition.
type FeedbackLedger interface {
	Fences
	// Record stores a batch and moves the fence from its From, or does neither.
	Record(context.Context, schemas.FeedbackBatch) error
}

func (f Feedback) fences() Fences { return f.Ledger }

func (f Feedback) handler(s *settler) handler {
	return &feedbackHandler{settler: s, ledger: f.Ledger}
}

// feedbackHandler stores the feedback of a batch.
type feedbackHandler struct {
	*settler
	ledger FeedbackLedger

	feedback []schemas.Feedback // by message
	events   []schemas.FeedbackEvent
}

func (s *feedbackHandler) prepare(n int) { s.feedback = resize(s.feedback, n) }

func (s *feedbackHandler) decode(m *schemas.Message, i int) error {
	f := &s.feedback[i]
	if err := schemas.DecodeFeedback(m.Value, f); err != nil {
		return err
	}
	if f.At.IsZero() {
		f.At = m.Time
	}
	f.At = f.At.Truncate(time.Microsecond) // what the ledger keeps
	return s.plausible(f.At)
}

// maxClockSkew is how far ahead of ours the clock of an app or a broker may be.
const maxClockSkew = 24 * time.Hour

// plausible refuses times of wrong clocks: a profile decays to the latest time of its user's feedback, so one
// event of the year 2090 would wipe out all that is known.
func (s *feedbackHandler) plausible(at time.Time) error {
	if at.Unix() >= 0 && !at.After(s.cfg.Now().Add(maxClockSkew)) {
		return nil
	}
	return &schemas.DecodeError{Code: schemas.CodeInvalidTime, Field: "at",
		Detail: "is before 1970 or more than a day ahead; where the event has none, its record's time is"}
}

func (s *feedbackHandler) forget(i int) { s.feedback[i] = schemas.Feedback{} }

// sender names nobody: no app waits for an answer to its feedback.
func (s *feedbackHandler) sender(int) (requestID, userID string) { return "", "" }

func (s *feedbackHandler) store(ctx context.Context, p part, next int64) error {
	s.events = s.events[:0]
	for i := p.lo; i < p.hi; i++ {
		if out := &s.outcomes[i]; out.Rejection == nil {
			s.events = append(s.events, schemas.FeedbackEvent{Feedback: &s.feedback[i], Offset: out.Message.Offset})
		}
	}
	if len(s.events) == 0 && next == s.fence {
		return nil
	}
	defer spend(&s.times.Store, time.Now())
	return s.ledger.Record(ctx, schemas.FeedbackBatch{
		Topic: s.cfg.Topic, Partition: s.partition,
		From: s.fence, Next: next, Events: s.events, Repeated: s.redelivered(p),
		ReceivedAt: s.cfg.Now().UTC().Truncate(time.Microsecond),
	})
}
