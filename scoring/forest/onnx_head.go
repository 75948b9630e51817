package forest

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// onnxHead is what an ensemble says besides its trees.
type onnxHead struct {
	op      string
	classes int // 0 for a regressor
	outputs int // ids of weights are below it
	base    []float64
	post    string // post_transform
	average bool   // the sums are divided by the number of trees
}

// onnxReader takes attributes, and keeps the first error.
type onnxReader struct {
	attributes map[string]onnxAttribute
	known      map[string]bool
	double     bool // rows are float64
	err        error
}

func (r *onnxReader) get(name string) (onnxAttribute, bool) {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	r.known[name] = true
	a, ok := r.attributes[name]
	return a, ok
}

func (r *onnxReader) fail(err *Error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *onnxReader) ints(name string) []int64 {
	a, _ := r.get(name)
	return a.ints
}

func (r *onnxReader) text(name, absent string) string {
	if a, ok := r.get(name); ok {
		return a.text
	}
	return absent
}

// numbers are floats, or a tensor under a name of its own.
func (r *onnxReader) numbers(name string) []float64 {
	plain, _ := r.get(name)
	other, ok := r.get(name + "_as_tensor")
	if !ok || other.tensor == nil {
		return plain.floats
	}
	switch t := other.tensor; {
	case len(plain.floats) > 0:
		r.fail(fault(name, "is there twice, as floats and as a tensor"))
	case t.element != onnxFloat && t.element != onnxDouble:
		r.fail(fault(name+"_as_tensor", "the element type %d is neither float nor double", t.element))
	case t.element == onnxDouble && !r.double:
		r.fail(fault(name+"_as_tensor", "doubles do not go with float inputs; export the model for double inputs"))
	}
	return other.tensor.values
}

// head reads what is not about trees.
func (r *onnxReader) head(op string) onnxHead {
	h := onnxHead{op: op, post: r.text("post_transform", "NONE"), base: r.numbers("base_values")}
	if op == "TreeEnsembleClassifier" {
		names, _ := r.get("classlabels_strings")
		h.classes = max(len(r.ints("classlabels_int64s")), len(names.strings))
		h.outputs = h.classes
		if h.classes < 2 || h.classes > maxOutputs {
			r.fail(fault("classlabels", "%d classes; 2 to %d are supported", h.classes, maxOutputs))
		}
		return h
	}
	targets, _ := r.get("n_targets")
	h.outputs = int(targets.number)
	if targets.number < 1 || targets.number > maxOutputs {
		r.fail(fault("n_targets", "%d targets; 1 to %d are supported", targets.number, maxOutputs))
	}
	switch aggregate := r.text("aggregate_function", "SUM"); {
	case aggregate == "SUM":
	case aggregate == "AVERAGE" && len(h.base) == 0:
		h.average = true
	default:
		r.fail(fault("aggregate_function", "%q is not supported here", aggregate))
	}
	return h
}

// ensemble reads the arrays of nodes and weights.
func (r *onnxReader) ensemble(op string) *onnxEnsemble {
	e := &onnxEnsemble{prefix: "target_"}
	if op == "TreeEnsembleClassifier" {
		e.prefix = "class_"
	}
	modes, _ := r.get("nodes_modes")
	e.modes = modes.strings
	e.treeIDs, e.nodeIDs = r.ints("nodes_treeids"), r.ints("nodes_nodeids")
	e.trueIDs, e.falseIDs = r.ints("nodes_truenodeids"), r.ints("nodes_falsenodeids")
	e.featureIDs, e.missing = r.ints("nodes_featureids"), r.ints("nodes_missing_value_tracks_true")
	if len(e.missing) == 0 {
		e.missing = make([]int64, len(e.treeIDs))
	}
	e.values = r.numbers("nodes_values")
	e.weightTrees, e.weightNodes = r.ints(e.prefix+"treeids"), r.ints(e.prefix+"nodeids")
	e.weightIDs, e.weights = r.ints(e.prefix+"ids"), r.numbers(e.prefix+"weights")
	r.get("nodes_hitrates") // a hint for runtimes
	r.get("nodes_hitrates_as_tensor")
	return e
}

// refuseUnknown fails where an attribute was not asked for: what it would change is not known.
func (r *onnxReader) refuseUnknown() {
	for _, name := range slices.Sorted(maps.Keys(r.attributes)) {
		if !r.known[name] {
			r.fail(fault(name, "the attribute is not supported"))
		}
	}
}

// roundsInputs tells scikit-learn's trees that round their inputs from those of its histogram gradient
// boosting: all thresholds are float32 values, and missing values never follow the true branch.
func (e *onnxEnsemble) roundsInputs() bool {
	for i, v := range e.values {
		if float64(float32(v)) != v || e.missing[i] != 0 || e.modes[i] != onnxLeaf && e.modes[i] != "BRANCH_LEQ" {
			return false
		}
	}
	return true
}

// link tells how raw scores become predictions, and words the objective.
func (h *onnxHead) link(s *onnxShape, f *Forest) (link, string, error) {
	objective := h.op + " " + h.post
	if s.sigmoid {
		if h.post != "NONE" {
			return link{}, "", fault("post_transform", "%s before Sigmoid is not supported", h.post)
		}
		return sigmoidLink(s.scale, f.outputs), fmt.Sprintf("%s sigmoid:%g", objective, s.scale), nil
	}
	switch {
	case h.post == "NONE" && h.classes > 0 && f.givesProportions():
		return link{kind: linkProportion}, objective, nil
	case h.post == "NONE":
		return link{kind: linkIdentity}, objective, nil
	case h.post == "LOGISTIC":
		return sigmoidLink(1, f.outputs), objective, nil
	case h.post == "SOFTMAX" && f.outputs > 1:
		return link{kind: linkSoftmax}, objective, nil
	}
	return link{}, "", fault("post_transform", "%q of %d outputs is not supported", h.post, f.outputs)
}

func sigmoidLink(scale float64, outputs int) link {
	if outputs > 1 {
		return link{kind: linkSigmoidEach, scale: scale}
	}
	return link{kind: linkSigmoid, scale: scale}
}

// proportionSlack is how far above 1 weights that were rounded to float32 may add up.
const proportionSlack = 1e-4

// givesProportions reports whether all raw scores are from 0 to 1, as those of averaged classifiers are.
func (f *Forest) givesProportions() bool {
	largest := make([]float64, f.outputs)
	for i := range f.trees {
		t := &f.trees[i]
		most := 0.0
		for _, v := range t.leaves {
			if v < 0 {
				return false
			}
			most = math.Max(most, v)
		}
		largest[t.output] += most
	}
	for i, sum := range largest {
		if sum > 1+proportionSlack || f.bias[i] != 0 {
			return false
		}
	}
	return true
}
