package deadletter

import (
	"slices"
	"testing"
)

func TestPlacesAreReadInTheirOrder(t *testing.T) {
	spans := []Span{{0, 5, 50}, {3, 0, 100}}
	tests := map[string]struct {
		places []Place
		want   []Span
	}{
		"none":              {nil, spans},
		"named backwards":   {[]Place{{3, 20}, {3, 17}, {0, 30}}, []Span{{0, 30, 31}, {3, 17, 18}, {3, 20, 21}}},
		"named twice":       {[]Place{{3, 17}, {3, 20}, {3, 17}}, []Span{{3, 17, 18}, {3, 20, 21}}},
		"not there":         {[]Place{{0, 4}, {0, 50}, {1, 5}}, nil},
		"the first of them": {[]Place{{0, 5}}, []Span{{0, 5, 6}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := Filter{Places: slices.Clone(test.places)}
			if got := f.Narrow(spans); !slices.Equal(got, test.want) {
				t.Errorf("spans %v, want %v", got, test.want)
			}
			if !slices.Equal(f.Places, test.places) {
				t.Errorf("the filter's own places have become %v", f.Places)
			}
		})
	}
}
