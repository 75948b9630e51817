package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"recstream/internal/chaos/history"
)

// Generator makes events. It is not safe for concurrent use.
type Generator struct {
	opts   Options
	rng    *rand.Rand
	users  *rand.Zipf
	made   int // events
	ids    int // request ids that were given out
	recent []request
	bad    kinds // of requests
	worse  kinds // of feedback
}

// New returns a generator.
func New(opts Options) *Generator {
	opts = opts.withDefaults()
	rng := rand.New(rand.NewPCG(opts.Seed, 0x776f726b6c6f6164))
	return &Generator{
		opts:  opts,
		rng:   rng,
		users: rand.NewZipf(rng, 1.2, 4, uint64(opts.Users-1)),
		bad:   newKinds(badRequests, opts.Heavy),
		worse: newKinds(badFeedback, opts.Heavy),
	}
}

// Take makes the next n events. Of their places only the topics are set, and their times are zero: the Publisher
// knows the rest.
func (g *Generator) Take(n int) []history.Published {
	events := make([]history.Published, n)
	for i := range events {
		events[i] = g.next()
		g.made++
	}
	return events
}

func (g *Generator) next() history.Published {
	feedback, bad := g.likely(g.opts.Feedback), g.likely(g.opts.Bad)
	var p history.Published
	switch {
	case feedback && bad:
		p = g.reject(&g.worse)
	case feedback:
		p = g.feedback()
	case bad:
		p = g.reject(&g.bad)
	case len(g.recent) > 0 && g.likely(g.opts.Repeats):
		p = g.publish(g.repeat())
	default:
		p = g.publish(g.fresh())
	}
	p.Topic = g.opts.Topics.Requests
	if feedback {
		p.Topic = g.opts.Topics.Feedback
	}
	if !p.Large { // those have no room for more
		p.Headers = append(g.headers(), p.Headers...)
	}
	return p
}

func (g *Generator) likely(share float64) bool { return g.rng.Float64() < share }

// pick returns one of the list.
func pick[T any](g *Generator, list ...T) T { return list[g.rng.IntN(len(list))] }

// id gives out a request id. A few are hard to handle.
func (g *Generator) id() string {
	g.ids++
	plain := fmt.Sprintf("%sr-%07d", g.opts.Prefix, g.ids)
	switch g.ids % 50 {
	case 17:
		return plain + ` "quoted" \ <b>&amp;@/1/2`
	case 34:
		return plain + "-Zoë-🎬-\u2028"
	case 49:
		return plain + strings.Repeat("x", 128-len(plain)) // as long as an id may be
	}
	return plain
}

// user returns one of the users, the first of them most often.
func (g *Generator) user() string {
	n := g.users.Uint64()
	if n%20 == 11 {
		return fmt.Sprintf("Zoë 🎬 %d", n)
	}
	return fmt.Sprintf("u-%05d", n)
}

// item returns the id of an item, now and then of one that nobody knows.
func (g *Generator) item() string {
	if len(g.opts.Items) == 0 || g.likely(0.1) {
		return fmt.Sprintf("unknown-item-%03d", g.rng.IntN(1000))
	}
	return pick(g, g.opts.Items...)
}

// moment is when the next event is made: a millisecond after the one before.
func (g *Generator) moment() time.Time {
	return g.opts.Start.Add(time.Duration(g.made)*time.Millisecond + time.Duration(g.rng.IntN(1_000_000)))
}

// headers are what apps and their libraries add, sound and odd. Most events have none.
func (g *Generator) headers() []history.Header {
	switch g.rng.IntN(20) {
	case 0:
		return []history.Header{{Key: "traceparent", Value: history.Bytes("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}}
	case 1:
		return []history.Header{{Key: "twice", Value: history.Bytes("1")}, {Key: "twice", Value: history.Bytes("2")}}
	case 2:
		return []history.Header{{Key: "", Value: history.Bytes("no name")}, {Key: "null"}, {Key: "empty", Value: history.Bytes{}}}
	case 3:
		return []history.Header{{Key: "binary", Value: history.Bytes{0, 0xff, 0xfe, '\n'}}}
	case 4: // of a dead letter that was published again without care
		return []history.Header{{Key: "dlq_topic", Value: history.Bytes("elsewhere")}, {Key: "dlq_offset", Value: history.Bytes("x")}}
	case 5:
		return []history.Header{{Key: "ce_specversion", Value: history.Bytes("1.0")}, {Key: "ce_id", Value: history.Bytes("an app's own")}}
	case 6:
		return []history.Header{{Key: "traceparent", Value: history.Bytes(strings.Repeat("f", 1000))}}
	}
	return nil
}
