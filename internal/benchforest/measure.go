package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// model is a model's file.
type model struct {
	name string // trees x leaves
	path string
	text []byte
}

// catalogue is a number of items, by name.
type catalogue struct {
	name  string
	items int
}

// What is measured.
var (
	catalogues = []catalogue{{"5k", 5_000}, {"100k", 100_000}}
	counts     = []int{100, 200, 1000} // candidates of a request
)

// maxCandidates is the largest of counts.
const maxCandidates = 1000

// tolerance bounds how far a score may be off where a contender adds up in another order.
const tolerance = 1e-9

// cell is what was measured of a model with a catalogue.
type cell struct {
	model, catalogue string
	lanes            []lane
	allocs           float64 // of recstream, a request
	deviation        float64 // the largest from recstream's scores
}

// lane is a contender in a cell.
type lane struct {
	*contender
	*scorer
	ns [][]float64 // a candidate, by count and round
}

// measure does everything.
func measure(ctx context.Context, o options, progress io.Writer) (*figures, error) {
	models, err := readModels(o.places.models)
	if err != nil {
		return nil, err
	}
	list, missing := contenders(o.places)
	f := &figures{options: o, missing: missing, compiling: compileTimes(o.places, models)}
	for _, c := range catalogues {
		w := newWorkload(c.items, maxCandidates)
		for i := range models {
			fmt.Fprintf(progress, "measuring %s with %s items\n", models[i].name, c.name)
			measured, err := measureCell(ctx, o, list, &models[i], w)
			if err != nil {
				return nil, fmt.Errorf("model %s, %s items: %w", models[i].name, c.name, err)
			}
			measured.model, measured.catalogue = models[i].name, c.name
			f.cells = append(f.cells, measured)
		}
	}
	for i := range models {
		e, err := measureExplaining(ctx, o, &models[i])
		if err != nil {
			return nil, fmt.Errorf("explain %s: %w", models[i].name, err)
		}
		f.explained = append(f.explained, e)
	}
	return f, nil
}

// readModels reads all models of a directory, the smallest first.
func readModels(directory string) ([]model, error) {
	paths, err := filepath.Glob(filepath.Join(directory, "*.txt"))
	if err != nil {
		return nil, err
	}
	var models []model
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		models = append(models, model{strings.TrimSuffix(filepath.Base(path), ".txt"), path, text})
	}
	if len(models) == 0 {
		return nil, fmt.Errorf("no models in %s: run scripts/bench-forest.sh, which trains them", directory)
	}
	slices.SortFunc(models, func(a, b model) int { return len(a.text) - len(b.text) })
	return models, nil
}

// measureCell loads all contenders, compares their scores, and lets them take turns.
func measureCell(ctx context.Context, o options, list []contender, m *model, w *workload) (*cell, error) {
	scorers, err := loadAll(ctx, list, m, w)
	if err != nil {
		return nil, err
	}
	defer closeAll(scorers)
	c := &cell{}
	for i, s := range scorers {
		c.lanes = append(c.lanes, lane{&list[i], s, make([][]float64, len(counts))})
	}
	if c.deviation, err = compare(c.lanes, w); err != nil {
		return nil, err
	}
	c.allocs = allocations(scorers[0], w)
	if err := c.takeTurns(ctx, o, w); err != nil {
		return nil, err
	}
	return c, nil
}

// takeTurns measures all lanes, for each number of candidates.
func (c *cell) takeTurns(ctx context.Context, o options, w *workload) error {
	for count, n := range counts {
		var functions []func() error
		for i := range c.lanes {
			functions = append(functions, requestAfterRequest(&c.lanes[i], w, n))
		}
		ns, err := o.TakeTurns(ctx, functions...)
		if err != nil {
			return err
		}
		for i := range c.lanes {
			for _, request := range ns[i] {
				c.lanes[i].ns[count] = append(c.lanes[i].ns[count], request/float64(n))
			}
		}
	}
	return nil
}

// requestAfterRequest returns a function that scores n candidates of the next request, each time it is called.
func requestAfterRequest(l *lane, w *workload, n int) func() error {
	next, out := 0, make([]float64, n)
	return func() error {
		r := &w.requests[next%len(w.requests)]
		next++
		if err := l.score(r.x, r.candidates[:n], out); err != nil {
			return fmt.Errorf("%s: %w", l.about, err)
		}
		return nil
	}
}

// compared is how many requests compare looks at.
const compared = 32

// compare refuses contenders whose scores differ from recstream's, which come first: by a bit, or, where leaves
// are added up in another order, by more than the tolerance. It returns the largest difference.
func compare(lanes []lane, w *workload) (deviation float64, err error) {
	want, got := make([]float64, maxCandidates), make([]float64, maxCandidates)
	for _, r := range w.requests[:compared] {
		for i := range lanes {
			out := got
			if i == 0 {
				out = want
			}
			n := len(r.candidates)
			if err := lanes[i].score(r.x, r.candidates, out[:n]); err != nil {
				return 0, fmt.Errorf("%s: %w", lanes[i].about, err)
			}
			if i == 0 {
				continue
			}
			for j := range r.candidates {
				off := math.Abs(got[j] - want[j])
				if lanes[i].exact && off != 0 || !(off <= tolerance) {
					return 0, fmt.Errorf("%s scores %v where recstream scores %v", lanes[i].about, got[j], want[j])
				}
				deviation = max(deviation, off)
			}
		}
	}
	return deviation, nil
}

// allocations counts a scorer's allocations a request.
func allocations(s *scorer, w *workload) float64 {
	next, out := 0, make([]float64, maxCandidates)
	return testing.AllocsPerRun(numRequests, func() {
		r := &w.requests[next%numRequests]
		next++
		_ = s.score(r.x, r.candidates, out) // compare has seen that it works
	})
}
