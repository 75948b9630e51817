package experiment

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// The cases of GrowthBook's SDKs (its cases.json, "hash").
func TestHashEqualsGrowthBook(t *testing.T) {
	for _, c := range []struct {
		seed, value string
		version     int
		want        float64
	}{
		{"", "a", 1, 0.22}, {"", "b", 1, 0.077}, {"b", "a", 1, 0.946}, {"ef", "d", 1, 0.652},
		{"asdf", "8952klfjas09ujk", 1, 0.549}, {"", "123", 1, 0.011}, {"", `___)((*":&`, 1, 0.563},
		{"seed", "a", 2, 0.0505}, {"seed", "b", 2, 0.2696}, {"foo", "ab", 2, 0.2575}, {"foo", "def", 2, 0.2019},
		{"89123klj", "8952klfjas09ujkasdf", 2, 0.124}, {"90850943850283058242805", "123", 2, 0.7516},
		{"()**(%$##$%#$#", `___)((*":&`, 2, 0.0128},
	} {
		got := hashV2(c.seed, c.value)
		if c.version == 1 {
			got = hashV1(c.seed, c.value)
		}
		if got != c.want {
			t.Errorf("version %d of %q, %q: %v, want %v", c.version, c.seed, c.value, got, c.want)
		}
	}
}

// The cases of GrowthBook's SDKs ("inNamespace").
func TestNamespaceEqualsGrowthBook(t *testing.T) {
	low := map[string]bool{"3 namespace2": true, "4 namespace2": true} // who is below 0.4; the others are above
	for user := range 4 {
		for _, space := range []string{"namespace1", "namespace2"} {
			id := fmt.Sprint(user + 1)
			for _, r := range []struct{ start, end float64 }{{0, 0.4}, {0.4, 1}} {
				e := Experiment{Namespace: &Namespace{Name: space, Start: r.start, End: r.end}}
				if got, want := e.inNamespace(id), low[id+" "+space] == (r.start == 0); got != want {
					t.Errorf("user %s in %s from %v: %v", id, space, r.start, got)
				}
			}
		}
	}
}

// The cases of GrowthBook's SDKs ("getBucketRange", those that Validate lets pass), seen through Assign: users
// whose hash lies in a range get its variant, others none. The SDKs compare ranges that are rounded; where a hash
// can lie on an edge, the edge is written as they compute it.
func TestAssignEqualsGrowthBooksRanges(t *testing.T) {
	share := 0.2 // no constant: those are exact
	for _, c := range []struct {
		name     string
		coverage float64
		weights  []float64
		ranges   [][2]float64
	}{
		{"50/50", 1, []float64{0, 0}, [][2]float64{{0, 0.5}, {0.5, 1}}},
		{"reduced coverage", 0.5, []float64{0, 0}, [][2]float64{{0, 0.25}, {0.5, 0.75}}},
		{"zero coverage", 0, []float64{0, 0}, [][2]float64{{0, 0}, {0.5, 0.5}}},
		{"four", 1, []float64{0, 0, 0, 0}, [][2]float64{{0, 0.25}, {0.25, 0.5}, {0.5, 0.75}, {0.75, 1}}},
		{"uneven", 1, []float64{0.4, 0.6}, [][2]float64{{0, 0.4}, {0.4, 1}}},
		{"three", 1, []float64{0.2, 0.3, 0.5}, [][2]float64{{0, 0.2}, {0.2, 0.5}, {0.5, 1}}},
		{"three, reduced", 0.2, []float64{0.2, 0.3, 0.5}, [][2]float64{{0, 0.2 * share}, {0.2, 0.2 + 0.3*share}, {0.5, 0.6}}},
		{"almost 1", 1, []float64{0.4, 0.5999}, [][2]float64{{0, 0.4}, {0.4, 0.9999}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExperiment(c.coverage, c.weights)
			for i := range 20_000 {
				user := fmt.Sprint("user-", i)
				n, want := hashV2(e.Name, user), -1
				for v, r := range c.ranges {
					if n >= r[0] && n < r[1] {
						want = v
					}
				}
				if got, ok := e.Assign(user); ok != (want >= 0) || ok && got != want {
					t.Fatalf("%s with hash %v: variant %d, %v; want %d", user, n, got, ok, want)
				}
			}
		})
	}
}

func newExperiment(coverage float64, weights []float64) *Experiment {
	e := &Experiment{Name: "ab", Coverage: &coverage}
	for i, w := range weights {
		e.Variants = append(e.Variants, Variant{Name: fmt.Sprint("v", i), Weight: w})
	}
	return e
}

func TestAssignLeavesOut(t *testing.T) {
	e := newExperiment(1, []float64{1})
	if _, ok := e.Assign(""); ok {
		t.Error("an anonymous user takes part")
	}
	e.Variants, e.Shadows = nil, []Variant{{Name: "s"}}
	if v, ok := e.Assign("ada"); v != -1 || !ok {
		t.Errorf("an experiment of shadows alone assigns %d, %v", v, ok)
	}
}

func TestAssignAllocatesNothing(t *testing.T) {
	e := newExperiment(1, []float64{0.5, 0.5})
	if n := testing.AllocsPerRun(100, func() { e.Assign("some-user") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Experiment)
		field  string // "" is valid
	}{
		{"valid", func(*Experiment) {}, ""},
		{"no weights", func(e *Experiment) { e.Variants[0].Weight, e.Variants[1].Weight = 0, 0 }, ""},
		{"shadows alone", func(e *Experiment) { e.Variants, e.Shadows = nil, []Variant{{Name: "s"}} }, ""},
		{"name", func(e *Experiment) { e.Name = "a b" }, "name"},
		{"coverage", func(e *Experiment) { *e.Coverage = 1.1 }, "coverage"},
		{"coverage NaN", func(e *Experiment) { *e.Coverage = math.NaN() }, "coverage"},
		{"namespace name", func(e *Experiment) { e.Namespace = &Namespace{End: 1} }, "namespace.name"},
		{"namespace range", func(e *Experiment) { e.Namespace = &Namespace{Name: "n", Start: 0.5, End: 0.5} }, "namespace"},
		{"none", func(e *Experiment) { e.Variants = nil }, "variants"},
		{"weights", func(e *Experiment) { e.Variants[0].Weight = 0.9 }, "variants"},
		{"negative weight", func(e *Experiment) { e.Variants[0].Weight = -0.5 }, "variants[0].weight"},
		{"variant name", func(e *Experiment) { e.Variants[1].Name = "" }, "variants[1].name"},
		{"name twice", func(e *Experiment) { e.Shadows = []Variant{{Name: "v0"}} }, "shadows[0].name"},
		{"shadow weight", func(e *Experiment) { e.Shadows = []Variant{{Name: "s", Weight: 1}} }, "shadows[0].weight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExperiment(1, []float64{0.5, 0.5})
			c.change(e)
			err := e.Validate()
			if c.field == "" && err != nil || c.field != "" && (err == nil || !strings.HasPrefix(err.Error(), c.field+":")) {
				t.Errorf("error %v, want %q", err, c.field)
			}
		})
	}
}
