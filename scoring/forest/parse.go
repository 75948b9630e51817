package forest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Error says why a file is no model that can be used. Its text names what it concerns.
type Error struct {
	Format Format // "" where the bytes are in none of the formats
	Tree   int    // the tree at fault, from 0; -1 where it is none
	Field  string // the field at fault, as the file names it, "" where it is none
	Err    error
}

// Error reads like "lightgbm: tree 3: left_child: child 99 does not exist".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Format != "" {
		fmt.Fprintf(&b, "%s: ", e.Format)
	}
	if e.Tree >= 0 {
		fmt.Fprintf(&b, "tree %d: ", e.Tree)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, "%s: ", e.Field)
	}
	return b.String() + e.Err.Error()
}

// Unwrap returns what was found.
func (e *Error) Unwrap() error { return e.Err }

// fault is an Error of the file as a whole, or of its header's field.
func fault(field, format string, args ...any) *Error {
	return &Error{Tree: -1, Field: field, Err: fmt.Errorf(format, args...)}
}

// treeFault is an Error of one tree.
func treeFault(tree int, field, format string, args ...any) *Error {
	return &Error{Tree: tree, Field: field, Err: fmt.Errorf(format, args...)}
}

// Limits of what Parse takes on, far beyond what trainers write. They bound its time and its memory.
const (
	maxFeatures = 1 << 20
	maxOutputs  = 1 << 12
	maxTrees    = 1 << 20
)

// Parse reads a model file; its first bytes tell the format. The error is an *Error.
func Parse(data []byte) (*Forest, error) {
	format, read := sniff(data)
	if read == nil {
		return nil, fault("", "this is no model file of LightGBM (text), XGBoost (JSON, UBJSON) or ONNX")
	}
	f, err := read(data)
	if err == nil {
		f.format = format
		err = f.check()
	}
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = fault("", "%w", err)
		}
		e.Format = format
		return nil, e
	}
	return f, nil
}

// sniff tells the format of a file by its first bytes.
func sniff(data []byte) (Format, func([]byte) (*Forest, error)) {
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case bytes.HasPrefix(data, []byte("tree\n")), bytes.HasPrefix(data, []byte("tree\r\n")):
		return FormatLightGBM, parseLightGBM
	case len(data) > 1 && data[0] == '{' && isUBJ(data[1:]):
		return FormatXGBoostUBJ, parseXGBoostUBJ
	case len(text) > 0 && text[0] == '{':
		return FormatXGBoostJSON, parseXGBoostJSON
	case len(data) > 0 && data[0] == 0x08: // field 1 of ONNX's ModelProto, ir_version, comes first
		return FormatONNX, parseONNX
	}
	return "", nil
}

// check looks at the forest as a whole: nothing may overflow, whatever the row.
func (f *Forest) check() error {
	bound := make([]float64, f.outputs)
	for i, b := range f.bias {
		bound[i] = math.Abs(b)
	}
	for i := range f.trees {
		largest := 0.0
		for _, v := range f.trees[i].leaves {
			largest = max(largest, math.Abs(v))
		}
		bound[f.trees[i].output] += largest
	}
	limit := math.MaxFloat64
	if f.numbers.singleSums {
		limit = math.MaxFloat32
	}
	for _, b := range bound {
		if !(b < limit) {
			return fault("", "the sum of leaf values can overflow")
		}
	}
	return nil
}
