package forest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestXGBoostMutants spoils real models, in JSON and in UBJSON, and wants each refused, or scored as the plain
// interpreter scores the same document. (The large oracle has mutants that XGBoost itself scores.)
func TestXGBoostMutants(t *testing.T) {
	const each = 90
	models := []string{"binary-logistic", "squarederror", "softprob", "dart", "exact-pruned", "categories-sets", "old-1.1.1-binary"}
	for name, write := range map[string]func(any) []byte{
		"json": func(document any) []byte { return appendJSON(nil, document) },
		"ubj":  ubjStyle{typed: true, counted: true}.document,
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			refused, scored := 0, 0
			for _, model := range models {
				c := xgboostCase(t, model)
				for i := range each {
					if checkMutant(t, c, mutate(rng, c.document(t), write, i)) {
						scored++
					} else {
						refused++
					}
				}
			}
			t.Logf("%d refused, %d scored", refused, scored)
			if refused < 100 || scored < 100 {
				t.Errorf("%d refused, %d scored: the mutants are too much alike", refused, scored)
			}
		})
	}
}

// spoilers are bytes that mean something in either format.
const spoilers = "0123456789-.E[]{}\",:NLdD#$"

// mutate spoils a number of the document, or its bytes, by turns.
func mutate(rng *rand.Rand, document any, write func(any) []byte, i int) []byte {
	if i%3 == 0 {
		mutateNumber(rng, document)
		return write(document)
	}
	data := write(document)
	for range 1 + rng.IntN(2) {
		at := rng.IntN(len(data))
		switch rng.IntN(4) {
		case 0:
			data[at] ^= 1 << rng.IntN(8)
		case 1:
			data[at] = spoilers[rng.IntN(len(spoilers))]
		case 2:
			end := min(at+1+rng.IntN(20), len(data))
			data = slices.Delete(data, at, end)
		default:
			end := min(at+1+rng.IntN(20), len(data))
			data = slices.Insert(data, at, bytes.Clone(data[at:end])...)
		}
	}
	return data
}

// mutateNumber puts an odd number into one of the arrays of a tree.
func mutateNumber(rng *rand.Rand, document any) {
	trees := plainModel(document)["trees"].([]any)
	tree := trees[rng.IntN(len(trees))].(map[string]any)
	keys := []string{"left_children", "right_children", "split_indices", "split_conditions", "default_left",
		"sum_hessian", "categories", "categories_nodes", "categories_sizes", "split_type"}
	list, _ := tree[keys[rng.IntN(len(keys))]].([]float64)
	if len(list) == 0 {
		return
	}
	odd := []float64{0, 1, 2, 7, -1, 8, 99, 0.5, -3.7, 1e9, math.NaN(), math.Inf(1), math.Inf(-1), deletedFeature, list[rng.IntN(len(list))]}
	list[rng.IntN(len(list))] = odd[rng.IntN(len(odd))]
}

// checkMutant reports whether the mutant was read, and then scored right.
func checkMutant(t *testing.T, c *oracleCase, data []byte) bool {
	t.Helper()
	f, err := Parse(data)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Fatalf("%s: error %v is no *Error", c.name, err)
		}
		return false
	}
	document, err := readXGBoost(data)
	if err != nil {
		t.Fatal(err)
	}
	out, row := make([]float64, f.NumOutputs()), make([]float64, f.NumFeatures())
	for i := range c.rows {
		copy(row, c.row(i))
		f.Raw(row, out)
		for k, want := range plainScores(t, document, row, len(out)) {
			if out[k] != float64(want) || !isFinite(out[k]) {
				t.Fatalf("%s, row %d: %v, want %v", c.name, i, out[k], want)
			}
		}
	}
	return true
}

// plainModel returns the model of trees in a document.
func plainModel(document any) map[string]any {
	booster := document.(map[string]any)["learner"].(map[string]any)["gradient_booster"].(map[string]any)
	if inner, ok := booster["gbtree"].(map[string]any); ok && booster["name"] == "dart" {
		booster = inner
	}
	return booster["model"].(map[string]any)
}

// plainScores are the raw scores of a row, node by node as XGBoost describes them, with no preparation.
func plainScores(t *testing.T, document any, row []float64, outputs int) []float32 {
	t.Helper()
	learner := document.(map[string]any)["learner"].(map[string]any)
	booster := learner["gradient_booster"].(map[string]any)
	model := plainModel(document)
	weights, _ := model["weight_drop"].([]float64)
	if booster["name"] == "dart" {
		weights = booster["weight_drop"].([]float64)
	}
	scores := plainBase(learner, outputs)
	info, _ := model["tree_info"].([]float64)
	trees, _ := model["trees"].([]any)
	for i, tree := range trees {
		weight := float32(1)
		if weights != nil {
			weight = float32(weights[i])
		}
		scores[int(info[i])] += plainLeaf(t, tree.(map[string]any), row) * weight
	}
	return scores
}

