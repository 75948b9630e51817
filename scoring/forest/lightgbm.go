package forest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A LightGBM text file is a header, the trees one after the other in blocks whose sizes in bytes the header
// gives, and a trailer. It holds the trees exactly: LightGBM writes thresholds and leaves with 17 digits.
// All lines but the trailer's are key=value; a key that is not known here is refused, since nobody can say
// whether the scores depend on it.

// parseLightGBM reads the text of versions v2 (LightGBM 2.0.12 to 2.2), v3 (2.3 to 3.3) and v4 (4.0 and later).
func parseLightGBM(data []byte) (*Forest, error) {
	if bytes.HasPrefix(data, []byte("tree\r\n")) { // on its way through Windows; the sizes do not count the \r
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	head, rest, ok := strings.Cut(string(data), "\n\n")
	if !ok {
		return nil, fault("", "the header does not end: the file is cut short")
	}
	h, err := parseLGBHeader(head)
	if err != nil {
		return nil, err
	}
	f := h.forest()
	splits := make([]int, len(f.features)) // by feature: how many splits on it gain something
	for i, size := range h.treeSizes {
		if size > len(rest) {
			return nil, treeFault(i, "tree_sizes", "%d of %d bytes are there: the file is cut short", len(rest), size)
		}
		t, err := parseLGBTree(i, rest[:size], splits)
		if err != nil {
			return nil, err
		}
		t.output = int32(i % f.outputs)
		f.trees = append(f.trees, t)
		rest = rest[size:]
	}
	return f, checkLGBTrailer(rest, f.features, splits)
}

// lgbHeader is what the header says, as far as it matters for predictions.
type lgbHeader struct {
	outputs   int
	features  []string
	objective string
	link      link
	average   bool // random forest: the mean of the trees counts, not their sum
	treeSizes []int
}

// forest makes a forest without trees yet.
func (h *lgbHeader) forest() *Forest {
	f := &Forest{
		objective: h.objective,
		features:  h.features,
		outputs:   h.outputs,
		bias:      make([]float64, h.outputs),
		divisor:   1, // raw scores of a random forest are sums; Transform averages
		link:      h.link,
	}
	if h.average {
		f.link.trees = float64(len(h.treeSizes) / h.outputs)
	}
	return f
}

// lgbHeaderKeys are the keys of a header.
var lgbHeaderKeys = []string{
	"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
	"average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_sizes",
}

// parseLGBHeader reads the lines up to the first blank one.
func parseLGBHeader(head string) (*lgbHeader, error) {
	b, err := parseLGBBlock(-1, strings.TrimPrefix(head, "tree\n"), lgbHeaderKeys)
	if err != nil {
		return nil, err
	}
	if v := b.values["version"]; v != "v2" && v != "v3" && v != "v4" {
		return nil, b.fault("version", "%q is none of v2, v3, v4", v)
	}
	h := &lgbHeader{}
	var given bool
	h.objective, given = b.values["objective"]
	if given && h.objective == "" { // none has no such line
		return nil, b.fault("objective", "it is empty")
	}
	_, h.average = b.values["average_output"]
	for _, step := range []func(*lgbBlock) error{h.parseOutputs, h.parseFeatures, h.parseTreeSizes} {
		if err := step(b); err != nil {
			return nil, err
		}
	}
	if h.link, err = parseLGBObjective(h.objective, h.outputs); err != nil {
		return nil, b.fault("objective", "%q: %w", h.objective, err)
	}
	return h, nil
}

func (h *lgbHeader) parseOutputs(b *lgbBlock) error {
	for _, key := range []string{"num_class", "num_tree_per_iteration"} {
		n, err := strconv.Atoi(b.values[key])
		if err != nil || n < 1 || n > maxOutputs {
			return b.fault(key, "%q is no number from 1 to %d", b.values[key], maxOutputs)
		}
		if h.outputs != 0 && n != h.outputs {
			return b.fault(key, "%d trees an iteration for %d classes", n, h.outputs)
		}
		h.outputs = n
	}
	return nil
}

// parseFeatures reads the names. LightGBM has no blanks in names; about any other character is possible.
func (h *lgbHeader) parseFeatures(b *lgbBlock) error {
	last, err := strconv.Atoi(b.values["max_feature_idx"])
	if err != nil || last < 0 || last >= maxFeatures {
		return b.fault("max_feature_idx", "%q is no number from 0 to %d", b.values["max_feature_idx"], maxFeatures-1)
	}
	h.features = strings.Split(b.values["feature_names"], " ")
	if len(h.features) != last+1 {
		return b.fault("feature_names", "%d names for %d features", len(h.features), last+1)
	}
	if i := slices.Index(h.features, ""); i >= 0 {
		return b.fault("feature_names", "feature %d has no name", i)
	}
	for _, key := range []string{"feature_infos", "monotone_constraints"} { // about training; old files lack some
		infos, ok := b.values[key]
		if n := strings.Count(infos, " ") + 1; ok && n != len(h.features) || strings.Contains(infos, "=") {
			return b.fault(key, "it does not fit %d features", len(h.features))
		}
	}
	return nil
}

// parseTreeSizes reads the sizes of the trees in bytes; how many there are is the number of trees.
func (h *lgbHeader) parseTreeSizes(b *lgbBlock) error {
	const key = "tree_sizes"
	if b.values[key] == "" {
		return b.fault(key, "there are no trees")
	}
	n := strings.Count(b.values[key], " ") + 1
	if n > maxTrees || n%h.outputs != 0 {
		return b.fault(key, "%d trees: at most %d can be, a multiple of the %d classes", n, maxTrees, h.outputs)
	}
	var err error
	h.treeSizes, err = parseLGBList(b, key, n, parsePositive)
	return err
}

func parsePositive(s string) (int, error) {
	v, err := strconv.Atoi(s)
	if err == nil && v < 1 {
		err = fmt.Errorf("%d is not positive", v)
	}
	return v, err
}
