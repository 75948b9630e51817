package producer

import (
	"context"

	"recstream/schemas"
)

// Results publishes results and nothing else: no dead letters, no offsets, no transactions. What was added arrives at
// least once, in order, with the same ce_id each time. It is not safe for concurrent use.
type Results struct{ sender *sender }

// OpenResults returns an empty Results. The producer's dead-letter topic is not looked at.
func (p *Producer) OpenResults(ctx context.Context) (*Results, error) {
	s, err := p.newSender(ctx, "", p.cfg.Results)
	if err != nil {
		return nil, err
	}
	return &Results{s}, nil
}

// Add encodes the result of an outcome that has a decision.
func (r *Results) Add(out *schemas.Outcome) {
	s := r.sender
	key, value, headers, ms := s.encoder.result(s.cfg.Source, out)
	s.put(s.cfg.Results, s.home(s.cfg.Results, key), key, value, headers, ms)
}

// Flush sends what was added and forgets it. After an error call it again: what a broker has already is not written
// twice, unless it has forgotten the producer.
func (r *Results) Flush(ctx context.Context) error { return r.sender.flush(ctx) }
