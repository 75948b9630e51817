package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"recstream/scoring/model"
)

func TestNewHistogram(t *testing.T) {
	repeat := func(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }
	ramp := make([]float64, 100)
	for i := range ramp {
		ramp[i] = float64(i)
	}
	tests := map[string]struct {
		values  []float64
		missing int
		want    string // edges, counts
	}{
		"none":              {nil, 0, "[] []"},
		"all missing":       {repeat(math.NaN(), 3), 3, "[] []"},
		"all alike":         {repeat(7, 5), 0, "[7] [5]"},
		"a flag":            {append(repeat(0, 9), 1), 0, "[0 0.5 1] [9 1]"},
		"three, one absent": {[]float64{4, math.NaN(), 1, 2, 4}, 1, "[1 1.5 3 4] [1 1 2]"},
		"signed zeros":      {[]float64{math.Copysign(0, -1), 0}, 0, "[-0] [2]"},
		"neighbours":        {[]float64{1, math.Nextafter(1, 2)}, 0, "[1 1.0000000000000002] [2]"},
		"largest":           {[]float64{-math.MaxFloat64, math.MaxFloat64}, 0, fmt.Sprint([]float64{-math.MaxFloat64, 0, math.MaxFloat64}, []int{1, 1})},
		"even": {ramp, 0, "[0 4.5 9.5 14.5 19.5 24.5 29.5 34.5 39.5 44.5 49.5 54.5 59.5 64.5 69.5 74.5 79.5 84.5 89.5 94.5 99] " +
			"[5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := model.NewHistogram("x", tt.values)
			if got := fmt.Sprint(h.Edges, h.Counts); got != tt.want || h.Missing != tt.missing || h.Name != "x" {
				t.Errorf("got %s, %d missing; want %s, %d", got, h.Missing, tt.want, tt.missing)
			}
		})
	}
}

// Most of a feature's values are often the same: that they are fewer, or more, must be seen.
func TestNewHistogramSetsFrequentValuesApart(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, frequent := range map[string]float64{"lowest": -1, "highest": 2, "middle": 0.5} {
		t.Run(name, func(t *testing.T) {
			values := slices.Repeat([]float64{frequent}, 9900)
			for range 100 {
				values = append(values, random.Float64())
			}
			h := model.NewHistogram("x", values)
			if largest := slices.Max(h.Counts); largest < 9900 || largest > 9960 || len(h.Counts) < 2 {
				t.Errorf("edges %v, counts %v", h.Edges, h.Counts)
			}
		})
	}
}

// Whatever the values are, the bins hold what the type's comment says.
func TestNewHistogramCounts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		values := make([]float64, 1+random.IntN(500))
		distinct := 1 + random.IntN(60)
		for i := range values {
			switch random.IntN(4) {
			case 0:
				values[i] = random.NormFloat64()
			case 1:
				values[i] = math.NaN()
			default:
				values[i] = float64(random.IntN(distinct))
			}
		}
		h := model.NewHistogram("x", values)
		if len(h.Counts) > model.MaxBins {
			t.Fatalf("round %d: %d bins", round, len(h.Counts))
		}
		if got := recount(&h, values); !slices.Equal(got, h.Counts) {
			t.Fatalf("round %d: edges %v hold %v, not %v", round, h.Edges, got, h.Counts)
		}
	}
}

// recount counts values by the histogram's edges.
func recount(h *model.Histogram, values []float64) []int {
	counts := make([]int, len(h.Counts))
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		bin, found := slices.BinarySearch(h.Edges, v)
		if !found {
			bin-- // the edge below
		}
		counts[min(bin, len(counts)-1)]++
	}
	return counts
}
