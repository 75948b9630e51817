package scoring

import "sync/atomic"

// Cache names what an engine remembers.
type Cache string

// The caches.
const (
	// CacheScores has the raw scores of models whose features depend on nothing but context and item. A look-up is a
	// candidate's.
	CacheScores Cache = "scores"
	// CacheAnswers has whole answers to requests that ask for nothing but their context. A look-up is a request's;
	// requests that ask for more are none.
	CacheAnswers Cache = "answers"
)

// The places of the caches in lists.
const (
	scoresCache = iota
	answersCache
	numCaches
)

// CacheStats says how a cache fares.
type CacheStats struct {
	Name         string // a Cache
	Hits, Misses uint64 // look-ups of the batches that have ended
	Bytes        int64  // of memory, about, in the state in force
}

// Caches says how the engine's caches fare.
func (e *Engine) Caches() []CacheStats {
	st := e.state.Load()
	list := make([]CacheStats, numCaches)
	for i, name := range [numCaches]Cache{CacheScores, CacheAnswers} {
		list[i] = CacheStats{Name: string(name), Hits: e.looked[i].hits.Load(), Misses: e.looked[i].misses.Load()}
	}
	for _, m := range st.models {
		if m.memo != nil {
			list[scoresCache].Bytes += m.memo.bytes()
		}
	}
	for _, a := range st.arms {
		if a.answers != nil {
			list[answersCache].Bytes += a.answers.bytes()
		}
	}
	return list
}

// lookups counts those of one batch.
type lookups struct{ hits, misses uint64 }

func (l *lookups) add(found bool) {
	if found {
		l.hits++
	} else {
		l.misses++
	}
}

// totals counts those of all scorers.
type totals struct{ hits, misses atomic.Uint64 }

// tell adds a batch's look-ups to the engine's: once a batch, so that scorers do not get into each other's way.
func (s *Scorer) tell() {
	for i := range s.looked {
		if l := &s.looked[i]; *l != (lookups{}) {
			s.engine.looked[i].hits.Add(l.hits)
			s.engine.looked[i].misses.Add(l.misses)
			*l = lookups{}
		}
	}
}
