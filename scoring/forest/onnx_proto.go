package forest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// What is read of ONNX's messages; the field numbers are those of onnx.proto. Nothing is allocated but for
// bytes that are there, so memory is bounded by the size of the file.

type onnxModel struct {
	producer string
	graph    []byte // nil where there is none
}

type onnxGraph struct {
	nodes     []onnxNode
	constants map[string]onnxTensor // the initializers
	inputs    []onnxInput
	outputs   []string
}

// onnxInput is what the graph is given: a matrix of rows × width.
type onnxInput struct {
	name    string
	element int64 // type of the values
	dims    []int64
}

type onnxNode struct {
	op, domain      string
	inputs, outputs []string
	attributes      map[string]onnxAttribute
}

// onnxAttribute has the one of its parts that its type says.
type onnxAttribute struct {
	number  int64
	text    string
	floats  []float64
	ints    []int64
	strings []string
	tensor  *onnxTensor
}

type onnxTensor struct {
	element int64
	values  []float64 // of float and double tensors
}

// Limits of the graphs that are read; skl2onnx writes about ten parts, and two for each class.
const (
	maxONNXParts      = 1 << 14
	maxONNXAttributes = 64
)

// Types of tensor elements.
const (
	onnxFloat  = 1
	onnxInt64  = 7
	onnxBool   = 9
	onnxDouble = 11
)

var errWire = errors.New("the protobuf encoding is broken or cut off")

// onnxField is one field of a message: its payload where it is length-delimited, else its number.
type onnxField struct {
	id      int
	kind    protowire.Type
	payload []byte
	number  uint64
}

