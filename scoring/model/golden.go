package model

import (
	"math"
	"slices"
)

// MaxGolden is how many golden rows Build puts into a bundle, a fifth of them rows with missing values where the
// sample has such.
const MaxGolden = 50

// goldenRows picks rows from the lowest to the highest prediction.
func goldenRows(rows [][]float64, predictions []float64) []Golden {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case predictions[a] < predictions[b]:
			return -1
		case predictions[a] > predictions[b]:
			return 1
		}
		return 0
	})
	incomplete := slices.DeleteFunc(slices.Clone(order), func(i int) bool { return !slices.ContainsFunc(rows[i], math.IsNaN) })
	picked := spread(incomplete, MaxGolden/5)
	picked = append(picked, spread(order, MaxGolden-len(picked))...)
	slices.Sort(picked)
	var golden []Golden
	for _, i := range slices.Compact(picked) {
		golden = append(golden, Golden{Row: rows[i], Prediction: predictions[i]})
	}
	return golden
}

// spread returns up to n of a list, the first, the last and as evenly between them as can be.
func spread(list []int, n int) []int {
	if len(list) <= n {
		return slices.Clone(list)
	}
	picked := make([]int, n)
	for i := range picked {
		picked[i] = list[i*(len(list)-1)/(n-1)]
	}
	return picked
}
