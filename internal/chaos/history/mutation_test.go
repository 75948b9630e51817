package history_test

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"recstream/internal/chaos/history"
)

var (
	seed  = flag.Uint64("mutation.seed", 0, "seed of the random mutations; 0 takes another each time")
	count = flag.Int("mutation.count", 40, "how many random mutations are made")
)

// TestRandomMutationsAreFound drops, doubles, alters or moves one element of a faultless history, at random.
func TestRandomMutationsAreFound(t *testing.T) {
	seed := *seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -mutation.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	h := fabricate(t, seed, 2_000)
	if v := history.Check(h); len(v) > 0 {
		t.Fatalf("the history has violations without a mutation:\n%s", history.Report(v, 3))
	}
	for range *count {
		m := &mutator{finder: newFinder(t, copyOf(h)), rng: rng}
		what := m.mutate()
		if len(history.Check(m.History)) == 0 {
			t.Errorf("not found: %s", what)
		}
	}
}

// copyOf returns a history with lists of its own; what stands in them is replaced, never changed in its place.
func copyOf(h *history.History) *history.History {
	c := *h
	c.Logs, c.Published, c.Decisions, c.Outcomes = slices.Clone(h.Logs), slices.Clone(h.Published), slices.Clone(h.Decisions), slices.Clone(h.Outcomes)
	c.Results, c.Raw, c.DeadLetters = slices.Clone(h.Results), slices.Clone(h.Raw), slices.Clone(h.DeadLetters)
	c.Commits, c.Progress, c.Gaps = slices.Clone(h.Commits), slices.Clone(h.Progress), slices.Clone(h.Gaps)
	c.Profiles, c.Popularity = slices.Clone(h.Profiles), slices.Clone(h.Popularity)
	return &c
}

// mutator makes one random mutation that is to be found.
type mutator struct {
	*finder
	rng *rand.Rand
}

// mutate returns what it did.
func (m *mutator) mutate() string {
	mutations := []struct {
		name string
		make func() bool // false where it changed nothing, or nothing that counts
	}{
		{"drop a row", func() bool { return drop(m, &m.Decisions, live) }},
		{"double a row", func() bool { return double(m, &m.Decisions, nil) }},
		{"alter a row", func() bool { return alter(m, &m.Decisions, live) }},
		{"drop an outcome", func() bool { return drop(m, &m.Outcomes, published) }},
		{"double an outcome", func() bool { return double(m, &m.Outcomes, nil) }},
		{"alter an outcome", func() bool { return alter(m, &m.Outcomes, nil) }},
		{"drop a profile", func() bool { return drop(m, &m.Profiles, nil) }},
		{"double a profile", func() bool { return double(m, &m.Profiles, nil) }},
		{"alter a profile", func() bool { return alter(m, &m.Profiles, nil) }},
		{"drop a popularity", func() bool { return drop(m, &m.Popularity, watched) }},
		{"double a popularity", func() bool { return double(m, &m.Popularity, watched) }},
		{"alter a popularity", func() bool { return alter(m, &m.Popularity, watched) }},
		{"drop a dead letter", func() bool { return drop(m, &m.DeadLetters, nil) }},
		{"double a dead letter", func() bool { return double(m, &m.DeadLetters, nil) }},
		{"alter a dead letter", func() bool { return m.spoil(&m.DeadLetters[m.rng.IntN(len(m.DeadLetters))]) }},
		{"drop a result", func() bool { return drop(m, &m.Results, nil) }},
		{"double a result", func() bool { m.emit(m.Results[m.rng.IntN(len(m.Results))]); return true }},
		{"alter a result to one reader", func() bool { return m.spoil(&m.Results[m.rng.IntN(len(m.Results))]) }},
		{"alter a result", m.alterResult},
		{"move a result", func() bool { a, b := m.pair(); m.swap(a, b); return true }},
		{"drop an event", func() bool { return drop(m, &m.Published, read) }},
		{"double an event", func() bool { return double(m, &m.Published, nil) }},
		{"drop a log", func() bool { return drop(m, &m.Logs, nil) }},
		{"drop a gap", func() bool { return drop(m, &m.Gaps, nil) }},
		{"move an observation", m.moveObservation},
		{"move a commit", m.moveCommit},
	}
	for {
		if mutation := mutations[m.rng.IntN(len(mutations))]; mutation.make() {
			return mutation.name
		}
	}
}

// live leaves out rows of replays and of what was never published: nothing else tells what they are to be.
func live(d history.Decision) bool { return d.Run == runID && !inGap(d.Source) }

func published(o history.Outcome) bool { return !inGap(o.Source) }

// watched leaves out items that nobody has.
func watched(p history.Popularity) bool { return p.Weight > 0 }

