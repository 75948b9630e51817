package forest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestOracleLightGBMSmall(t *testing.T) {
	for _, c := range smallCases(t, "lightgbm") {
		t.Run(c.name, func(t *testing.T) { checkOracle(t, c, 0, lightGBMTolerance) })
	}
}

func TestOracleLightGBMLarge(t *testing.T) {
	for _, c := range largeCases(t, "lightgbm") {
		t.Run(c.name, func(t *testing.T) { checkOracle(t, c, 0, lightGBMTolerance) })
	}
}

// A small model by hand: a tree with a numerical and a categorical split, and a constant one.
const (
	lgbHead = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n" +
		"objective=binary sigmoid:1\nfeature_names=größe=1 b\nfeature_infos=[0:1] 0:1:40\ntree_sizes=%d %d\n\n"
	lgbSplit = "Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nsplit_gain=2 1\nthreshold=0.5 0\ndecision_type=10 1\n" +
		"left_child=1 -1\nright_child=-2 -3\nleaf_value=1 2 4\nleaf_weight=1 1 1\nleaf_count=5 6 7\ninternal_value=0 0\n" +
		"internal_weight=0 0\ninternal_count=18 12\ncat_boundaries=0 2\ncat_threshold=2 256\nis_linear=0\nshrinkage=1\n\n\n"
	lgbConstant = "Tree=1\nnum_leaves=1\nnum_cat=0\nsplit_feature=\nsplit_gain=\nthreshold=\ndecision_type=\nleft_child=\n" +
		"right_child=\nleaf_value=8\nleaf_weight=\nleaf_count=\ninternal_value=\ninternal_weight=\ninternal_count=\n" +
		"is_linear=0\nshrinkage=1\n\n\n"
	lgbTail = "end of trees\n\nfeature_importances:\ngröße=1=1\nb=1\n\nparameters:\n[boosting: gbdt]\n\nend of parameters\n" +
		"\npandas_categorical:[[\"a\", \"b\"]]\n"
)

// lgbModel is the model with an edit, and with sizes that fit all the same. The edit must change something.
func lgbModel(tb testing.TB, old, put string) string {
	tb.Helper()
	parts := []string{lgbHead, lgbSplit, lgbConstant, lgbTail}
	changed := old == ""
	for i := range parts {
		if !changed && strings.Contains(parts[i], old) {
			parts[i], changed = strings.Replace(parts[i], old, put, 1), true
		}
	}
	if !changed {
		tb.Fatalf("nothing to edit: %q", old)
	}
	if strings.Contains(parts[0], "%") {
		parts[0] = fmt.Sprintf(parts[0], len(parts[1]), len(parts[2]))
	}
	return strings.Join(parts, "")
}

func TestLightGBM(t *testing.T) {
	f, err := Parse([]byte(lgbModel(t, "", "")))
	if err != nil {
		t.Fatal(err)
	}
	if f.Format() != FormatLightGBM || f.Objective() != "binary sigmoid:1" || f.NumTrees() != 2 || f.MaxLeaves() != 3 {
		t.Errorf("it is %s, %s, with %d trees, of up to %d leaves", f.Format(), f.Objective(), f.NumTrees(), f.MaxLeaves())
	}
	if got := strings.Join(f.Features(), ","); got != "größe=1,b" {
		t.Errorf("the features are %q", got)
	}
	nan := math.NaN()
	for _, c := range []struct{ a, b, want float64 }{
		{0, 1, 9}, {0.5, 1.9, 9}, {0, 40, 9}, {nan, 1, 9}, {math.Inf(-1), 1, 9}, // the set is 1 and 40
		{0, 0, 12}, {0, 2, 12}, {0, -1, 12}, {0, nan, 12}, {0, 64, 12}, {0, 1e300, 12}, {0, math.Inf(1), 12},
		{0.6, 1, 10}, {math.Inf(1), nan, 10},
	} {
		var out [1]float64
		f.Raw([]float64{c.a, c.b}, out[:])
		if out[0] != c.want {
			t.Errorf("(%v, %v) scores %v, want %v", c.a, c.b, out[0], c.want)
		}
	}
	if n := f.trees[0].nodes; n[0].cover != 18 || n[1].cover != 12 {
		t.Errorf("the nodes cover %v and %v, want 18 and 12", n[0].cover, n[1].cover)
	}
}

// TestLightGBMNearZero holds that values within ±zeroThreshold decide as 0 does, wherever the threshold is;
// LightGBM 4.7 scores these so.
func TestLightGBMNearZero(t *testing.T) {
	for _, c := range []struct {
		threshold  string
		left, over float64 // the largest value that goes left, and one that does not
	}{
		{"0", zeroThreshold, 1.1e-35},
		{"1e-36", zeroThreshold, 1.1e-35},
		{"1.1e-35", 1.1e-35, 1.2e-35},
		{"-1e-36", -1.1e-35, -zeroThreshold},
		{"-1.2e-35", -1.2e-35, -1.1e-35},
	} {
		f, err := Parse([]byte(lgbModel(t, "threshold=0.5", "threshold="+c.threshold)))
		if err != nil {
			t.Fatal(err)
		}
		var left, over [1]float64
		f.Raw([]float64{c.left, 1}, left[:])
		f.Raw([]float64{c.over, 1}, over[:])
		if left[0] != 9 || over[0] != 10 {
			t.Errorf("threshold %s: %v scores %v and %v scores %v, want 9 and 10", c.threshold, c.left, left[0], c.over, over[0])
		}
	}
}

