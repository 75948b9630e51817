package forest

import (
	"fmt"
	"math"
)

// Format names the file format that a forest was read from.
type Format string

// The formats.
const (
	FormatLightGBM    Format = "lightgbm"     // text, v2 to v4
	FormatXGBoostJSON Format = "xgboost-json" // save_model("m.json")
	FormatXGBoostUBJ  Format = "xgboost-ubj"  // save_model("m.ubj")
	FormatONNX        Format = "onnx"         // TreeEnsembleClassifier or TreeEnsembleRegressor
)

// Forest is a verified ensemble of trees. It does not change, so any number of goroutines may use it.
type Forest struct {
	format    Format
	objective string   // as the file words it
	features  []string // names, by index
	outputs   int      // raw scores of a row: 1, or one for each class
	trees     []tree
	bias      []float64 // by output: what a sum starts from
	divisor   float64   // of each sum; 1 but for averaged forests
	link      link
	numbers   numbers
}

// numbers says in which precision a trainer computes.
type numbers struct {
	singleInputs bool // feature values are rounded to float32 before they are compared
	singleSums   bool // leaves are added up in float32
}

// Format is the format of the file.
func (f *Forest) Format() Format { return f.format }

// Objective is the training objective as the file words it, such as "binary sigmoid:1".
func (f *Forest) Objective() string { return f.objective }

// NumFeatures is the length of a row.
func (f *Forest) NumFeatures() int { return len(f.features) }

// Features are the names of the features in order. The slice must not be changed.
func (f *Forest) Features() []string { return f.features }

// NumOutputs is the number of raw scores of a row: the number of classes of a multiclass model, else 1.
func (f *Forest) NumOutputs() int { return f.outputs }

// NumTrees is the number of trees, those of all outputs together.
func (f *Forest) NumTrees() int { return len(f.trees) }

// MaxLeaves is the number of leaves of the largest tree.
func (f *Forest) MaxLeaves() int {
	largest := 0
	for i := range f.trees {
		largest = max(largest, len(f.trees[i].leaves))
	}
	return largest
}

// Raw writes the raw scores of row x to out: for each output the bias and the leaves that x falls into, added
// up in the order of the trees, bit for bit as the trainer does. A missing value is NaN.
// It panics unless x has NumFeatures values and out NumOutputs.
func (f *Forest) Raw(x, out []float64) {
	if len(x) != len(f.features) || len(out) != f.outputs {
		panic(fmt.Sprintf("forest: %d features and %d outputs, not %d and %d", len(x), len(out), len(f.features), f.outputs))
	}
	copy(out, f.bias)
	if f.numbers.singleSums {
		for i := range f.trees {
			t := &f.trees[i]
			out[t.output] = float64(float32(out[t.output]) + float32(t.leaves[t.leaf(x, f.numbers.singleInputs)]))
		}
	} else {
		for i := range f.trees {
			t := &f.trees[i]
			out[t.output] += t.leaves[t.leaf(x, f.numbers.singleInputs)]
		}
	}
	f.finish(out)
}

// finish divides the sums of an averaged forest.
func (f *Forest) finish(sums []float64) {
	if f.divisor == 1 {
		return
	}
	for i := range sums {
		sums[i] /= f.divisor
	}
}

// Transform turns raw scores, in place, into what the objective predicts: probabilities, a mean, a rate. Raw
// scores of a ranking objective stay as they are.
func (f *Forest) Transform(scores []float64) { f.link.apply(scores) }

// Probabilistic reports whether Transform gives probabilities: values from 0 to 1.
func (f *Forest) Probabilistic() bool { return f.link.probabilistic() }

// link is the function from raw scores to predictions.
type link struct {
	kind  linkKind
	scale float64 // of the raw score, for linkSigmoid
	trees float64 // where set, raw scores are sums over so many trees, and their mean is transformed
}

type linkKind uint8

const (
	linkIdentity    linkKind = iota
	linkSigmoid              // 1/(1+exp(-scale·raw))
	linkExp                  // exp(raw): poisson, gamma, tweedie
	linkSoftmax              // over all outputs
	linkSigmoidEach          // linkSigmoid of each output on its own: one-vs-all
	linkLog1pExp             // log(1+exp(raw)): LightGBM's cross_entropy_lambda
	linkSquare               // sign(raw)·raw²: LightGBM's regression with reg_sqrt
	linkProportion           // raw is the probability already: averaged classifiers
)

func (l link) probabilistic() bool {
	switch l.kind {
	case linkSigmoid, linkSoftmax, linkSigmoidEach, linkProportion:
		return true
	default:
		return false
	}
}

func (l link) apply(scores []float64) {
	if l.trees > 0 {
		for i := range scores {
			scores[i] /= l.trees
		}
	}
	if l.kind == linkSoftmax {
		softmax(scores)
		return
	}
	for i, raw := range scores {
		scores[i] = l.one(raw)
	}
}

func (l link) one(raw float64) float64 {
	switch l.kind {
	case linkSigmoid, linkSigmoidEach:
		return 1 / (1 + math.Exp(-l.scale*raw))
	case linkExp:
		return math.Exp(raw)
	case linkLog1pExp:
		return math.Log1p(math.Exp(raw))
	case linkSquare:
		return math.Copysign(raw*raw, raw)
	default: // linkIdentity, linkProportion; linkSoftmax is of all outputs
		return raw
	}
}

// softmax is exp(s-max)/Σexp(s-max), which does not overflow.
func softmax(scores []float64) {
	largest := scores[0]
	for _, s := range scores[1:] {
		largest = max(largest, s)
	}
	sum := 0.0
	for i, s := range scores {
		scores[i] = math.Exp(s - largest)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}