// read leaves out events of the gaps, which little came of.
func read(p history.Published) bool { return !inGap(p.Place) }

// choose returns the place of an element of which that is true; nil is true of all.
func choose[T any](m *mutator, list []T, is func(T) bool) int {
	for {
		if i := m.rng.IntN(len(list)); is == nil || is(list[i]) {
			return i
		}
	}
}

func drop[T any](m *mutator, list *[]T, is func(T) bool) bool {
	i := choose(m, *list, is)
	*list = slices.Delete(*list, i, i+1)
	return true
}

func double[T any](m *mutator, list *[]T, is func(T) bool) bool {
	*list = append(*list, (*list)[choose(m, *list, is)])
	return true
}

// alter changes one value of an element's JSON, whatever it is.
func alter[T any](m *mutator, list *[]T, is func(T) bool) bool {
	i := choose(m, *list, is)
	text, err := json.Marshal((*list)[i])
	if err != nil {
		m.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		m.t.Fatal(err)
	}
	// Not every explanation is asked for, and without items nothing is pinned or explained.
	delete(fields, "reasons")
	if items, _ := fields["item_ids"].([]any); len(items) == 0 {
		delete(fields, "pinned")
		delete(fields, "explain")
	}
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[m.rng.IntN(len(names))]
	fields[name] = m.other(fields[name])
	if text, err = json.Marshal(fields); err != nil {
		m.t.Fatal(err)
	}
	before := (*list)[i]
	altered := before // what was left out above stays
	if json.Unmarshal(text, &altered) != nil || reflect.DeepEqual(altered, before) {
		return false
	}
	(*list)[i] = altered
	return true
}

// other returns another value of the same type, where there is one.
func (m *mutator) other(v any) any {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.Add(time.Duration(1+m.rng.IntN(1e6)) * time.Microsecond)
		}
		return v + "x"
	case float64:
		return v + 1
	case bool:
		return !v
	case []any:
		if len(v) == 0 {
			return v
		}
		changed := slices.Clone(v)
		i := m.rng.IntN(len(v))
		changed[i] = m.other(v[i])
		return changed
	case map[string]any:
		for name := range v {
			v[name] = m.other(v[name])
		}
		return v
	}
	return v // null
}

// spoil changes a byte of a record's value, its key or one of its headers.
func (m *mutator) spoil(e *history.Emitted) bool {
	switch m.rng.IntN(3) {
	case 0:
		e.Value = m.flip(e.Value)
	case 1:
		e.Key = m.flip(e.Key)
	case 2:
		e.Headers = slices.Clone(e.Headers)
		h := &e.Headers[m.rng.IntN(len(e.Headers))]
		h.Value = m.flip(h.Value)
	}
	return true
}

// flip changes one byte, or adds one to none.
func (m *mutator) flip(b history.Bytes) history.Bytes {
	if len(b) == 0 {
		return history.Bytes("x")
	}
	changed := slices.Clone(b)
	changed[m.rng.IntN(len(b))]++
	return changed
}

// alterResult changes a byte of a result for all readers. One that says the same is no fault, and neither does the
// ledger's row tell of an explanation's numbers or of a rejection's words.
func (m *mutator) alterResult() bool {
	i := m.rng.IntN(len(m.Results))
	var before, after map[string]any
	if json.Unmarshal(m.Results[i].Value, &before) != nil || before["status"] != "ok" {
		return false
	}
	items, _ := before["items"].([]any)
	for _, it := range items {
		if it.(map[string]any)["explanation"] != nil {
			return false
		}
	}
	changed := m.flip(m.Results[i].Value)
	if json.Unmarshal(changed, &after) == nil && reflect.DeepEqual(before, after) {
		return false
	}
	m.change(i, func(e *history.Emitted) { e.Value = changed })
	return true
}

// moveObservation lets a later observation come before an earlier one.
func (m *mutator) moveObservation() bool {
	i, j := m.rng.IntN(len(m.Progress)), m.rng.IntN(len(m.Progress))
	a, b := &m.Progress[i], &m.Progress[j]
	if a.Topic != b.Topic || a.Partition != b.Partition || a.Fence == b.Fence {
		return false
	}
	*a, *b = *b, *a
	return true
}

// moveCommit lets a later commit come before an earlier one.
func (m *mutator) moveCommit() bool {
	i, j := m.rng.IntN(len(m.Commits)), m.rng.IntN(len(m.Commits))
	a, b := &m.Commits[i], &m.Commits[j]
	if a.Topic != b.Topic || a.Partition != b.Partition || a.Offset == b.Offset {
		return false
	}
	*a, *b = *b, *a
	return true
}