// TestLightGBMAccepted holds what differs from LightGBM's own bytes but is sound.
func TestLightGBMAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"Windows":            strings.ReplaceAll(lgbModel(t, "", ""), "\n", "\r\n"),
		"Python on Windows":  lgbModel(t, "\npandas_categorical:[[\"a\", \"b\"]]\n", "\r\npandas_categorical:null\r\n"),
		"parser":             lgbModel(t, "\npandas", "\nparser:\n{}\nend of parser\n\npandas"),
		"no objective":       lgbModel(t, "objective=binary sigmoid:1\n", ""),
		"infinite threshold": lgbModel(t, "threshold=0.5", "threshold=-inf"),
		"empty set":          lgbModel(t, "cat_boundaries=0 2", "cat_boundaries=0 0 2"),
	} {
		if name == "empty set" {
			text = strings.Replace(text, "num_cat=1", "num_cat=2", 1)
		}
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLightGBMRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"version", "version=v4", "version=v5", "lightgbm: version: "},
		{"no version", "version=v4\n", "", "lightgbm: version: "},
		{"classes", "num_class=1", "num_class=2", "lightgbm: num_tree_per_iteration: "},
		{"classes absurd", "num_class=1", "num_class=1000000000", "lightgbm: num_class: "},
		{"features absurd", "max_feature_idx=1", "max_feature_idx=2000000000", "lightgbm: max_feature_idx: "},
		{"features short", "max_feature_idx=1", "max_feature_idx=2", "lightgbm: feature_names: "},
		{"feature unnamed", "=größe=1 b", "=größe=1 ", "lightgbm: feature_names: "},
		{"objective", "binary sigmoid:1", "survival", "lightgbm: objective: "},
		{"objective empty", "binary sigmoid:1", "", "lightgbm: objective: it is empty"},
		{"objective of classes", "binary sigmoid:1", "multiclass num_class:3", "lightgbm: objective: "},
		{"sigmoid", "sigmoid:1", "sigmoid:0", "lightgbm: objective: "},
		{"parameter", "sigmoid:1", "sigmoid:1 sqrt", "lightgbm: objective: "},
		{"key of the header", "label_index=0", "lable_index=0", `lightgbm: field "lable_index" is unknown`},
		{"key twice", "label_index=0", "label_index=0\nlabel_index=0", "lightgbm: label_index: it is there twice"},
		{"no trees", "tree_sizes=%d %d", "tree_sizes=", "lightgbm: tree_sizes: "},
		{"size", "tree_sizes=%d %d", "tree_sizes=-5 3", "lightgbm: tree_sizes: "},
		{"size absurd", "tree_sizes=%d %d", "tree_sizes=9000000000000000000 1", "lightgbm: tree 0: tree_sizes: "},
		{"sizes exchanged", "tree_sizes=%d %d", "tree_sizes=%[2]d %[1]d", "lightgbm: tree 0: tree_sizes: "},
		{"number of the tree", "Tree=1", "Tree=2", "lightgbm: tree 1: tree_sizes: "},
		{"linear", "is_linear=0", "is_linear=1", "lightgbm: tree 0: is_linear: "},
		{"key of a tree", "num_cat=1", "num_dog=1", `lightgbm: tree 0: field "num_dog" is unknown`},
		{"leaves absurd", "num_leaves=3", "num_leaves=2147483647", "lightgbm: tree 0: leaf_value: "},
		{"leaves none", "num_leaves=3", "num_leaves=0", "lightgbm: tree 0: num_leaves: "},
		{"leaf missing", "leaf_value=1 2 4", "leaf_value=1 2", "lightgbm: tree 0: leaf_value: "},
		{"leaf NaN", "leaf_value=1 2", "leaf_value=1 nan", "lightgbm: tree 0: leaf_value: value 1: "},
		{"leaf infinite", "leaf_value=8", "leaf_value=inf", "lightgbm: tree 1: leaf_value: value 0: "},
		{"leaf hexadecimal", "leaf_value=8", "leaf_value=0x8p0", "lightgbm: tree 1: leaf_value: value 0: "},
		{"overflow", "leaf_value=1 2 4\n", "leaf_value=1 2 1.7976931348623157e308\n", "lightgbm: the sum of leaf values can overflow"},
		{"threshold NaN", "threshold=0.5", "threshold=nan", "lightgbm: tree 0: threshold: value 0: "},
		{"thresholds missing", "threshold=0.5 0\n", "", "lightgbm: tree 0: threshold: it is missing"},
		{"feature", "split_feature=0 1", "split_feature=0 2", "lightgbm: tree 0: split_feature: value 1: "},
		{"feature negative", "split_feature=0 1", "split_feature=-1 1", "lightgbm: tree 0: split_feature: value 0: "},
		{"decision", "decision_type=10", "decision_type=14", "lightgbm: tree 0: decision_type: value 0: "},
		{"child", "left_child=1", "left_child=2", "lightgbm: tree 0: left_child: value 0: "},
		{"child negative", "right_child=-2", "right_child=-4", "lightgbm: tree 0: right_child: value 0: "},
		{"cycle", "left_child=1 -1", "left_child=1 0", "lightgbm: tree 0: left_child, right_child: "},
		{"leaf twice", "right_child=-2 -3", "right_child=-2 -2", "lightgbm: tree 0: left_child, right_child: "},
		{"count negative", "leaf_count=5", "leaf_count=-5", "lightgbm: tree 0: leaf_count: value 0: "},
		{"set", "threshold=0.5 0", "threshold=0.5 1", "lightgbm: tree 0: threshold: value 1: "},
		{"set huge", "threshold=0.5 0", "threshold=0.5 1e300", "lightgbm: tree 0: threshold: value 1: "},
		{"set broken", "threshold=0.5 0", "threshold=0.5 0.5", "lightgbm: tree 0: threshold: value 1: "},
		{"sets none", "num_cat=1", "num_cat=0", "lightgbm: tree 0: threshold: value 1: "},
		{"sets absurd", "num_cat=1", "num_cat=2147483647", "lightgbm: tree 0: cat_boundaries: "},
		{"set outside", "cat_boundaries=0 2", "cat_boundaries=0 2000000000", "lightgbm: tree 0: cat_threshold: "},
		{"set not from 0", "cat_boundaries=0 2", "cat_boundaries=1 2", "lightgbm: tree 0: cat_boundaries: "},
		{"set's word", "cat_threshold=2", "cat_threshold=4294967296", "lightgbm: tree 0: cat_threshold: value 0: "},
		{"end of trees", "end of trees", "end of tress", "lightgbm: there is no \"end of trees\""},
		{"end of parameters", "end of parameters", "end", "lightgbm: there is no \"end of parameters\""},
		{"pandas", "]]\n", "]\n", "lightgbm: pandas_categorical: "},
		{"after the end", "\npandas", "x\n\npandas", "lightgbm: what follows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(lgbModel(t, c.old, c.new)))
			if _, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("the error is %v, want %s…", err, c.want)
			}
		})
	}
}

