package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"recstream/internal/rounds"
	"recstream/scoring/forest"
)

// explainer writes the contribution of each feature to a row's raw score, and the expected score last.
type explainer func(row, out []float64) error

// explained is how long it takes to explain a row.
type explained struct {
	model    string
	ours     []float64 // µs a row, by round
	lightGBM []float64 // the same; none where LightGBM is missing
}

// numExplained is how many rows take turns.
const numExplained = 512

// measureExplaining compares recstream with LightGBM and lets both take turns.
func measureExplaining(ctx context.Context, o options, m *model) (e explained, err error) {
	f, err := forest.Parse(m.text)
	if err != nil {
		return e, err
	}
	own, err := f.NewExplainer()
	if err != nil {
		return e, err
	}
	ours := explainer(func(row, out []float64) error { own.Contributions(row, out); return nil })
	theirs, err := loadPeerExplainer(o.places, m)
	if err != nil {
		return e, err
	}
	rows := explainedRows()
	functions := []func() error{rowAfterRow(ours, rows)}
	if theirs != nil {
		if err := compareExplained(ours, theirs, rows); err != nil {
			return e, err
		}
		functions = append(functions, rowAfterRow(theirs, rows))
	}
	ns, err := o.TakeTurns(ctx, functions...)
	if err != nil {
		return e, err
	}
	e.model, e.ours = m.name, rounds.Microseconds(ns[0])
	if theirs != nil {
		e.lightGBM = rounds.Microseconds(ns[1])
	}
	return e, nil
}

// rowAfterRow returns a function that explains the next row, each time it is called.
func rowAfterRow(explain explainer, rows [][]float64) func() error {
	next, out := 0, make([]float64, rowWidth+1)
	return func() error {
		row := rows[next%len(rows)]
		next++
		return explain(row, out)
	}
}

// explainedRows draws rows.
func explainedRows() [][]float64 {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([][]float64, numExplained)
	for i := range rows {
		rows[i] = normal(random, rowWidth)
	}
	return rows
}

// compareExplained refuses contributions that differ by more than the tolerance.
func compareExplained(ours, theirs explainer, rows [][]float64) error {
	want, got := make([]float64, rowWidth+1), make([]float64, rowWidth+1)
	for _, row := range rows {
		if err := theirs(row, want); err != nil {
			return err
		}
		if err := ours(row, got); err != nil {
			return err
		}
		for i := range got {
			if !(math.Abs(got[i]-want[i]) <= tolerance) {
				return fmt.Errorf("contribution %d is %v, LightGBM's %v", i, got[i], want[i])
			}
		}
	}
	return nil
}
