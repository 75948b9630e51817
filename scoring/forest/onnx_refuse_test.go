package forest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// onnxFile is a model file in the making: one ensemble, and nodes around it.
type onnxFile struct {
	op         string
	attributes map[string]any // string, int64, []int64, []float32, []float64 (a tensor) or []string
	element    uint64         // of the input
	width      uint64
	before     [][3]string // op, input, output
	after      [][3]string
	ensembleIn string
	output     string
}

// stumpFile has one tree for two classes: "f1 ≤ 0.5", which adds -1 or 2.
func stumpFile() *onnxFile {
	return &onnxFile{
		op: "TreeEnsembleClassifier", element: onnxFloat, width: 2, ensembleIn: "X", output: "scores",
		attributes: map[string]any{
			"nodes_treeids": []int64{0, 0, 0}, "nodes_nodeids": []int64{0, 1, 2},
			"nodes_featureids": []int64{1, 0, 0}, "nodes_values": []float32{0.5, 0, 0},
			"nodes_modes":        []string{"BRANCH_LEQ", "LEAF", "LEAF"},
			"nodes_truenodeids":  []int64{1, 0, 0},
			"nodes_falsenodeids": []int64{2, 0, 0},
			"class_treeids":      []int64{0, 0}, "class_nodeids": []int64{1, 2}, "class_ids": []int64{0, 0},
			"class_weights": []float32{-1, 2}, "classlabels_int64s": []int64{0, 1},
			"post_transform": "LOGISTIC",
		},
	}
}

func appendMessage(dst []byte, id protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, id, protowire.BytesType), message)
}

func appendText(dst []byte, id protowire.Number, text string) []byte {
	return appendMessage(dst, id, []byte(text))
}

func appendNumber(dst []byte, id protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, id, protowire.VarintType), v)
}

func appendNode(dst []byte, domain, op string, inputs, outputs []string, attributes []byte) []byte {
	var n []byte
	for _, name := range inputs {
		n = appendText(n, 1, name)
	}
	for _, name := range outputs {
		n = appendText(n, 2, name)
	}
	return appendMessage(dst, 1, append(appendText(appendText(n, 4, op), 7, domain), attributes...))
}

// bytes encodes the file as a ModelProto.
func (o *onnxFile) bytes() []byte {
	var graph, attributes []byte
	for _, name := range slices.Sorted(maps.Keys(o.attributes)) {
		attributes = appendMessage(attributes, 5, attributeBytes(name, o.attributes[name]))
	}
	for _, n := range o.before {
		graph = appendNode(graph, "", n[0], []string{n[1]}, []string{n[2]}, nil)
	}
	outputs := []string{"label", "scores"}
	if o.op == "TreeEnsembleRegressor" {
		outputs = outputs[1:]
	}
	graph = appendNode(graph, "ai.onnx.ml", o.op, []string{o.ensembleIn}, outputs, attributes)
	for _, n := range o.after {
		graph = appendNode(graph, "", n[0], []string{n[1]}, []string{n[2]}, nil)
	}
	shape := appendMessage(appendMessage(nil, 1, nil), 1, appendNumber(nil, 1, o.width))
	tensor := appendMessage(appendNumber(nil, 1, o.element), 2, shape)
	graph = appendMessage(graph, 11, appendMessage(appendText(nil, 1, "X"), 2, appendMessage(nil, 1, tensor)))
	graph = appendMessage(graph, 12, appendText(nil, 1, o.output))
	return appendMessage(appendText(appendNumber(nil, 1, 8), 2, "skl2onnx"), 7, graph)
}

func attributeBytes(name string, value any) []byte {
	a := appendText(nil, 1, name)
	switch v := value.(type) {
	case string:
		a = appendText(a, 4, v)
	case int64:
		a = appendNumber(a, 3, uint64(v))
	case []int64:
		for _, n := range v {
			a = appendNumber(a, 8, uint64(n))
		}
	case []float32:
		for _, n := range v {
			a = protowire.AppendFixed32(protowire.AppendTag(a, 7, protowire.Fixed32Type), math.Float32bits(n))
		}
	case []float64:
		tensor := appendNumber(nil, 2, onnxDouble)
		var packed []byte
		for _, n := range v {
			packed = protowire.AppendFixed64(packed, math.Float64bits(n))
		}
		a = appendMessage(a, 5, appendMessage(tensor, 10, packed))
	case []string:
		for _, s := range v {
			a = appendText(a, 9, s)
		}
	default:
		panic(fmt.Sprintf("%T", value))
	}
	return a
}

// with changes attributes; a nil takes one away.
func with(pairs ...any) func(*onnxFile) {
	return func(o *onnxFile) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == nil {
				delete(o.attributes, pairs[i].(string))
			} else {
				o.attributes[pairs[i].(string)] = pairs[i+1]
			}
		}
	}
}

