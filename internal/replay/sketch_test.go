package replay

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"recstream/schemas"
)

// vectors are what numpy says; testdata/vectors.py writes them.
type vectors struct {
	Quantiles []struct {
		Name          string
		Values        []float64
		At, Quantiles []float64
	}
	Overlaps []struct {
		A, B     []string
		Overlaps overlaps
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// roundingSlack is for the logarithm, which puts a value on a bin's very bound into the one or the other.
const roundingSlack = 1e-9

func TestQuantilesEqualNumpys(t *testing.T) {
	for _, v := range readVectors(t).Quantiles {
		t.Run(v.Name, func(t *testing.T) {
			var s Sketch
			for _, value := range v.Values {
				s.Add(value)
			}
			for i, q := range v.At {
				got, want := s.Quantile(q), v.Quantiles[i]
				if math.Abs(got-want) > (RelativeAccuracy+roundingSlack)*want {
					t.Errorf("quantile %v is %v, want %v within %v of it", q, got, want, RelativeAccuracy)
				}
			}
		})
	}
}

// Halves that are merged, or stored in between, give what the whole gives.
func TestSketchesAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var whole, first, second Sketch
	for range 1000 {
		v := math.Exp(10*r.NormFloat64()) * float64(r.IntN(3))
		whole.Add(v)
		if r.IntN(2) == 0 {
			first.Add(v)
		} else {
			second.Add(v)
		}
	}
	text, err := json.Marshal(&first)
	if err != nil {
		t.Fatal(err)
	}
	var sum Sketch
	if err := json.Unmarshal(text, &sum); err != nil {
		t.Fatal(err)
	}
	before := second.clone()
	sum.Merge(&second)
	if !reflect.DeepEqual(sum, whole) || !reflect.DeepEqual(second, before) {
		t.Errorf("merged\n %+v\nwant\n %+v", sum, whole)
	}
}

func TestSketchOfOddValues(t *testing.T) {
	var s Sketch
	if s.Quantile(0.5) != 0 || s.Max() != 0 {
		t.Error("an empty one has a quantile")
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), -1} {
		s.Add(v)
	}
	if got := s.Quantile(0); s.Count() != 3 || s.Max() != math.MaxFloat64 || !(got > 0.9*math.MaxFloat64 && got <= math.MaxFloat64) {
		t.Errorf("count %d, max %v, least %v; they are to count as the largest", s.Count(), s.Max(), got)
	}
}

func TestOverlapsEqualNumpys(t *testing.T) {
	for _, v := range readVectors(t).Overlaps {
		if got := overlapsOf(items(v.A...), items(v.B...)); got != v.Overlaps {
			t.Errorf("%v and %v overlap by %v, want %v", v.A, v.B, got, v.Overlaps)
		}
	}
}

func items(ids ...string) (list []schemas.ScoredItem) {
	for i, id := range ids {
		it := schemas.ScoredItem{ItemID: id, Title: "T " + id, Prediction: 0.5, Score: 1 / float64(i+1)}
		it.Terms[schemas.TermBase] = it.Score
		list = append(list, it)
	}
	return list
}
