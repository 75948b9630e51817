package rounds

import (
	"math"
	"slices"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   Spread
	}{
		"one":  {[]float64{4}, Spread{4, 4, 4}},
		"odd":  {[]float64{9, 1, 5}, Spread{5, 1, 9}},
		"even": {[]float64{8, 1, 2, 4}, Spread{3, 1, 8}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			given := slices.Clone(tt.values)
			if got := SpreadOf(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !slices.Equal(given, tt.values) {
				t.Error("the values were put into another order")
			}
		})
	}
	if got := SpreadOf(nil); !math.IsNaN(got.Median) {
		t.Errorf("median of nothing: %v", got.Median)
	}
}