// eachField calls visit for the fields of a message, in the order of the bytes.
func eachField(message []byte, visit func(f onnxField) error) error {
	for len(message) > 0 {
		id, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		f := onnxField{id: int(id), kind: kind}
		switch kind {
		case protowire.BytesType:
			f.payload, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.number = uint64(v)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(message)
		default:
			return errWire // groups: ONNX has none
		}
		if n < 0 {
			return errWire
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// numbersOf appends the varints of a repeated field, which may be packed.
func (f onnxField) numbersOf(dst []int64) ([]int64, error) {
	if f.kind == protowire.VarintType {
		return append(dst, int64(f.number)), nil
	}
	for rest := f.payload; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return nil, errWire
		}
		dst, rest = append(dst, int64(v)), rest[n:]
	}
	return dst, nil
}

// floatsOf appends the float32 of a repeated field, which may be packed.
func (f onnxField) floatsOf(dst []float64) ([]float64, error) {
	if f.kind == protowire.Fixed32Type {
		return append(dst, float64(math.Float32frombits(uint32(f.number)))), nil
	}
	return appendFloat32s(dst, f.payload)
}

// doublesOf appends the float64 of a repeated field, which may be packed.
func (f onnxField) doublesOf(dst []float64) ([]float64, error) {
	if f.kind == protowire.Fixed64Type {
		return append(dst, math.Float64frombits(f.number)), nil
	}
	return appendFloat64s(dst, f.payload)
}

func appendFloat32s(dst []float64, data []byte) ([]float64, error) {
	if len(data)%4 != 0 {
		return nil, errWire
	}
	for ; len(data) > 0; data = data[4:] {
		dst = append(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
	}
	return dst, nil
}

func appendFloat64s(dst []float64, data []byte) ([]float64, error) {
	if len(data)%8 != 0 {
		return nil, errWire
	}
	for ; len(data) > 0; data = data[8:] {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
	return dst, nil
}

// readONNXModel reads a ModelProto.
func readONNXModel(data []byte) (m onnxModel, err error) {
	err = eachField(data, func(f onnxField) error {
		switch f.id {
		case 2:
			m.producer = string(f.payload)
		case 7:
			if m.graph != nil {
				return errors.New("there are two graphs")
			}
			m.graph = f.payload
		case 25:
			return errors.New("functions of the model's own are not supported")
		}
		return nil
	})
	return m, err
}

// readONNXGraph reads a GraphProto.
func readONNXGraph(data []byte) (*onnxGraph, error) {
	g := &onnxGraph{constants: map[string]onnxTensor{}}
	parts := 0
	err := eachField(data, func(f onnxField) error {
		if parts++; parts > maxONNXParts {
			return fmt.Errorf("the graph has more than %d parts", maxONNXParts)
		}
		switch f.id {
		case 1:
			n, err := readONNXNode(f.payload)
			g.nodes = append(g.nodes, n)
			return err
		case 5:
			name, t, err := readONNXTensor(f.payload)
			g.constants[name] = t
			return err
		case 11:
			in, err := readONNXInput(f.payload)
			g.inputs = append(g.inputs, in)
			return err
		case 12:
			out, err := readONNXInput(f.payload)
			g.outputs = append(g.outputs, out.name)
			return err
		case 15:
			return errors.New("sparse initializers are not supported")
		}
		return nil
	})
	return g, err
}

// readONNXNode reads a NodeProto.
func readONNXNode(data []byte) (onnxNode, error) {
	n := onnxNode{attributes: map[string]onnxAttribute{}}
	err := eachField(data, func(f onnxField) error {
		switch f.id {
		case 1:
			n.inputs = append(n.inputs, string(f.payload))
		case 2:
			n.outputs = append(n.outputs, string(f.payload))
		case 4:
			n.op = string(f.payload)
		case 5:
			name, a, err := readONNXAttribute(f.payload)
			if err != nil {
				return err
			}
			if _, twice := n.attributes[name]; twice {
				return fmt.Errorf("the attribute %q is there twice", name)
			}
			if len(n.attributes) == maxONNXAttributes {
				return fmt.Errorf("a node has more than %d attributes", maxONNXAttributes)
			}
			n.attributes[name] = a
		case 7:
			n.domain = string(f.payload)
		}
		return nil
	})
	return n, err
}

// readONNXAttribute reads an AttributeProto.
func readONNXAttribute(data []byte) (name string, a onnxAttribute, err error) {
	err = eachField(data, func(f onnxField) (err error) {
		switch f.id {
		case 1:
			name = string(f.payload)
		case 3:
			a.number = int64(f.number)
		case 4:
			a.text = string(f.payload)
		case 5:
			var t onnxTensor
			_, t, err = readONNXTensor(f.payload)
			a.tensor = &t
		case 7:
			a.floats, err = f.floatsOf(a.floats)
		case 8:
			a.ints, err = f.numbersOf(a.ints)
		case 9:
			a.strings = append(a.strings, string(f.payload))
		}
		return err
	})
	return name, a, err
}

// readONNXTensor reads a TensorProto. Values of types other than float and double are left out.
func readONNXTensor(data []byte) (name string, t onnxTensor, err error) {
	var raw []byte
	err = eachField(data, func(f onnxField) (err error) {
		switch f.id {
		case 2:
			t.element = int64(f.number)
		case 4:
			t.values, err = f.floatsOf(t.values)
		case 8:
			name = string(f.payload)
		case 9:
			raw = f.payload
		case 10:
			t.values, err = f.doublesOf(t.values)
		case 13:
			err = errors.New("data in another file is not supported")
		}
		return err
	})
	if err != nil {
		return name, t, err
	}
	switch {
	case raw == nil:
	case t.element == onnxFloat:
		t.values, err = appendFloat32s(nil, raw)
	case t.element == onnxDouble:
		t.values, err = appendFloat64s(nil, raw)
	}
	return name, t, err
}

// readONNXInput reads a ValueInfoProto of the type tensor(element).
func readONNXInput(data []byte) (in onnxInput, err error) {
	err = eachField(data, func(f onnxField) error {
		switch f.id {
		case 1:
			in.name = string(f.payload)
		case 2: // TypeProto
			return eachField(f.payload, func(f onnxField) error {
				if f.id != 1 {
					return nil
				}
				return in.readTensorType(f.payload)
			})
		}
		return nil
	})
	return in, err
}

func (in *onnxInput) readTensorType(data []byte) error {
	return eachField(data, func(f onnxField) error {
		switch f.id {
		case 1:
			in.element = int64(f.number)
		case 2: // TensorShapeProto: dimensions
			return eachField(f.payload, func(f onnxField) error {
				size := int64(0)
				err := eachField(f.payload, func(f onnxField) error {
					if f.id == 1 {
						size = int64(f.number)
					}
					return nil
				})
				in.dims = append(in.dims, size)
				return err
			})
		}
		return nil
	})
}
