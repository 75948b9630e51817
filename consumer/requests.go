package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"recstream/schemas"
)

// Requests are the events of a topic of requests: each is decided, and leaves its decision or its rejection.
type Requests struct {
	NewScorer func() Scorer
	Ledger    Ledger
	Profiles  Profiles // nil where no scorer needs them
}

// Profiles knows the users.
type Profiles interface {
	// Fetch puts the profiles of those users that have one into the map. They are not changed any more.
	Fetch(ctx context.Context, users []string, into map[string]*schemas.Profile) error
}

// Scorer decides requests. A worker has one of its own.
type Scorer interface {
	// Begin takes up the model and the catalogue in force, for the Decide calls of one batch; End lets go of them, if there was a Begin.
	Begin() error
	End()
	// NeedsProfile reports whether the decision on a request depends on what is known of its user.
	NeedsProfile(*schemas.Request) bool
	// Decide fills in the decision but for its times and its source, for a user of that profile, nil for none.
	// An error with a method Code() string is final for that request; any other is of the moment.
	Decide(*schemas.Request, *schemas.Profile, *schemas.Decision) error
}

// Ledger stores decisions and the fence of each partition.
type Ledger interface {
	Fences
	// Find returns the stored decisions of those ids: within the look-back window, or all there ever were.
	Find(ctx context.Context, ids []string, now time.Time, ever bool) (map[string]*schemas.Decision, error)
	// Record stores a batch and moves the fence from its From, or does neither.
	Record(context.Context, schemas.Batch) error
}

func (r Requests) fences() Fences { return r.Ledger }

func (r Requests) handler(s *settler) handler {
	return &requestHandler{settler: s, scorer: r.NewScorer(), ledger: r.Ledger, profiles: r.Profiles}
}

// requestHandler decides the requests of a batch and stores the decisions.
type requestHandler struct {
	*settler
	scorer   Scorer
	ledger   Ledger
	profiles Profiles

	requests  []schemas.Request // by message
	decisions []schemas.Decision
	ids       []string
	firsts    map[string]int // request id → the first message of the batch that has it
	fresh     []*schemas.Decision
	users     []string
	about     map[string]*schemas.Profile // by user of the part
}

func (s *requestHandler) prepare(n int) {
	s.requests = resize(s.requests, n)
	s.decisions = resize(s.decisions, n)
}

func (s *requestHandler) decode(m *schemas.Message, i int) error {
	req := &s.requests[i]
	if err := schemas.DecodeRequest(m.Value, req); err != nil {
		return err
	}
	if req.RequestedAt.IsZero() {
		req.RequestedAt = m.Time
	}
	req.RequestedAt = req.RequestedAt.Truncate(time.Microsecond) // what the ledger keeps
	return nil
}

func (s *requestHandler) forget(i int) { s.requests[i] = schemas.Request{} }

func (s *requestHandler) sender(i int) (requestID, userID string) {
	return s.requests[i].RequestID, s.requests[i].UserID
}

func (s *requestHandler) store(ctx context.Context, p part, next int64) error {
	if err := s.answer(ctx, p); err != nil {
		return err
	}
	if len(s.fresh) == 0 && next == s.fence {
		return nil
	}
	defer spend(&s.times.Store, time.Now())
	return s.ledger.Record(ctx, schemas.Batch{
		Topic: s.cfg.Topic, Partition: s.partition,
		From: s.fence, Next: next, Decisions: s.fresh,
	})
}

// answer gives each request of the part its decision: the stored one where there is one, that of the same
// id earlier in the batch, or a new one. The new ones are in s.fresh.
func (s *requestHandler) answer(ctx context.Context, p part) error {
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	stored, err := s.find(ctx, p, now, s.redelivered(p))
	if err != nil {
		return err
	}
	s.fresh = s.fresh[:0]
	begun := false
	defer s.scorer.End()
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
			if err := s.begin(ctx, part{lo: i, hi: p.hi}, stored); err != nil {
				return err
			}
			begun = true
		}
		if err := s.decide(i, now); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the scorer ready for the requests of the part that have no stored decision.
func (s *requestHandler) begin(ctx context.Context, p part, stored map[string]*schemas.Decision) error {
	if err := s.scorer.Begin(); err != nil {
		return fmt.Errorf("score: %w", err)
	}
	clear(s.about)
	s.users = s.users[:0]
	for i := p.lo; i < p.hi; i++ {
		req := &s.requests[i]
		if s.outcomes[i].Rejection == nil && stored[req.RequestID] == nil && req.UserID != "" && s.scorer.NeedsProfile(req) {
			s.users = append(s.users, req.UserID)
		}
	}
	if len(s.users) == 0 {
		return nil
	}
	if s.about == nil {
		s.about = map[string]*schemas.Profile{}
	}
	slices.Sort(s.users)
	s.users = slices.Compact(s.users)
	defer spend(&s.times.Lookup, time.Now())
	return s.profiles.Fetch(ctx, s.users, s.about)
}

// find looks up the part's request ids in the ledger and notes the first message of each.
func (s *requestHandler) find(ctx context.Context, p part, now time.Time, ever bool) (map[string]*schemas.Decision, error) {
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
	defer spend(&s.times.Lookup, time.Now())
	return s.ledger.Find(ctx, s.ids, now, ever)
}

// decide scores message i, or rejects it where it cannot be scored.
func (s *requestHandler) decide(i int, now time.Time) error {
	req, d := &s.requests[i], &s.decisions[i]
	began := time.Now()
	if err := s.scorer.Decide(req, s.about[req.UserID], d); err != nil {
		var coded interface{ Code() string }
		if !errors.As(err, &coded) {
			return err
		}
		s.reject(i, schemas.Rejection{Code: coded.Code(), Detail: err.Error(), Stage: "score"})
		return nil
	}
	d.ScoredAt = now
	d.QueueTime = max(0, now.Sub(req.RequestedAt)).Truncate(time.Microsecond)
	took := time.Since(began)
	s.times.Decide += took
	d.ScoreTime = took.Truncate(time.Microsecond)
	d.Source = s.outcomes[i].Message.Source
	s.outcomes[i].Decision = d
	s.fresh = append(s.fresh, d)
	return nil
}
