package model_test

import (
	"fmt"
	"strconv"
	"strings"

	"recstream/scoring/feature"
)

// twoTrees is the text of a small model as LightGBM writes it: one tree over comedy and duration, and one
// of a single leaf.
func twoTrees() string {
	return withSizes(strings.Join([]string{
		"tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0", "max_feature_idx=16",
		"objective=binary sigmoid:1",
		"feature_names=" + strings.Join(feature.Names[:], " "),
		"tree_sizes=0 0", "",
		"Tree=0", "num_leaves=3", "num_cat=0", "split_feature=10 15", "threshold=0.5 100", "decision_type=2 2",
		"left_child=1 -1", "right_child=-2 -3", "leaf_value=0.5 2 -0.5", "is_linear=0", "shrinkage=1", "", "",
		"Tree=1", "num_leaves=1", "num_cat=0", "split_feature=", "threshold=", "decision_type=",
		"left_child=", "right_child=", "leaf_value=0.25", "is_linear=0", "shrinkage=1", "", "",
		"end of trees", "", "feature_importances:", "genre_comedy=1", "duration=1", "",
		"parameters:", "[boosting: gbdt]", "", "end of parameters", "", "pandas_categorical:null", "",
	}, "\n"))
}

// withSizes sets the two tree sizes in a text to what they are. The first is 400: tree 0 is filled up with a
// comment of that length, so that a test can name it.
func withSizes(text string) string {
	const first = 400
	head, rest, _ := strings.Cut(text, "\n\n")
	zero, end := strings.Index(rest, "\nTree="), strings.Index(rest, "end of tree")
	tree0, tree1, tail := rest[:zero+1], rest[zero+1:end], rest[end:]
	if !strings.Contains(tree0, "note=") {
		tree0 = strings.Replace(tree0, "shrinkage=1\n", "shrinkage=1\nnote=\n", 1)
		tree0 = strings.Replace(tree0, "note=", "note="+strings.Repeat("x", first-len(tree0)), 1)
	}
	lines := strings.Split(head, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "tree_sizes=0 ") || strings.HasPrefix(line, "tree_sizes=4") {
			lines[i] = "tree_sizes=" + strconv.Itoa(len(tree0)) + " " + strconv.Itoa(len(tree1))
		}
	}
	return fmt.Sprint(strings.Join(lines, "\n"), "\n\n", tree0, tree1, tail)
}
