package workload

import (
	"bytes"
	"strings"

	"recstream/internal/chaos/history"
)

// kind is a way for an event to be bad.
type kind struct {
	name  string
	code  string // that it is to be refused with
	reads reads
	value string // with $ID and $USER in the places of the event's own
	// The rest is for the few kinds that are not text with ids in it.
	raw     func(g *Generator, value string) history.Bytes // what is published for the value; nil is the value
	key     func(g *Generator) history.Bytes               // nil is the user's
	headers func(g *Generator) []history.Header
	heavy   bool // more than 100 kB
	large   bool // its dead letter can be more than a topic takes
}

// reads says which ids can be read of a bad event.
type reads int

const (
	neither reads = iota
	requestOnly
	both
	userOnly
)

// kinds hands out kinds in turn, heavy ones for a few rounds only.
type kinds struct {
	all    []kind
	next   int
	rounds int // of heavy kinds that are left
}

func newKinds(all []kind, heavy int) kinds { return kinds{all: all, rounds: heavy} }

func (k *kinds) take() *kind {
	for {
		if k.next == len(k.all) {
			k.next = 0
			k.rounds--
		}
		kind := &k.all[k.next]
		k.next++
		if !kind.heavy || k.rounds > 0 {
			return kind
		}
	}
}

// reject makes the next bad event.
func (g *Generator) reject(from *kinds) history.Published {
	k := from.take()
	id, user := g.id(), g.user()
	if k.reads == neither || k.reads == userOnly {
		id = "unread" // so that nobody can have answered it
	}
	value := strings.NewReplacer("$ID", inJSON(id), "$USER", inJSON(user)).Replace(k.value)
	p := history.Published{Kind: history.Bad, Fault: k.name, Codes: []string{k.code}, Large: k.large,
		Key: history.Bytes(user), Value: history.Bytes(value)}
	if k.reads == requestOnly || k.reads == both {
		p.RequestID = id
	}
	if k.reads == both || k.reads == userOnly {
		p.UserID = user
	}
	if k.raw != nil {
		p.Value = k.raw(g, value)
	}
	switch {
	case k.key != nil:
		p.Key = k.key(g)
	case g.likely(0.1):
		p.Key = pick(g, nil, history.Bytes{}, history.Bytes{0xff, 0, 0xfe})
	}
	if k.headers != nil {
		p.Headers = k.headers(g)
	}
	return p
}

// inJSON is a text as it stands between the quotes of JSON.
func inJSON(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// null publishes no value at all.
func null(*Generator, string) history.Bytes { return nil }

// longer fills a value up to a number of bytes with white space after it, or x in the place of $FILL.
func longer(size int) func(*Generator, string) history.Bytes {
	return func(_ *Generator, value string) history.Bytes {
		before, after, found := strings.Cut(value, "$FILL")
		fill := " "
		if found {
			fill = "x"
		}
		return history.Bytes(before + strings.Repeat(fill, size-len(before)-len(after)) + after)
	}
}

// randomly publishes bytes that are nothing at all, behind a start that is no JSON.
func randomly(g *Generator, _ string) history.Bytes {
	b := history.Bytes{0x1f, 0x8b}
	for range g.rng.IntN(200) {
		b = append(b, byte(g.rng.Uint32()))
	}
	return b
}

// wide publishes a value in UTF-16, as some tools of Windows do.
func wide(_ *Generator, value string) history.Bytes {
	b := history.Bytes{0xff, 0xfe}
	for _, c := range []byte(value) {
		b = append(b, c, 0)
	}
	return b
}

func manyBytes(n int) history.Bytes { return bytes.Repeat([]byte("k"), n) }
