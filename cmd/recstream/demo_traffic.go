package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/demo"
	"recstream/internal/loadgen"
	"recstream/schemas"
)

// What the demo's households do: some evenings before the demo begins, and how many there are at the most.
const (
	demoEvenings       = 6
	demoFilmsAnEvening = 5
	demoHouseholds     = 1000
)

// demoTimeout is how long the demo waits for the next result, or for feedback to be stored, before it gives up.
const demoTimeout = 60 * time.Second

// demoTraffic is what the demo's households send, and the results that they get.
type demoTraffic struct {
	app        *app
	stack      *demoStack
	households *demo.Households
	requests   []schemas.Request
	results    []*schemas.Result // in the order of the requests
	feedback   int               // events that were published
	elapsed    time.Duration     // from the first request to the last result
}

func (a *app) newDemoTraffic(s *demoStack, n int) (*demoTraffic, error) {
	households, err := demo.NewHouseholds(s.films, demoSeed)
	if err != nil {
		return nil, err
	}
	t := &demoTraffic{app: a, stack: s, households: households, requests: make([]schemas.Request, n)}
	generator := loadgen.New(demoSeed, min(max(n/3, 20), demoHouseholds))
	for i := range t.requests {
		generator.Next(&t.requests[i])
	}
	t.requests[0].Explain = true // one result says why
	return t, nil
}

// run lets the households watch films for some evenings, then ask, then act on what they are shown.
func (t *demoTraffic) run(ctx context.Context) error {
	if err := t.publishFeedback(ctx, t.past(time.Now())); err != nil {
		return err
	}
	if err := t.ask(ctx); err != nil {
		return err
	}
	return t.publishFeedback(ctx, t.reactions())
}

// past is the feedback of the evenings before, of all who will ask.
func (t *demoTraffic) past(now time.Time) (list []schemas.Feedback) {
	known := map[string]bool{"": true} // nobody knows the anonymous again
	for i := range t.requests {
		if user := t.requests[i].UserID; !known[user] {
			known[user] = true
			list = t.households.Past(list, user, demoEvenings, demoFilmsAnEvening, now)
		}
	}
	return list
}

// reactions is the feedback on the results.
func (t *demoTraffic) reactions() (list []schemas.Feedback) {
	for i, r := range t.results {
		showing := demo.Showing{RequestID: r.RequestID, UserID: r.UserID, Context: t.requests[i].Context, At: r.ScoredAt}
		for _, item := range r.Items {
			showing.Items = append(showing.Items, item.ItemID)
		}
		list = t.households.React(list, showing)
	}
	return list
}

// publishFeedback publishes feedback and waits until all that was published is stored.
func (t *demoTraffic) publishFeedback(ctx context.Context, list []schemas.Feedback) error {
	writer := newWriter(t.stack.cfg, t.stack.cfg.Kafka.Topics.Feedback, t.stack.pipeline.transport)
	now := time.Now()
	messages := make([]kafka.Message, len(list))
	for i := range list {
		messages[i] = kafka.Message{Key: []byte(list[i].PartitionKey()), Value: schemas.AppendFeedback(nil, &list[i]),
			Time: now, Headers: eventHeaders(schemas.TypeFeedback, newUUID(), now)}
	}
	if err := errors.Join(writer.WriteMessages(ctx, messages...), writer.Close()); err != nil {
		return fmt.Errorf("publish feedback: %w", err)
	}
	t.feedback += len(list)
	stored, err := t.stack.await(ctx, `SELECT count(*) FROM outcomes`, t.feedback, demoTimeout)
	if err == nil && stored < t.feedback {
		err = fmt.Errorf("%d of %d feedback events are stored, and none has come for %v", stored, t.feedback, demoTimeout)
	}
	return err
}

// ask publishes the requests and waits for their results.
func (t *demoTraffic) ask(ctx context.Context) error {
	results, err := watchResults(ctx, t.stack.cfg, t.stack.pipeline.client, t)
	if err != nil {
		return err
	}
	p := newPublisher(t.app, t.stack.cfg, &publishFlags{generate: len(t.requests)}, t.stack.pipeline.transport)
	p.expect = results.expect
	began := time.Now()
	err = errors.Join(p.run(ctx, t.events), p.writer.Close())
	if err == nil {
		err = results.wait(ctx, demoTimeout)
	}
	t.elapsed = time.Since(began)
	results.stop()
	t.sortResults()
	return err
}

// events yields the requests.
func (t *demoTraffic) events(yield func(*event, error) bool) {
	for i := range t.requests {
		if !yield(&event{request: t.requests[i]}, nil) {
			return
		}
	}
}

// result and flush take the results as they arrive.
func (t *demoTraffic) result(_ []byte, r *schemas.Result) error {
	kept := *r
	t.results = append(t.results, &kept)
	return nil
}

func (t *demoTraffic) flush() error { return nil }

// sortResults brings the results, which came from several partitions, into the order of the requests.
func (t *demoTraffic) sortResults() {
	place := make(map[string]int, len(t.requests))
	for i := range t.requests {
		place[t.requests[i].RequestID] = i
	}
	slices.SortFunc(t.results, func(a, b *schemas.Result) int { return cmp.Compare(place[a.RequestID], place[b.RequestID]) })
}
