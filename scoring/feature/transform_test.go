package feature

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// logTolerance is how far a logarithm, and what is made from it, may be off, relative to at least 1: the C
// library's and Go's each err by less than one unit in the last place. All else is equal to the bit.
const logTolerance = 1e-15

// sklearn is transforms.json, as the script beside it wrote it with scikit-learn and numpy.
type sklearn struct {
	Cases []struct {
		Name       string
		Transforms []Transform
		X, Y       []*float64 // nil is NaN
	}
	Hashes map[string]uint32
}

func readSklearn(t *testing.T) (data sklearn) {
	t.Helper()
	text, err := os.ReadFile("testdata/transforms.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Cases) < 20 || len(data.Hashes) < 10 {
		t.Fatalf("%d cases and %d hashes are too few", len(data.Cases), len(data.Hashes))
	}
	return data
}

func TestTransformsEqualScikitLearn(t *testing.T) {
	for _, tt := range readSklearn(t).Cases {
		t.Run(tt.Name, func(t *testing.T) {
			f := Feature{Kind: KindNumber, Transforms: tt.Transforms}
			steps, field, detail := f.compileTransforms()
			if detail != "" {
				t.Fatal(field, detail)
			}
			for i := range tt.X {
				got := orNaN(tt.X[i])
				for _, s := range steps {
					got = s(got)
				}
				if want := orNaN(tt.Y[i]); !near(got, want, strings.Contains(tt.Name, "log1p")) {
					t.Errorf("of %v: %v, want %v", orNaN(tt.X[i]), got, want)
				}
			}
		})
	}
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func near(got, want float64, log bool) bool {
	if math.IsNaN(want) || !log {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= logTolerance*max(1, math.Abs(want))
}

func TestMurmur3EqualsScikitLearn(t *testing.T) {
	for text, want := range readSklearn(t).Hashes {
		if got := murmur3(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