// TestLightGBMHugeSet holds the limit of a set, which is a matter of how much the file holds.
func TestLightGBMHugeSet(t *testing.T) {
	const words = (maxCategory+1)/32 + 1
	text := lgbModel(t, "cat_boundaries=0 2\ncat_threshold=2 256",
		fmt.Sprintf("cat_boundaries=0 %d\ncat_threshold=2%s", words, strings.Repeat(" 1", words-1)))
	if _, err := Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "lightgbm: tree 0: cat_boundaries: ") {
		t.Errorf("the error is %v", err)
	}
}

// TestLightGBMTruncated cuts models of each version everywhere. What is left may be a model only where nothing
// but the line about pandas is gone, or, before version 2.2, the parameters, which have no mark.
func TestLightGBMTruncated(t *testing.T) {
	for _, c := range smallCases(t, "lightgbm") {
		switch c.name {
		case "old-2.0.12-rf", "old-2.1.2-zero", "old-2.2.3-binary", "old-3.3.5-zero", "constant", "dart":
		default:
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			pandas := bytes.Index(c.model, []byte("\npandas_categorical:"))
			for n := range c.model {
				if _, err := Parse(c.model[:n]); (err == nil) != (n == pandas) {
					t.Errorf("cut to %d of %d bytes: %v", n, len(c.model), err)
				}
			}
		})
	}
}

func FuzzParseLightGBM(f *testing.F) {
	f.Add([]byte(lgbModel(f, "", "")))
	f.Add([]byte(strings.ReplaceAll(lgbModel(f, "", ""), "\n", "\r\n")))
	for _, c := range smallCases(f, "lightgbm") {
		switch c.name {
		case "old-2.0.12-rf", "old-2.2.3-binary", "zero-as-missing", "multiclassova":
			f.Add(c.model)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		forest, err := Parse(append([]byte("tree\n"), bytes.TrimPrefix(data, []byte("tree\n"))...))
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%v is no *Error", err)
			}
			return
		}
		out := make([]float64, forest.NumOutputs())
		for _, v := range []float64{0, 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
			row := make([]float64, forest.NumFeatures())
			for i := range row {
				row[i] = v
			}
			forest.Raw(row, out)
			for _, s := range out {
				if !isFinite(s) {
					t.Fatalf("the raw score is %v", s)
				}
			}
		}
	})
}