// asRegressor turns the stump into one of a regressor, and then changes attributes.
func asRegressor(pairs ...any) func(*onnxFile) {
	return func(o *onnxFile) {
		o.op = "TreeEnsembleRegressor"
		for name, value := range o.attributes {
			if rest, ok := strings.CutPrefix(name, "class_"); ok {
				o.attributes["target_"+rest] = value
			}
			if strings.HasPrefix(name, "class") {
				delete(o.attributes, name)
			}
		}
		with("n_targets", int64(1), "post_transform", "NONE")(o)
		with(pairs...)(o)
	}
}

func TestONNXRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for _, tc := range []struct {
		name        string
		edit        func(*onnxFile)
		tree        int
		field, want string
	}{
		{"cycle", with("nodes_truenodeids", []int64{0, 0, 0}), 0, "", "reached twice"},
		{"missing child", with("nodes_falsenodeids", []int64{99, 0, 0}), 0, "nodes_falsenodeids", "child 99"},
		{"negative child", with("nodes_truenodeids", []int64{-1, 0, 0}), 0, "nodes_truenodeids", "child -1"},
		{"shared leaf", with("nodes_falsenodeids", []int64{1, 0, 0}), 0, "", "reached twice"},
		{"feature out of range", with("nodes_featureids", []int64{2, 0, 0}), 0, "nodes_featureids", "feature 2"},
		{"negative feature", with("nodes_featureids", []int64{-1, 0, 0}), 0, "nodes_featureids", "feature -1"},
		{"huge feature", with("nodes_featureids", []int64{1 << 40, 0, 0}), 0, "nodes_featureids", "feature 1099511627776"},
		{"NaN threshold", with("nodes_values", []float32{nan, 0, 0}), 0, "", "threshold is NaN"},
		{"NaN leaf", with("class_weights", []float32{1, nan}), 0, "", "is NaN"},
		{"endless leaf", with("class_weights", []float32{1, float32(math.Inf(1))}), 0, "", "is +Inf"},
		{"sums overflow", with("class_weights", []float32{1, math.MaxFloat32}, "base_values", []float32{math.MaxFloat32}),
			-1, "", "can overflow"},
		{"NaN base", with("base_values", []float32{nan}), -1, "base_values", "NaN"},
		{"two bases for one score", with("base_values", []float32{1, 2}), -1, "base_values", "there are 2"},
		{"short modes", with("nodes_modes", []string{"BRANCH_LEQ", "LEAF"}), -1, "nodes_modes", "2 entries"},
		{"short values", with("nodes_values", []float32{0.5}), -1, "nodes_values", "1 entries"},
		{"long missing", with("nodes_missing_value_tracks_true", []int64{0, 0, 0, 0}), -1,
			"nodes_missing_value_tracks_true", "4 entries"},
		{"short weights", with("class_weights", []float32{1}), -1, "class_weights", "1 entries"},
		{"no weights", with("class_weights", nil, "class_treeids", nil, "class_nodeids", nil, "class_ids", nil),
			0, "class_weights", "0 weights"},
		{"weight of an inner node", with("class_nodeids", []int64{0, 2}), -1, "class_nodeids", "no leaf"},
		{"weight of no tree", with("class_treeids", []int64{0, 7}), -1, "class_nodeids", "no leaf"},
		{"two weights of a leaf", with("class_nodeids", []int64{1, 1}), 0, "", "one weight"},
		{"class out of range", with("class_ids", []int64{0, 2}), 0, "class_ids", "output 2"},
		{"no nodes", with("nodes_treeids", nil), -1, "nodes_nodeids", "3 entries"},
		{"node twice", with("nodes_nodeids", []int64{0, 1, 1}), 0, "nodes_nodeids", "twice"},
		{"torn tree", with("nodes_treeids", []int64{0, 1, 0}), 2, "nodes_treeids", "stand together"},
		{"equality", with("nodes_modes", []string{"BRANCH_EQ", "LEAF", "LEAF"}), 0, "nodes_modes", "BRANCH_EQ"},
		{"below all", with("nodes_modes", []string{"BRANCH_LT", "LEAF", "LEAF"},
			"nodes_values", []float32{float32(math.Inf(-1)), 0, 0}), 0, "nodes_values", "-Inf"},
		{"one class", with("classlabels_int64s", []int64{5}), -1, "classlabels", "1 classes"},
		{"probit", with("post_transform", "PROBIT"), -1, "post_transform", "PROBIT"},
		{"softmax zero", with("post_transform", "SOFTMAX_ZERO"), -1, "post_transform", "SOFTMAX_ZERO"},
		{"softmax of one score", with("post_transform", "SOFTMAX"), -1, "post_transform", "SOFTMAX"},
		{"unknown attribute", with("nodes_colours", []int64{1}), -1, "nodes_colours", "not supported"},
		{"doubles for floats", with("class_weights", nil, "class_weights_as_tensor", []float64{1, 2}), -1,
			"class_weights_as_tensor", "doubles"},
		{"values twice", with("class_weights_as_tensor", []float64{1, 2}), -1, "class_weights", "twice"},
		{"minimum", asRegressor("aggregate_function", "MIN"), -1, "aggregate_function", "MIN"},
		{"average from a base", asRegressor("aggregate_function", "AVERAGE", "base_values", []float32{1}), -1,
			"aggregate_function", "AVERAGE"},
		{"a million targets", asRegressor("n_targets", int64(1<<20)), -1, "n_targets", "1048576"},
		{"too many features", func(o *onnxFile) { o.width = 1 << 50 }, -1, "graph.input", "1125899906842624"},
		{"unknown width", func(o *onnxFile) { o.width = 0 }, -1, "graph.input", "FloatTensorType"},
		{"strings", func(o *onnxFile) { o.element = 8 }, -1, "graph.input", "element type 8"},
		{"new operator", func(o *onnxFile) { o.op = "TreeEnsemble" }, -1, "TreeEnsemble", "ai.onnx.ml 5"},
		{"scaler before", func(o *onnxFile) {
			o.before, o.ensembleIn = [][3]string{{"Scaler", "X", "Y"}}, "Y"
		}, -1, "graph.node", "Scaler"},
		{"exponential after", func(o *onnxFile) {
			o.after, o.output = [][3]string{{"Exp", "scores", "Y"}}, "Y"
		}, -1, "graph.node", "Exp"},
		{"input from nowhere", func(o *onnxFile) { o.ensembleIn = "Z" }, -1, "TreeEnsembleClassifier", "not the input"},
		{"label alone", func(o *onnxFile) { o.output = "label" }, -1, "graph.output", "no output gives scores"},
		{"sigmoid twice", func(o *onnxFile) {
			o.after, o.output = [][3]string{{"Sigmoid", "scores", "Y"}}, "Y"
		}, -1, "post_transform", "before Sigmoid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := stumpFile()
			tc.edit(o)
			_, err := Parse(o.bytes())
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Format != FormatONNX || e.Tree != tc.tree || e.Field != tc.field || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("tree %d, field %q: %v; want tree %d, field %q, %q", e.Tree, e.Field, e, tc.tree, tc.field, tc.want)
			}
		})
	}
}

