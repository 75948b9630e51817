package forest

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// isUBJ reports whether what follows an opening brace is UBJSON rather than JSON: the length of a name, or a
// mark that JSON does not have.
func isUBJ(rest []byte) bool {
	return len(rest) > 0 && strings.IndexByte("iUIlL$#N", rest[0]) >= 0
}

func parseXGBoostUBJ(data []byte) (*Forest, error) {
	document, err := readUBJ(data)
	if err != nil {
		return nil, err
	}
	return buildXGBoost(document)
}

// readUBJ reads a document; object says how its values are held.
func readUBJ(data []byte) (any, error) {
	r := ubjReader{data: data}
	v, err := r.value(r.mark())
	if err == nil && (r.peek() != 0 || len(r.data) > 0) {
		err = r.fault("the document has ended, but the file goes on")
	}
	return v, err
}

// ubjReader reads UBJSON, draft 12 (ubjson.org): each value has a mark, a byte, before it; numbers are
// big-endian. Nothing is allocated by a length before as many bytes are seen to be there.
type ubjReader struct {
	data  []byte // what is left
	read  int    // bytes before it
	depth int
	spent int // of maxValues
}

// spend counts a value.
func (r *ubjReader) spend() error {
	if r.spent++; r.spent > maxValues {
		return r.fault("more than %d objects, arrays and mixed elements", maxValues)
	}
	return nil
}

// fault is an Error at the place of reading.
func (r *ubjReader) fault(format string, args ...any) *Error {
	return fault("", "byte %d: "+format, append([]any{r.read}, args...)...)
}

// take returns the next n bytes; nil where there are less.
func (r *ubjReader) take(n int) []byte {
	if n > len(r.data) {
		return nil
	}
	taken := r.data[:n:n]
	r.data, r.read = r.data[n:], r.read+n
	return taken
}

// peek returns the mark that comes next, past no-ops; 0 at the end.
func (r *ubjReader) peek() byte {
	for len(r.data) > 0 && r.data[0] == 'N' {
		r.take(1)
	}
	if len(r.data) == 0 {
		return 0
	}
	return r.data[0]
}

// mark takes the mark that comes next; 0 at the end.
func (r *ubjReader) mark() byte {
	mark := r.peek()
	r.take(1)
	return mark
}

// ubjWidth returns the bytes that a number with this mark has; 0 where it is no number.
func ubjWidth(mark byte) int {
	switch mark {
	case 'i', 'U', 'C':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

// ubjNumber decodes a number of ubjWidth bytes.
func ubjNumber(mark byte, b []byte) float64 {
	switch mark {
	case 'i':
		return float64(int8(b[0]))
	case 'U', 'C':
		return float64(b[0])
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b)))
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	default: // 'D'
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
}

// value reads the value that follows its mark.
func (r *ubjReader) value(mark byte) (any, error) {
	switch mark {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case 'S':
		return r.text()
	case 'Z':
		return nil, nil
	case 'T':
		return 1.0, nil
	case 'F':
		return 0.0, nil
	}
	width := ubjWidth(mark)
	if width == 0 {
		return nil, r.fault("no value is here, or none that can be used")
	}
	b := r.take(width)
	if b == nil {
		return nil, r.fault("the file ends within a number")
	}
	return ubjNumber(mark, b), nil
}

// length reads a length: of a text in bytes, of an array or object in elements, which have a byte at least.
func (r *ubjReader) length() (int, error) {
	mark := r.mark()
	width := ubjWidth(mark)
	if width == 0 || strings.IndexByte("CdD", mark) >= 0 {
		return 0, r.fault("there is no length")
	}
	b := r.take(width)
	if b == nil {
		return 0, r.fault("the file ends within a length")
	}
	n := ubjNumber(mark, b)
	if !(n >= 0 && n <= float64(len(r.data))) {
		return 0, r.fault("the length %v is more than what follows", n)
	}
	return int(n), nil
}

func (r *ubjReader) text() (string, error) {
	n, err := r.length()
	if err != nil {
		return "", err
	}
	text := r.take(n)
	if !utf8.Valid(text) {
		return "", r.fault("a text is not in UTF-8")
	}
	return string(text), nil
}

// ubjContainer is what an array or object says of itself at its beginning.
type ubjContainer struct {
	mark byte // of all its values; 0 where each has its own
	left int  // elements; -1 where a closing mark ends it
}

// enter steps into an array or object.
func (r *ubjReader) enter() (c ubjContainer, err error) {
	if r.depth++; r.depth > maxDepth {
		return c, r.fault("nested deeper than %d", maxDepth)
	}
	if err := r.spend(); err != nil {
		return c, err
	}
	c.left = -1
	if r.peek() == '$' {
		r.mark()
		c.mark = r.mark()
		if ubjWidth(c.mark) == 0 && strings.IndexByte("S[{", c.mark) < 0 {
			return c, r.fault("a container of %q cannot be read", c.mark)
		}
		if r.peek() != '#' {
			return c, r.fault("a container with a type has no length")
		}
	}
	if r.peek() == '#' {
		r.mark()
		c.left, err = r.length()
	}
	return c, err
}

// more reports whether another element follows, and takes the closing mark where none does.
func (r *ubjReader) more(c *ubjContainer, closing byte) bool {
	switch {
	case c.left > 0:
		c.left--
		return true
	case c.left < 0 && r.peek() != closing:
		return true
	case c.left < 0:
		r.mark()
	}
	r.depth--
	return false
}

// element reads the value of the next element.
func (r *ubjReader) element(c *ubjContainer) (any, error) {
	if c.mark != 0 {
		return r.value(c.mark)
	}
	return r.value(r.mark())
}

func (r *ubjReader) object() (any, error) {
	c, err := r.enter()
	if err != nil {
		return nil, err
	}
	members := map[string]any{}
	for r.more(&c, '}') {
		key, err := r.text()
		if err != nil {
			return nil, err
		}
		if _, twice := members[key]; twice {
			return nil, r.fault("%.40q is there twice", key)
		}
		if members[key], err = r.element(&c); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// array reads an array. It is one of numbers until something else turns up.
func (r *ubjReader) array() (any, error) {
	c, err := r.enter()
	if err != nil {
		return nil, err
	}
	if ubjWidth(c.mark) > 0 {
		return r.typedArray(c)
	}
	numbers, list := []float64{}, []any(nil)
	for r.more(&c, ']') {
		v, err := r.element(&c)
		if err != nil {
			return nil, err
		}
		if number, ok := v.(float64); ok && list == nil {
			numbers = append(numbers, number)
			continue
		}
		if list == nil {
			list = boxed(numbers)
		}
		if err := r.spend(); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if list != nil {
		return list, nil
	}
	return numbers, nil
}

// typedArray reads an array of numbers that have one mark in common.
func (r *ubjReader) typedArray(c ubjContainer) (any, error) {
	width := ubjWidth(c.mark)
	if c.left > len(r.data)/width {
		return nil, r.fault("%d elements are more than what follows", c.left)
	}
	b := r.take(c.left * width)
	numbers := make([]float64, c.left)
	for i := range numbers {
		numbers[i] = ubjNumber(c.mark, b[i*width:])
	}
	r.depth--
	return numbers, nil
}