// plainBase is base_score as raw scores.
func plainBase(learner map[string]any, outputs int) []float32 {
	words := strings.Split(strings.Trim(learner["learner_model_param"].(map[string]any)["base_score"].(string), "[]"), ",")
	scores := make([]float32, outputs)
	for i := range scores {
		v, _ := strconv.ParseFloat(strings.TrimSpace(words[i%len(words)]), 32)
		switch name := learner["objective"].(map[string]any)["name"].(string); name {
		case "binary:logistic", "reg:logistic":
			p := min(max(float32(v), 1e-6), 1-float32(1e-6))
			scores[i] = -logf(1/p - 1)
		case "count:poisson", "reg:gamma", "reg:tweedie":
			scores[i] = logf(float32(v))
		default:
			scores[i] = float32(v)
		}
	}
	return scores
}

// plainLeaf walks down a tree.
func plainLeaf(t *testing.T, tree map[string]any, row []float64) float32 {
	t.Helper()
	numbers := func(key string) []float64 { list, _ := tree[key].([]float64); return list }
	left, kinds := numbers("left_children"), numbers("split_type")
	node := 0
	for range left {
		if left[node] == -1 {
			return float32(numbers("split_conditions")[node])
		}
		x := float32(row[int(numbers("split_indices")[node])])
		var goesLeft bool
		switch {
		case x != x:
			goesLeft = numbers("default_left")[node] != 0
		case len(kinds) > 0 && kinds[node] == 1:
			k := slices.Index(numbers("categories_nodes"), float64(node))
			start := int(numbers("categories_segments")[k])
			in := numbers("categories")[start : start+int(numbers("categories_sizes")[k])]
			goesLeft = x < 0 || x >= 1<<24 || !slices.Contains(in, math.Trunc(float64(x)))
		default:
			goesLeft = x < float32(numbers("split_conditions")[node])
		}
		node = int(left[node])
		if !goesLeft {
			node++
		}
	}
	t.Fatal("a walk does not end")
	return 0
}

// TestXGBoostPlain proves the plain interpreter with what XGBoost predicts.
func TestXGBoostPlain(t *testing.T) {
	for _, c := range smallCases(t, "xgboost") {
		document := c.document(t)
		for i := range c.rows {
			for k, got := range plainScores(t, document, c.row(i), c.outputs) {
				if float64(got) != c.rawOf(i)[k] {
					t.Fatalf("%s, row %d: %v, want %v", c.name, i, got, c.rawOf(i)[k])
				}
			}
		}
	}
}

// TestOracleXGBoostMutantsLarge compares with what XGBoost predicts with models whose numbers were spoiled.
func TestOracleXGBoostMutantsLarge(t *testing.T) {
	refused, cases := 0, largeCases(t, "xgboost-mutants")
	for _, c := range cases {
		if _, err := Parse(c.model); err != nil {
			refused++
			continue
		}
		t.Run(c.name, func(t *testing.T) { checkOracle(t, c, 0, xgboostTolerance) })
	}
	t.Logf("%d of %d refused", refused, len(cases))
	if len(cases) < 300 || refused > len(cases)/5 {
		t.Errorf("%d of %d refused", refused, len(cases))
	}
}

// fuzzXGBoost reads what it is given; what is read must score any row with a finite number.
func fuzzXGBoost(t *testing.T, data []byte, read func([]byte) (*Forest, error)) {
	f, err := read(data)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Fatalf("error %v is no *Error", err)
		}
		return
	}
	row, out := make([]float64, f.NumFeatures()), make([]float64, f.NumOutputs())
	for _, x := range []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -0.5, 3, 1e30} {
		for i := range row {
			row[i] = x
		}
		f.Raw(row, out)
		for _, score := range out {
			if !isFinite(score) {
				t.Fatalf("score %v of a row of %v", score, x)
			}
		}
	}
}

func FuzzParseXGBoostJSON(f *testing.F) {
	for _, name := range []string{"no-trees", "only-roots", "old-1.1.1-binary", "old-1.7.6-dart", "binary-logistic", "categories-one-hot"} {
		f.Add(appendJSON(nil, xgboostCase(f, name).document(f)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzXGBoost(t, data, parseXGBoostJSON)
		compareJSON(t, data)
	})
}

// compareJSON wants what is read to be what encoding/json reads, where that reads it too.
func compareJSON(t *testing.T, data []byte) {
	got, err := readJSON(data)
	if err != nil {
		return
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var want any
	if d.Decode(&want) == nil && !sameDocument(got, want) {
		t.Fatalf("%#v, want %#v", got, want)
	}
}

func FuzzParseXGBoostUBJ(f *testing.F) {
	for _, name := range []string{"no-trees", "only-roots", "old-1.1.1-binary", "old-1.7.6-dart-ubj", "binary-logitraw", "categories-sets"} {
		document := xgboostCase(f, name).document(f)
		f.Add(ubjStyle{typed: true, counted: true}.document(document))
		f.Add(ubjStyle{noops: true}.document(document))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzXGBoost(t, data, parseXGBoostUBJ) })
}