func TestONNXReads(t *testing.T) {
	nan := math.NaN()
	both := with("class_treeids", []int64{0, 0, 0, 0}, "class_nodeids", []int64{1, 1, 2, 2},
		"class_ids", []int64{0, 1, 0, 1}, "class_weights", []float32{0.25, 0.75, 1, 0}, "post_transform", "NONE")
	for _, tc := range []struct {
		name      string
		edit      func(*onnxFile)
		x         float64 // of feature 1
		raw, pred float64
	}{
		{"at the threshold", with(), 0.5, -1, 1 / (1 + math.E)},
		{"rounded to float32", with(), math.Nextafter(0.5, 1), -1, 1 / (1 + math.E)},
		{"above", with(), 0.6, 2, 1 / (1 + math.Exp(-2))},
		{"missing goes the false way", with("post_transform", "NONE"), nan, 2, 2},
		{"missing goes the true way", with("post_transform", "NONE", "nodes_missing_value_tracks_true", []int64{1, 0, 0}),
			nan, -1, -1},
		{"missing with GT", with("post_transform", "NONE", "nodes_modes", []string{"BRANCH_GT", "LEAF", "LEAF"}), nan, 2, 2},
		{"LT at the threshold", with("post_transform", "NONE", "nodes_modes", []string{"BRANCH_LT", "LEAF", "LEAF"}), 0.5, 2, 2},
		{"base value", with("post_transform", "NONE", "base_values", []float32{10}), 0.5, 9, 9},
		{"both classes scored", both, 0.5, 0.75, 0.75},
		{"regressor", asRegressor(), 0.6, 2, 2},
		{"average of one tree", asRegressor("aggregate_function", "AVERAGE"), 0.6, 2, 2},
		{"double threshold", func(o *onnxFile) {
			o.element = onnxDouble
			with("nodes_values", nil, "nodes_values_as_tensor", []float64{0.1, 0, 0}, "post_transform", "NONE")(o)
		}, math.Nextafter(0.1, 1), 2, 2},
		{"float32 thresholds of scikit-learn's", func(o *onnxFile) {
			o.element = onnxDouble
			with("post_transform", "NONE")(o)
		}, math.Nextafter(0.5, 1), -1, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := stumpFile()
			tc.edit(o)
			f, err := Parse(o.bytes())
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float64, 1)
			f.Raw([]float64{-7, tc.x}, out)
			raw := out[0]
			f.Transform(out)
			if raw != tc.raw || !closeTo(out[0], tc.pred, 1e-15) {
				t.Errorf("raw %v and prediction %v, want %v and %v", raw, out[0], tc.raw, tc.pred)
			}
			if want := []string{"f0", "f1"}; !slices.Equal(f.Features(), want) {
				t.Errorf("features %v, want %v", f.Features(), want)
			}
		})
	}
}
