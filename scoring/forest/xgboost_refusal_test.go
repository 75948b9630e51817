package forest

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const (
	learnerPath = "learner."
	paramPath   = learnerPath + "learner_model_param."
	boosterPath = learnerPath + "gradient_booster."
	modelPath   = boosterPath + "model."
	treePath    = modelPath + "trees.1."
)

// TestXGBoostRefusals edits a good model, and wants the tree and the field named.
func TestXGBoostRefusals(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name, model, path string
		value             any
		tree              int
		field, says       string
	}{
		{"no learner", "", "learner", removed{}, -1, "learner", "missing"},
		{"learner is a text", "", "learner", "x", -1, "learner", "no object"},
		{"no objective", "", "learner.objective.name", removed{}, -1, "learner.objective.name", "missing"},
		{"survival", "", "learner.objective.name", "survival:cox", -1, "learner.objective.name", `"survival:cox" is not supported`},
		{"gblinear", "", boosterPath + "name", "gblinear", -1, boosterPath + "name", "no trees"},
		{"unknown booster", "", boosterPath + "name", "gbforest", -1, boosterPath + "name", "not supported"},
		{"dart without a gbtree", "", boosterPath + "name", "dart", -1, boosterPath + "gbtree", "missing"},
		{"dart without weights", "dart", boosterPath + "weight_drop", removed{}, -1, boosterPath + "weight_drop", "missing"},
		{"dart of few weights", "dart", boosterPath + "weight_drop", []float64{1}, -1, boosterPath + "gbtree.model.weight_drop", "1 weights for 5 trees"},
		{"dart weight is NaN", "dart", boosterPath + "weight_drop.2", nan, 2, "split_conditions", "NaN"},
		{"no features", "", paramPath + "num_feature", removed{}, -1, paramPath + "num_feature", "missing"},
		{"absurd features", "", paramPath + "num_feature", "4000000000", -1, paramPath + "num_feature", "not from 0"},
		{"negative features", "", paramPath + "num_feature", "-1", -1, paramPath + "num_feature", "not from 0"},
		{"features are words", "", paramPath + "num_feature", "many", -1, paramPath + "num_feature", "no whole number"},
		{"features less than names", "", paramPath + "num_feature", "7", -1, "learner.feature_names", "8 names for 7"},
		{"a name is a number", "", "learner.feature_names.3", 1.0, -1, "learner.feature_names", "name 3"},
		{"names are an object", "", "learner.feature_names", map[string]any{}, -1, "learner.feature_names", "no array"},
		{"several targets", "", paramPath + "num_target", "3", -1, paramPath + "num_target", "several targets"},
		{"classes of a binary model", "", paramPath + "num_class", "2", -1, paramPath + "num_class", "one output"},
		{"absurd classes", "softprob", paramPath + "num_class", "2000000000", -1, paramPath + "num_class", "not from 0"},
		{"base score is a word", "", paramPath + "base_score", "half", -1, paramPath + "base_score", "no finite number"},
		{"base score is NaN", "", paramPath + "base_score", "[NaN]", -1, paramPath + "base_score", "no finite number"},
		{"base score is huge", "", paramPath + "base_score", "1E39", -1, paramPath + "base_score", "no finite number"},
		{"base score is no probability", "", paramPath + "base_score", "1.5", -1, paramPath + "base_score", "no probability"},
		{"base score without logarithm", "poisson", paramPath + "base_score", "0", -1, paramPath + "base_score", "not above 0"},
		{"base scores too many", "", paramPath + "base_score", "[1E-1,2E-1]", -1, paramPath + "base_score", "2 numbers for 1"},
		{"trees are numbers", "", modelPath + "trees", []float64{1}, -1, modelPath + "trees", "no array"},
		{"a tree is a number", "", modelPath + "trees.1", 1.0, 1, "", "no object"},
		{"tree count", "", modelPath + "gbtree_model_param.num_trees", "4", -1, modelPath + "gbtree_model_param.num_trees", "there are 5 trees"},
		{"tree outputs short", "", modelPath + "tree_info", []float64{0}, -1, modelPath + "tree_info", "1 numbers for 5"},
		{"tree output", "", modelPath + "tree_info.1", 1.0, 1, "tree_info", "none of 1"},
		{"tree output is NaN", "", modelPath + "tree_info.1", nan, 1, "tree_info", "none of 1"},
		{"tree order", "", treePath + "id", 3.0, 1, "id", "not in order"},
		{"leaves are vectors", "", treePath + "tree_param.size_leaf_vector", "3", 1, "tree_param.size_leaf_vector", "leaves of 3 values"},
		{"no nodes", "", treePath + "tree_param.num_nodes", "0", 1, "tree_param.num_nodes", "root"},
		{"absurd nodes", "", treePath + "tree_param.num_nodes", "999999999999", 1, "tree_param.num_nodes", "not from 0"},
		{"short array", "", treePath + "split_conditions", []float64{1, 2}, 1, "split_conditions", "2 elements for"},
		{"no array", "", treePath + "default_left", removed{}, 1, "default_left", "missing"},
		{"array of texts", "", treePath + "sum_hessian", []any{"x"}, 1, "sum_hessian", "no array of numbers"},
		{"child out of range", "", treePath + "left_children.0", 99.0, 1, "left_children", "child 99 does not exist"},
		{"child is negative", "", treePath + "left_children.0", -2.0, 1, "left_children", "child -2 does not exist"},
		{"child is a fraction", "", treePath + "left_children.0", 1.5, 1, "left_children", "child 1.5 does not exist"},
		{"child is the root", "", treePath + "left_children.1", 0.0, 1, "left_children", "child 0 does not exist"},
		{"right child elsewhere", "", treePath + "right_children.0", 4.0, 1, "right_children", "does not follow"},
		{"root became a leaf", "", treePath + "left_children.0", -1.0, 1, "right_children", "no left one"},
		{"feature out of range", "", treePath + "split_indices.0", 8.0, 1, "split_indices", "feature 8 is none of 8"},
		{"feature is negative", "", treePath + "split_indices.0", -1.0, 1, "split_indices", "none of 8"},
		{"feature is NaN", "", treePath + "split_indices.0", nan, 1, "split_indices", "none of 8"},
		{"child is deleted", "", "", nil, 1, "left_children", "child 1 is deleted"},
		{"root is deleted", "", "", nil, 1, "split_indices", "root is deleted"},
		{"threshold is NaN", "", treePath + "split_conditions.0", nan, 1, "split_conditions", "node 0: the threshold is NaN"},
		{"leaf is infinite", "", "last leaf", math.Inf(1), 1, "split_conditions", "+Inf"},
		{"leaf is NaN", "", "last leaf", nan, 1, "split_conditions", "NaN"},
		{"leaf is beyond float32", "", "last leaf", 1e39, 1, "split_conditions", "+Inf"},
		{"leaf overflows the sum", "", "last leaf", 3.4028234e38, -1, "", "overflow"},
		{"cover is negative", "", "last cover", -1.0, 1, "sum_hessian", "no cover"},
		{"kinds short", "categories-sets", treePath + "split_type", []float64{}, 1, "split_type", "0 elements"},
		{"kind unknown", "categories-sets", "first kind", 2.0, 1, "split_type", "of kind 2"},
		{"kind without categories", "", treePath + "split_type.0", 1.0, 1, "split_type", "given: false"},
		{"categories without kind", "categories-sets", "first kind", 0.0, 1, "split_type", "given: true"},
		{"categories start elsewhere", "categories-sets", treePath + "categories_segments.0", 1.0, 1, "categories_segments", "starts at 1"},
		{"categories too many", "categories-sets", treePath + "categories_sizes.0", 1e6, 1, "categories_sizes", "1e+06 categories"},
		{"categories of none", "categories-sets", treePath + "categories_sizes.0", 0.0, 1, "categories_sizes", "0 categories"},
		{"categories of no node", "categories-sets", treePath + "categories_nodes.0", 99.0, 1, "categories_nodes", "does not exist"},
		{"categories of a negative node", "categories-sets", treePath + "categories_nodes.0", -1.0, 1, "categories_nodes", "does not exist"},
		{"categories out of order", "categories-sets", treePath + "categories_nodes.1", 0.0, 1, "categories_nodes", "not in order"},
		{"sizes short", "categories-sets", treePath + "categories_sizes", []float64{}, 1, "categories_sizes", "0 elements"},
		{"segments short", "categories-sets", treePath + "categories_segments", []float64{}, 1, "categories_segments", "0 elements"},
		{"category is negative", "categories-sets", treePath + "categories.0", -1.0, 1, "categories", "-1 is no category"},
		{"category is too large", "categories-sets", treePath + "categories.0", 1 << 24 * 1.0, 1, "categories", "no category"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.model == "" {
				c.model = "binary-logistic"
			}
			document := xgboostCase(t, c.model).document(t)
			switch c.name {
			case "child is deleted":
				deleteNode(t, document, "1")
			case "root is deleted":
				deleteNode(t, document, "0")
			default:
				edit(t, document, resolve(t, document, c.path), c.value)
			}
			_, err := Parse(ubjStyle{}.document(document))
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error %v, want an *Error", err)
			}
			if e.Tree != c.tree || e.Field != c.field || !strings.Contains(e.Error(), c.says) {
				t.Errorf("error %v; tree %d, field %q", e, e.Tree, e.Field)
			}
		})
	}
}

