package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"recstream/internal/config"
)

// guard says who may call, how often and how many at the same time. A client is a token; without tokens all are one.
type guard struct {
	tokens   [][sha256.Size]byte
	limiters []*rate.Limiter // by token; empty where there is no limit
	inFlight places          // of requests, from their beginning to their answer
}

func newGuard(h config.HTTP) *guard {
	g := &guard{inFlight: make(places, h.MaxInFlight)}
	for _, token := range h.Tokens {
		g.tokens = append(g.tokens, sha256.Sum256([]byte(token.Reveal())))
	}
	for range max(len(g.tokens), 1) {
		if h.Rate > 0 {
			g.limiters = append(g.limiters, rate.NewLimiter(rate.Limit(h.Rate), h.Rate))
		}
	}
	return g
}

// client returns the number of the client that a request comes from; ok is false for one that may not call. It
// takes as long for a wrong token as for a right one: all are compared, by their hashes, in constant time.
func (g *guard) client(r *http.Request) (number int, ok bool) {
	if len(g.tokens) == 0 {
		return 0, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return 0, false
	}
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	number = -1
	for i := range g.tokens {
		same := subtle.ConstantTimeCompare(sum[:], g.tokens[i][:])
		number = subtle.ConstantTimeSelect(same, i, number)
	}
	return number, number >= 0
}

// allow reports whether a client may call now.
func (g *guard) allow(client int) bool { return len(g.limiters) == 0 || g.limiters[client].Allow() }
