package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"recstream/schemas"
)

// Event is an event to publish as an app does.
type Event struct {
	ID          string // ce_id
	Type        string // ce_type, such as schemas.TypeRequest
	Key, Value  []byte
	TraceParent string // "" is none
}

// PublisherConfig says where a Publisher's events go.
type PublisherConfig struct {
	Config         // Results and DeadLetters are not looked at
	Topic   string // of the events
	Waiting int    // events that wait for their turn at the most; default 1024
	Now     func() time.Time
}

const (
	defaultWaiting = 1024
	maxTogether    = 1000             // events of one write
	lookAgain      = 10 * time.Second // after which the topic's partitions are counted again
)

// ErrTooLarge says that the topic takes no event so large. It was not published, and trying again does not help.
var ErrTooLarge = errors.New("the topic takes no event so large")

// ErrPublisherClosed says that the publisher's Run has ended, or has not begun.
var ErrPublisherClosed = errors.New("the publisher is not running")

// Publisher publishes events of many goroutines to one topic. What comes while a write is on its way leaves
// together with the next one: nothing waits for company, and a busy publisher needs few writes.
type Publisher struct {
	cfg     PublisherConfig
	letters chan *letter
	stopped chan struct{} // closed when Run has ended

	// Of Run alone.
	outbox *sender // nil: to be opened
	looked time.Time
	onWay  map[target][]*letter // of the batch that was added, by partition, in order
}

// letter is an event on its way.
type letter struct {
	ctx   context.Context
	event Event
	large error      // ErrTooLarge with its cause, where it is refused for good
	sent  chan error // has room for the one answer
}

// NewPublisher returns a publisher; nothing leaves before Run.
func NewPublisher(cfg PublisherConfig) *Publisher {
	if cfg.Waiting == 0 {
		cfg.Waiting = defaultWaiting
	}
	return &Publisher{cfg: cfg, letters: make(chan *letter, cfg.Waiting), stopped: make(chan struct{}),
		onWay: map[target][]*letter{}}
}

// Publish returns when all in-sync replicas have the event. After an error, that of ctx too, the event may have
// been published all the same, unless it is ErrTooLarge.
func (p *Publisher) Publish(ctx context.Context, e Event) error {
	l := &letter{ctx: ctx, event: e, sent: make(chan error, 1)}
	select {
	case p.letters <- l:
	case <-p.stopped:
		return ErrPublisherClosed
	case <-ctx.Done():
		return fmt.Errorf("publish to %s: others are waiting: %w", p.cfg.Topic, ctx.Err())
	}
	select {
	case err := <-l.sent:
		return err
	case <-p.stopped:
		return ErrPublisherClosed
	case <-ctx.Done():
		return fmt.Errorf("publish to %s: %w", p.cfg.Topic, ctx.Err())
	}
}

// Run publishes until ctx ends. It is called once.
func (p *Publisher) Run(ctx context.Context) {
	defer close(p.stopped)
	batch := make([]*letter, 0, maxTogether)
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-p.letters:
			batch = append(batch[:0], l)
		}
		batch = p.gather(batch)
		err := p.send(ctx, batch)
		for _, l := range batch {
			if l.large != nil {
				l.sent <- l.large
			} else {
				l.sent <- err
			}
		}
		clear(batch)
		clear(p.onWay)
	}
}

// gather adds what waits, but no event that nobody waits for any more.
func (p *Publisher) gather(batch []*letter) []*letter {
	for len(batch) < maxTogether {
		select {
		case l := <-p.letters:
			if l.ctx.Err() == nil {
				batch = append(batch, l)
			}
		default:
			return batch
		}
	}
	return batch
}

// send writes a batch, and tries again while somebody waits for it: what is sent twice, the broker drops. What is
// given up is not written later: its senders are told, and the next batch begins with an outbox of its own.
func (p *Publisher) send(ctx context.Context, batch []*letter) error {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(20*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(500*time.Millisecond), backoff.WithMaxElapsedTime(0))
	added := false
	var last error
	_ = backoff.Retry(func() error {
		if last != nil && !awaited(batch) {
			return backoff.Permanent(last)
		}
		last = p.attempt(ctx, batch, &added)
		return last
	}, backoff.WithContext(policy, ctx))
	if last != nil {
		p.outbox = nil
	}
	return last
}

// awaited reports whether a sender still waits.
func awaited(batch []*letter) bool {
	return slices.ContainsFunc(batch, func(l *letter) bool { return l.ctx.Err() == nil })
}

// attempt flushes the outbox, into which the batch is added once.
func (p *Publisher) attempt(ctx context.Context, batch []*letter, added *bool) (err error) {
	defer func() { // a panic would end the process, and with it the partitions that are being consumed
		if v := recover(); v != nil {
			err = fmt.Errorf("publish to %s: panic: %v", p.cfg.Topic, v)
			p.outbox, *added = nil, false
		}
	}()
	if !*added {
		if err := p.open(ctx); err != nil {
			return err
		}
		p.add(batch)
		*added = true
	}
	err = p.outbox.flush(ctx)
	if reopen := (*reopenError)(nil); errors.As(err, &reopen) {
		p.outbox, *added = nil, false
	}
	return err
}

// add adds the batch, without what is refused for good already.
func (p *Publisher) add(batch []*letter) {
	now := p.cfg.Now()
	clear(p.onWay)
	for _, l := range batch {
		if l.large == nil {
			to := p.addEvent(&l.event, now)
			p.onWay[to] = append(p.onWay[to], l)
		}
	}
}

// refuse notes whose event is too large: a lane is sent in order, so its queue's records are the last of its letters.
func (p *Publisher) refuse(lane *lane, err error) (*recordBatch, bool) {
	letters := p.onWay[lane.target]
	letters[len(letters)-lane.unsent()].large = fmt.Errorf("publish to %s: %w: %w", p.cfg.Topic, ErrTooLarge, err)
	return nil, true
}

// open makes an outbox where there is none, or the topic has other partitions by now.
func (p *Publisher) open(ctx context.Context) error {
	now := p.cfg.Now()
	if p.outbox != nil && (now.Sub(p.looked) < lookAgain || !p.outbox.isOutdated(ctx)) {
		return nil
	}
	outbox, err := New(p.cfg.Config).newSender(ctx, "", p.cfg.Topic)
	if err != nil {
		return err
	}
	outbox.tooLarge = p.refuse
	p.outbox, p.looked = outbox, now
	return nil
}

// addEvent encodes an event that was made at a time, and returns where it is to go.
func (p *Publisher) addEvent(ev *Event, at time.Time) target {
	e := &p.outbox.encoder
	e.begin()
	e.header(schemas.HeaderContentType, contentTypeJSON)
	e.header(schemas.HeaderSpecVersion, specVersion)
	e.stringHeader(schemas.HeaderID, ev.ID)
	e.stringHeader(schemas.HeaderType, ev.Type)
	e.stringHeader(schemas.HeaderSource, p.cfg.Source)
	e.textHeader(schemas.HeaderTime, func(b []byte) []byte { return at.UTC().AppendFormat(b, time.RFC3339Nano) })
	if n := len(ev.TraceParent); 0 < n && n <= maxTraceParent {
		e.stringHeader(schemas.HeaderTraceParent, ev.TraceParent)
	}
	to := target{p.cfg.Topic, p.outbox.home(p.cfg.Topic, ev.Key)}
	p.outbox.put(to.topic, to.partition, ev.Key, ev.Value, e.headers, at.UnixMilli())
	return to
}
