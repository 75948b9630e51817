package forest

import (
	"slices"
	"strconv"
)

// parseONNX reads the graphs that skl2onnx writes for scikit-learn's decision trees, random forests, extra
// trees, gradient boosting and histogram gradient boosting: one TreeEnsembleClassifier or
// TreeEnsembleRegressor of ai.onnx.ml 1 or 3, its labels, and what puts its scores into the form asked for.
//
// The raw score of a classifier of two classes is that of the second class: the log-odds of gradient
// boosting, the probability itself of a random forest. One of more classes has an output for each. The file
// has no names of features: they are f0, f1, and so on. It does not say how much data reached a leaf either.
//
// A model for float inputs is computed as ONNX Runtime does on one thread, bit for bit: values are rounded to
// float32, leaves are added up in float32, the base value last. Predictions are within 1e-6 of ONNX Runtime's,
// since it takes its exponentials in float32. A model for double inputs is computed in float64, from the
// weights that the file has: float32, unless it has them as tensors of double.
//
// scikit-learn's trees, all but those of histogram gradient boosting, round their inputs to float32. skl2onnx
// allows for it by thresholds that are float32 values, which a double next to one still misses. So where a
// model for double inputs is one of these, its inputs are rounded here, as in scikit-learn.
//
// What skl2onnx 1.20 leaves out cannot be seen in the file, and is wrong in ONNX Runtime too: categorical
// features of histogram gradient boosting, the exponential of its poisson and gamma losses, and the way of
// missing values through random forests and single trees that were trained on some. Golden rows show it.
func parseONNX(data []byte) (*Forest, error) {
	model, err := readONNXModel(data)
	if err != nil {
		return nil, fault("model", "%w", err)
	}
	if model.graph == nil {
		return nil, fault("model", "there is no graph")
	}
	graph, err := readONNXGraph(model.graph)
	if err != nil {
		return nil, fault("graph", "%w", err)
	}
	shape, err := traceONNX(graph)
	if err != nil {
		return nil, err
	}
	return shape.forest(model.producer)
}

// forest reads the ensemble.
func (s *onnxShape) forest(producer string) (*Forest, error) {
	r := onnxReader{attributes: s.ensemble.attributes, double: s.double}
	h := r.head(s.ensemble.op)
	e := r.ensemble(s.ensemble.op)
	r.refuseUnknown()
	if r.err != nil {
		return nil, r.err
	}
	e.width, e.float32s, e.outputs = s.width, !s.double, h.outputs
	trees, inFile, err := e.trees()
	if err != nil {
		return nil, err
	}
	f := &Forest{trees: trees, outputs: h.outputs, divisor: 1}
	f.numbers = numbers{singleInputs: !s.double, singleSums: !s.double}
	if s.double && producer == "skl2onnx" {
		f.numbers.singleInputs = e.roundsInputs()
	}
	if h.average {
		f.divisor = float64(inFile)
	}
	if h.classes == 2 {
		f.keepSecondClass(&h)
	}
	if err := f.setBase(h.base); err != nil {
		return nil, err
	}
	if f.link, f.objective, err = h.link(s, f); err != nil {
		return nil, err
	}
	f.features = make([]string, s.width)
	for i := range f.features {
		f.features[i] = "f" + strconv.Itoa(i)
	}
	return f, nil
}

// keepSecondClass leaves one output of two. Where the file scores one class only, that score is of the second
// class, whichever id it has.
func (f *Forest) keepSecondClass(h *onnxHead) {
	first := func(t tree) bool { return t.output == 0 }
	if slices.ContainsFunc(f.trees, first) && slices.ContainsFunc(f.trees, func(t tree) bool { return !first(t) }) {
		f.trees = slices.DeleteFunc(f.trees, first)
		if len(h.base) == 2 {
			h.base = h.base[1:]
		}
	}
	for i := range f.trees {
		f.trees[i].output = 0
	}
	f.outputs = 1
}

// setBase takes the base values: none, or one for each output. A sum of float32 starts from 0, and the base
// value comes last; since the order tells in the last bits, it is a tree of one leaf then.
func (f *Forest) setBase(base []float64) error {
	f.bias = make([]float64, f.outputs)
	if len(base) == 0 {
		return nil
	}
	if len(base) != f.outputs {
		return fault("base_values", "there are %d, for %d outputs", len(base), f.outputs)
	}
	for i, b := range base {
		switch {
		case !isFinite(b):
			return fault("base_values", "value %d is %v", i, b)
		case f.numbers.singleSums && b != 0:
			f.trees = append(f.trees, tree{output: int32(i), leaves: []float64{b}})
		default:
			f.bias[i] = b
		}
	}
	return nil
}
