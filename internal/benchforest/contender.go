package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/dmitryikh/leaves"

	"recstream/scoring/forest"
)

// contender is one way to score.
type contender struct {
	name  string // in the figures
	peer  string // what it is a way of; the faster way of a peer counts
	about string // in the table
	exact bool   // adds leaves up in the order of the trees, so its scores are recstream's to the bit
	load  func(ctx context.Context, m *model, w *workload) (*scorer, error)
}

// The peers that recstream is compared with.
const (
	peerOurs     = "ours"
	peerLeaves   = "leaves"
	peerLightGBM = "lightgbm"
	peerLleaves  = "lleaves"
	peerTL2cgen  = "tl2cgen"
)

// scorer is a contender with a model and a catalogue.
type scorer struct {
	// score writes the raw score of each candidate to out. It makes the rows too, where it needs any.
	score     func(x []float64, candidates []int32, out []float64) error
	close     func()
	method    string        // how it works, where there is a choice
	loading   time.Duration // of the model, without what was compiled before
	preparing time.Duration // of the catalogue
	bytes     int64         // of the model, or of what was prepared
}

// contenders are those that can be measured here; missing says why others cannot.
func contenders(at places) (list []contender, missing []string) {
	list = []contender{
		{peerOurs, peerOurs, "recstream", true, loadOurs},
		{"leaves_single", peerLeaves, "leaves, PredictSingle", true, loadLeaves(leavesSingle)},
		{"leaves_dense", peerLeaves, "leaves, PredictDense", true, loadLeaves(leavesDense)},
	}
	more, missing := peers(at)
	return append(list, more...), missing
}

// loadOurs prepares recstream's own evaluator with default options.
func loadOurs(ctx context.Context, m *model, w *workload) (*scorer, error) {
	started := time.Now()
	f, err := forest.Parse(m.text)
	if err != nil {
		return nil, err
	}
	s := &scorer{loading: time.Since(started), close: func() {}}
	parts := make([]forest.Part, rowWidth)
	for i := requestWidth; i < rowWidth; i++ {
		parts[i] = forest.PartItem
	}
	started = time.Now()
	e, err := forest.NewEvaluator(ctx, f, parts, w.items, w.numItems, forest.Options{})
	if err != nil {
		return nil, err
	}
	s.preparing, s.method, s.bytes = time.Since(started), string(e.Method()), e.Bytes()
	evaluator := e.NewScorer()
	s.score = func(x []float64, candidates []int32, out []float64) error {
		evaluator.Score(x, candidates, nil, out)
		return nil
	}
	return s, nil
}

// leavesWay is a way to use leaves.
type leavesWay func(e *leaves.Ensemble, w *workload) func(x []float64, candidates []int32, out []float64) error

// loadLeaves reads the model with leaves, whose reader takes the format of LightGBM 3 and not the label of 4.
func loadLeaves(way leavesWay) func(context.Context, *model, *workload) (*scorer, error) {
	return func(_ context.Context, m *model, w *workload) (*scorer, error) {
		text := bytes.Replace(m.text, []byte("version=v4"), []byte("version=v3"), 1)
		before, started := heapBytes(), time.Now()
		e, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(text)), false)
		if err != nil {
			return nil, err
		}
		s := &scorer{loading: time.Since(started), close: func() {}}
		s.bytes = heapBytes() - before
		runtime.KeepAlive(text)
		s.score = way(e, w)
		return s, nil
	}
}

// leavesSingle scores row by row.
func leavesSingle(e *leaves.Ensemble, w *workload) func(x []float64, candidates []int32, out []float64) error {
	row := make([]float64, rowWidth)
	return func(x []float64, candidates []int32, out []float64) error {
		copy(row, x)
		for i, item := range candidates {
			w.fill(row, item)
			out[i] = e.PredictSingle(row, 0)
		}
		return nil
	}
}

// leavesDense scores all candidates at once, on one thread.
func leavesDense(e *leaves.Ensemble, w *workload) func(x []float64, candidates []int32, out []float64) error {
	var rows []float64
	return func(x []float64, candidates []int32, out []float64) error {
		rows = rows[:0]
		for _, item := range candidates {
			rows = append(rows, x...)
			w.fill(rows[len(rows)-rowWidth:], item)
		}
		return e.PredictDense(rows, len(candidates), rowWidth, out, 0, 1)
	}
}

// heapBytes is what is in use once garbage is gone.
func heapBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// loadAll prepares each contender for a model and a workload. The caller closes what it returns.
func loadAll(ctx context.Context, list []contender, m *model, w *workload) (_ []*scorer, err error) {
	var all []*scorer
	for i := range list {
		s, err := list[i].load(ctx, m, w)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%s, model %s: %w", list[i].about, m.name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func closeAll(all []*scorer) {
	for _, s := range all {
		s.close()
	}
}
