package model

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// tree is one decision tree. Its inner nodes are numbered from 0, the root; its leaves too, apart. A child
// c ≥ 0 is an inner node, c < 0 is leaf ^c. A tree of one leaf has no inner node.
type tree struct {
	feature, left, right, decision []int
	threshold                      []float64
	value                          []float64 // one a leaf
}

// The bits of a node's decision type. Bit 1 is the default direction; bits 2 and 3 are what counts as
// missing: nothing, zero, or NaN.
const (
	categoricalBit = 1 << 0
	maxDecision    = 1<<1 | 2<<2
)

// parse reads block, tree i of a file, and verifies it.
func (t *tree) parse(i int, block string) error {
	// A block is its lines and two blank ones; a size that is off by a byte shows here or in the next one.
	body, ok := strings.CutSuffix(block, "\n\n\n")
	if !ok {
		return errors.New("the block does not end where tree_sizes says")
	}
	p, err := parseFields(body)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(body, fmt.Sprintf("Tree=%d\n", i)) {
		return fmt.Errorf("the block does not begin with Tree=%d", i)
	}
	if err := checkKind(p); err != nil {
		return err
	}
	leaves, err := strconv.Atoi(p["num_leaves"])
	if err != nil {
		return fmt.Errorf("num_leaves: %w", err)
	}
	if err := t.parseArrays(p, leaves); err != nil {
		return err
	}
	if err := t.checkNodes(); err != nil {
		return err
	}
	return t.checkShape()
}

// checkKind refuses the trees that would be evaluated wrongly.
func checkKind(p fields) error {
	if p["num_cat"] != "0" {
		return fmt.Errorf("num_cat is %q: categorical splits are not supported", p["num_cat"])
	}
	if linear, ok := p["is_linear"]; ok && linear != "0" {
		return fmt.Errorf("is_linear is %q: train with linear_tree=false", linear)
	}
	return nil
}

// parseArrays reads the arrays and checks their lengths: one value a leaf, and one split less.
func (t *tree) parseArrays(p fields, leaves int) error {
	var err error
	if t.value, err = parseFloats(p, "leaf_value", leaves); err != nil {
		return err
	}
	if leaves == 1 {
		return nil
	}
	if t.threshold, err = parseFloats(p, "threshold", leaves-1); err != nil {
		return err
	}
	for _, array := range []struct {
		key string
		dst *[]int
	}{
		{"split_feature", &t.feature}, {"decision_type", &t.decision},
		{"left_child", &t.left}, {"right_child", &t.right},
	} {
		if *array.dst, err = parseList(array.key, p[array.key], parseInt32); err != nil {
			return err
		}
		if len(*array.dst) != leaves-1 {
			return fmt.Errorf("%s has %d values, not %d", array.key, len(*array.dst), leaves-1)
		}
	}
	return nil
}

// parseInt32 keeps to 32 bits, which is what the evaluator holds an index in.
func parseInt32(s string) (int, error) {
	v, err := strconv.ParseInt(s, 10, 32)
	return int(v), err
}

// parseFloats reads n finite numbers.
func parseFloats(p fields, key string, n int) ([]float64, error) {
	list, err := parseList(key, p[key], func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	if err != nil {
		return nil, err
	}
	if len(list) != n {
		return nil, fmt.Errorf("%s has %d values, not %d", key, len(list), n)
	}
	for i, v := range list {
		if !isFinite(v) {
			return nil, fmt.Errorf("%s[%d] is %v", key, i, v)
		}
	}
	return list, nil
}

// checkNodes checks each split by itself: an existing feature, compared as a number.
func (t *tree) checkNodes() error {
	for i := range t.feature {
		if f := t.feature[i]; f < 0 || f > maxFeature {
			return fmt.Errorf("split_feature[%d] is %d, not 0 to %d", i, f, maxFeature)
		}
		d := t.decision[i]
		if d&categoricalBit != 0 {
			return fmt.Errorf("decision_type[%d] is %d: categorical splits are not supported", i, d)
		}
		if d < 0 || d > maxDecision {
			return fmt.Errorf("decision_type[%d] is %d", i, d)
		}
	}
	return nil
}

// checkShape walks from the root and checks that it meets every node and every leaf exactly once: then
// there is no cycle, no child out of range and nothing that cannot be reached.
func (t *tree) checkShape() error {
	if len(t.feature) == 0 {
		return nil
	}
	nodes, leaves := make([]bool, len(t.feature)), make([]bool, len(t.value))
	nodes[0] = true
	met := 1
	for stack := []int{0}; len(stack) > 0; {
		node := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, child := range [...]int{t.left[node], t.right[node]} {
			seen, at := nodes, child
			if child < 0 {
				seen, at = leaves, ^child
			}
			if at >= len(seen) || seen[at] {
				return fmt.Errorf("node %d: child %d is out of range or has another parent", node, child)
			}
			seen[at] = true
			met++
			if child >= 0 {
				stack = append(stack, child)
			}
		}
	}
	if all := len(nodes) + len(leaves); met != all {
		return fmt.Errorf("%d of %d nodes and leaves can be reached", met, all)
	}
	return nil
}

// write writes the tree as LightGBM does, so far as leaves reads it.
func (t *tree) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "num_leaves=%d\nnum_cat=0\n", len(t.value))
	writeFloats(b, "leaf_value", t.value)
	if len(t.feature) > 0 {
		writeFloats(b, "threshold", t.threshold)
		writeInts(b, "split_feature", t.feature)
		writeInts(b, "decision_type", t.decision)
		writeInts(b, "left_child", t.left)
		writeInts(b, "right_child", t.right)
	}
	b.WriteByte('\n')
}

func writeFloats(b *bytes.Buffer, key string, list []float64) {
	b.WriteString(key)
	for i, v := range list {
		b.WriteByte(separator(i))
		b.Write(strconv.AppendFloat(b.AvailableBuffer(), v, 'g', -1, 64)) // the shortest that reads back alike
	}
	b.WriteByte('\n')
}

func writeInts(b *bytes.Buffer, key string, list []int) {
	b.WriteString(key)
	for i, v := range list {
		b.WriteByte(separator(i))
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(v), 10))
	}
	b.WriteByte('\n')
}

// separator is what stands before value i of a key's list.
func separator(i int) byte {
	if i == 0 {
		return '='
	}
	return ' '
}
