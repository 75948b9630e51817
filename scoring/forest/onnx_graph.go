package forest

import "strings"

// onnxPart is what a value of the graph is.
type onnxPart struct {
	role  onnxRole
	stage onnxStage // of scores
}

type onnxRole uint8

const (
	onnxRow      onnxRole = iota + 1 // what the graph is given, perhaps cast
	onnxConstant                     // computed from initializers alone
	onnxLabel                        // the predicted class
	onnxScores                       // one number for each class, or the predicted number
	onnxView                         // scores put differently, only to be given out
)

// onnxStage is what has been done to scores.
type onnxStage uint8

const (
	onnxPlain   onnxStage = iota // as the ensemble gives them
	onnxScaled                   // multiplied
	onnxSigmoid                  // multiplied, perhaps, and through Sigmoid
)

// onnxShape is what a graph comes to: rows of width values go through one ensemble, and its scores perhaps
// through Sigmoid(scale·score).
type onnxShape struct {
	ensemble *onnxNode
	width    int
	double   bool // rows are float64, not float32
	sigmoid  bool
	scale    float64
}

// onnxTracer follows the values through the graph, which names a value before it is used.
type onnxTracer struct {
	shape     onnxShape
	constants map[string]onnxTensor
	parts     map[string]onnxPart
}

// traceONNX recognises the graphs that skl2onnx writes for a lone estimator, and refuses all others.
func traceONNX(g *onnxGraph) (onnxShape, error) {
	t := onnxTracer{shape: onnxShape{scale: 1}, constants: g.constants, parts: map[string]onnxPart{}}
	for name := range g.constants {
		t.parts[name] = onnxPart{role: onnxConstant}
	}
	if err := t.input(g.inputs); err != nil {
		return t.shape, err
	}
	for i := range g.nodes {
		if err := t.node(&g.nodes[i]); err != nil {
			return t.shape, err
		}
	}
	if t.shape.ensemble == nil {
		return t.shape, fault("graph", "there is no TreeEnsembleClassifier and no TreeEnsembleRegressor")
	}
	return t.shape, t.output(g.outputs)
}

// input takes the one input, a matrix of numbers.
func (t *onnxTracer) input(inputs []onnxInput) error {
	if len(inputs) != 1 {
		return fault("graph.input", "there are %d inputs; export the model with one input of the type FloatTensorType([None, features])", len(inputs))
	}
	in := inputs[0]
	if len(in.dims) != 2 || in.dims[1] <= 0 {
		return fault("graph.input", "the input does not say its number of features; export the model with the type FloatTensorType([None, features])")
	}
	if in.dims[1] > maxFeatures {
		return fault("graph.input", "%d features are more than %d", in.dims[1], maxFeatures)
	}
	switch in.element {
	case onnxFloat, onnxInt64, onnxBool:
	case onnxDouble:
		t.shape.double = true
	default:
		return fault("graph.input", "values of the element type %d are not supported; export the model for float or double", in.element)
	}
	t.shape.width = int(in.dims[1])
	t.parts[in.name] = onnxPart{role: onnxRow}
	return nil
}

// node adds the values that node n computes.
func (t *onnxTracer) node(n *onnxNode) error {
	if len(n.inputs) == 0 || len(n.outputs) == 0 {
		return fault(n.op, "a node without inputs or outputs")
	}
	if n.domain == "ai.onnx.ml" && strings.HasPrefix(n.op, "TreeEnsemble") {
		return t.trees(n)
	}
	part, known := t.parts[n.inputs[0]]
	if !known {
		return fault(n.op, "the input %q is not computed before", n.inputs[0])
	}
	next, ok := t.step(part, n)
	if !ok {
		return fault("graph.node", "the operator %s is not understood where it stands; export the estimator alone, without what comes before and after it", n.op)
	}
	for _, name := range n.outputs {
		t.parts[name] = next
	}
	return nil
}

// trees adds the outputs of the ensemble.
func (t *onnxTracer) trees(n *onnxNode) error {
	if t.shape.ensemble != nil {
		return fault("graph.node", "there are several tree ensembles; one is supported")
	}
	if len(n.inputs) != 1 || t.parts[n.inputs[0]].role != onnxRow {
		return fault(n.op, "its input is not the input of the graph")
	}
	scores := len(n.outputs) - 1
	switch {
	case n.op == "TreeEnsembleClassifier" && scores == 1:
		t.parts[n.outputs[0]] = onnxPart{role: onnxLabel}
	case n.op == "TreeEnsembleRegressor" && scores == 0:
	case n.op == "TreeEnsemble":
		return fault(n.op, "the operator of ai.onnx.ml 5 is not supported; export for ai.onnx.ml 3")
	default:
		return fault(n.op, "%d outputs are not what the operator gives", len(n.outputs))
	}
	t.parts[n.outputs[scores]] = onnxPart{role: onnxScores}
	t.shape.ensemble = n
	return nil
}

// step tells what node n makes of a part; false where that is not understood.
func (t *onnxTracer) step(part onnxPart, n *onnxNode) (onnxPart, bool) {
	view := onnxPart{role: onnxView, stage: part.stage}
	switch part.role {
	case onnxRow:
		to := n.attributes["to"].number
		t.shape.double = to == onnxDouble
		return part, n.op == "Cast" && (to == onnxFloat || to == onnxDouble)
	case onnxConstant:
		return part, n.op == "Identity" || n.op == "LabelEncoder"
	case onnxLabel:
		return part, n.op == "Identity" || n.op == "Cast"
	case onnxView:
		return part, n.op == "Reshape"
	case onnxScores:
	}
	switch n.op {
	case "Identity":
		return part, true
	case "ZipMap", "Slice":
		return view, true
	case "Mul":
		return onnxPart{onnxScores, onnxScaled}, part.stage == onnxPlain && t.multiply(n)
	case "Sigmoid":
		t.shape.sigmoid = true
		return onnxPart{onnxScores, onnxSigmoid}, part.stage != onnxSigmoid
	}
	return part, false
}

// multiply takes the factor of a Mul by a constant.
func (t *onnxTracer) multiply(n *onnxNode) bool {
	if len(n.inputs) != 2 || t.shape.scale != 1 {
		return false
	}
	factor := t.constants[n.inputs[1]].values
	if len(factor) != 1 || !isFinite(factor[0]) || factor[0] <= 0 {
		return false
	}
	t.shape.scale = factor[0]
	return true
}

// output looks at what the graph gives out: scores, all in the last stage, and what goes with them.
func (t *onnxTracer) output(names []string) error {
	last := onnxPlain
	if t.shape.sigmoid {
		last = onnxSigmoid
	}
	found := false
	for _, name := range names {
		switch part := t.parts[name]; part.role {
		case onnxConstant, onnxLabel:
		case onnxScores, onnxView:
			if part.stage != last {
				return fault("graph.output", "the output %q is not what the others are", name)
			}
			found = true
		default:
			return fault("graph.output", "the output %q is not computed", name)
		}
	}
	if !found {
		return fault("graph.output", "no output gives scores")
	}
	return nil
}