// deleteNode marks a node of tree 1 as pruned.
func deleteNode(t *testing.T, document any, node string) {
	edit(t, document, treePath+"split_indices."+node, float64(deletedFeature))
	edit(t, document, treePath+"default_left."+node, 1.0)
}

// resolve puts a node of tree 1 in the place of the words in a path.
func resolve(t *testing.T, document any, path string) string {
	array := func(key string) []float64 { return lookUp(t, document, treePath+key).([]float64) }
	switch path {
	case "last leaf":
		return treePath + "split_conditions." + strconv.Itoa(len(array("left_children"))-1)
	case "last cover":
		return treePath + "sum_hessian." + strconv.Itoa(len(array("left_children"))-1)
	case "first kind":
		return treePath + "split_type." + strconv.Itoa(int(array("categories_nodes")[0]))
	}
	return path
}

// TestXGBoostCycles points children back up and at each other.
func TestXGBoostCycles(t *testing.T) {
	for _, c := range []struct {
		name        string
		left, right []float64 // from the root on
		says        string
	}{
		{"too few leaves", []float64{1, 1, -1}, []float64{2, 2, -1}, "inner nodes need"},
		{"its own child", []float64{1, -1, 2, 5, -1, -1, -1}, []float64{2, -1, 3, 6, -1, -1, -1}, "node 1 is reached twice"},
		{"shared leaf", []float64{1, -1, 1, 5, -1, -1, -1}, []float64{2, -1, 2, 6, -1, -1, -1}, "leaf 0 is reached twice"},
		{"root is a leaf", []float64{-1, 3, 5, -1, -1, -1, -1}, []float64{-1, 4, 6, -1, -1, -1, -1}, "inner nodes need"},
		{"root is a leaf beside a tree", []float64{-1, 2, -1, -1}, []float64{-1, 3, -1, -1}, "inner nodes need"},
		{"root is a leaf beside a ring", []float64{-1, 1, -1}, []float64{-1, 2, -1}, "reached twice"},
		{"ring that the root does not reach", []float64{1, -1, -1, 5, -1, 3, -1}, []float64{2, -1, -1, 6, -1, 4, -1}, "leaves are reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			document := xgboostCase(t, "binary-logistic").document(t)
			n := len(c.left)
			zero := make([]float64, n)
			for key, value := range map[string]any{
				"left_children": c.left, "right_children": c.right, "split_indices": zero, "split_conditions": zero,
				"default_left": zero, "sum_hessian": zero, "split_type": zero, "tree_param.num_nodes": strconv.Itoa(n),
			} {
				edit(t, document, treePath+key, value)
			}
			_, err := Parse(ubjStyle{}.document(document))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Tree != 1 || e.Field != "left_children" || !strings.Contains(e.Error(), c.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestXGBoostSetBudget wants few bytes that ask for much memory refused.
func TestXGBoostSetBudget(t *testing.T) {
	r := xgboostTrees{setWords: maxSetWords}
	var err error
	sets := 0
	for ; err == nil && sets < 1000; sets++ {
		_, err = r.set([]float64{maxCategory})
	}
	if err == nil || !strings.Contains(err.Error(), "128 MB") {
		t.Errorf("%d sets, error %v", sets, err)
	}
}

// TestXGBoostVariants edits a model in ways that other versions write, and wants the same forest.
func TestXGBoostVariants(t *testing.T) {
	for _, c := range []struct {
		name, model, path string
		value             any
	}{
		{"no names", "squarederror", "learner.feature_names", removed{}},
		{"names are null", "squarederror", "learner.feature_names", nil},
		{"no number of targets", "squarederror", paramPath + "num_target", removed{}},
		{"base score as a number", "squarederror-large-base", paramPath + "base_score", "-123456.7"},
		{"one base score for all classes", "random-forest-softprob", paramPath + "base_score", "5E-1"},
		{"names of categories", "categories-sets", modelPath + "cats", map[string]any{
			"enc":              []any{map[string]any{"offsets": []float64{0, 1, 2}, "values": []float64{97, 98}}},
			"feature_segments": []float64{0, 1}, "sorted_idx": []float64{0, 1}}},
		{"gains are NaN", "squarederror", treePath + "loss_changes", []float64{math.NaN(), math.Inf(1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			document := xgboostCase(t, c.model).document(t)
			if c.name == "one base score for all classes" {
				edit(t, document, c.path, "[5E-1,5E-1,5E-1]")
			}
			want := mustBuild(t, document)
			edit(t, document, c.path, c.value)
			if got := mustBuild(t, document); !reflect.DeepEqual(got, want) {
				t.Error("another forest")
			}
		})
	}
}

// TestXGBoostDartWeights moves the weights to where version 3.4 writes them.
func TestXGBoostDartWeights(t *testing.T) {
	document := xgboostCase(t, "dart").document(t)
	want := mustBuild(t, document)
	booster := lookUp(t, document, "learner.gradient_booster").(map[string]any)
	model := booster["gbtree"].(map[string]any)["model"].(map[string]any)
	model["weight_drop"] = booster["weight_drop"]
	edit(t, document, "learner.gradient_booster", map[string]any{"name": "gbtree", "model": model})
	if !reflect.DeepEqual(mustBuild(t, document), want) {
		t.Error("another forest")
	}
	delete(model, "weight_drop")
	if reflect.DeepEqual(mustBuild(t, document), want) {
		t.Error("the weights change nothing")
	}
}

func TestXGBoostFeatureNames(t *testing.T) {
	named, _ := Parse(xgboostCase(t, "binary-logistic").model)
	want := []string{"a b", "ü", `"q"`, `x\y`, "=", "6", "日本", "tab\there"}
	if !reflect.DeepEqual(named.Features(), want) {
		t.Errorf("names %q", named.Features())
	}
	if plain := mustBuild(t, xgboostCase(t, "squarederror").document(t)); plain.Features()[7] != "f7" {
		t.Errorf("names %q", plain.Features())
	}
}

func mustBuild(t *testing.T, document any) *Forest {
	t.Helper()
	f, err := buildXGBoost(document)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Values that take many times the memory of their bytes are counted.
func TestXGBoostDocumentsAreBounded(t *testing.T) {
	for name, data := range map[string]string{
		"JSON objects": `{"learner":[` + strings.Repeat("{},", maxValues+1) + `{}]}`,
		"JSON nulls":   `{"learner":[` + strings.Repeat("null,", maxValues+1) + `null]}`,
		"UBJ objects":  "{L\x00\x00\x00\x00\x00\x00\x00\x07learner[" + strings.Repeat("{}", maxValues+1) + "]}",
		"UBJ nulls":    "{L\x00\x00\x00\x00\x00\x00\x00\x07learner[" + strings.Repeat("Z", maxValues+1) + "]}",
	} {
		if _, err := Parse([]byte(data)); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: error %.200v", name, err)
		}
	}
}
