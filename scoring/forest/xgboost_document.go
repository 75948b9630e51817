package forest

import (
	"math"
	"strconv"
)

// maxDepth is how deep an XGBoost document may nest. Models nest to nine.
const maxDepth = 32

// maxValues is how many objects, arrays and elements of mixed arrays a document may have: what takes many times the
// memory of its bytes. A forest of a hundred thousand trees has two million.
const maxValues = 1 << 22

// object is an object of an XGBoost document. The values of its members are
//
//	map[string]any   an object
//	[]float64        an array of numbers, or an empty one
//	[]any            any other array
//	string, float64  a text; a number, also 1 for true and 0 for false
//	nil              null
type object struct {
	path    string // of the way to here, "" or "learner."
	members map[string]any
}

func (o object) has(key string) bool { return o.members[key] != nil }

// fault is an Error of a member.
func (o object) fault(key, format string, args ...any) *Error {
	return fault(o.path+key, format, args...)
}

func (o object) missing(key, kind string) *Error {
	if !o.has(key) {
		return o.fault(key, "it is missing")
	}
	return o.fault(key, "it is no %s", kind)
}

func (o object) object(key string) (object, error) {
	members, ok := o.members[key].(map[string]any)
	if !ok {
		return object{}, o.missing(key, "object")
	}
	return object{path: o.path + key + ".", members: members}, nil
}

func (o object) text(key string) (string, error) {
	text, ok := o.members[key].(string)
	if !ok {
		return "", o.missing(key, "text")
	}
	return text, nil
}

func (o object) numbers(key string) ([]float64, error) {
	numbers, ok := o.members[key].([]float64)
	if !ok {
		return nil, o.missing(key, "array of numbers")
	}
	return numbers, nil
}

// list returns an array of anything but numbers.
func (o object) list(key string) ([]any, error) {
	if numbers, ok := o.members[key].([]float64); ok && len(numbers) == 0 {
		return nil, nil
	}
	list, ok := o.members[key].([]any)
	if !ok {
		return nil, o.missing(key, "array of texts or objects")
	}
	return list, nil
}

// count returns a whole number from 0 to most; XGBoost writes most of them as texts.
func (o object) count(key string, most int) (int, error) {
	var number float64
	switch v := o.members[key].(type) {
	case float64:
		number = v
	case string:
		parsed, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, o.fault(key, "%.40q is no whole number", v)
		}
		number = float64(parsed)
	default:
		return 0, o.missing(key, "number")
	}
	if !(number >= 0 && number <= float64(most) && number == math.Trunc(number)) {
		return 0, o.fault(key, "%v is not from 0 to %d", number, most)
	}
	return int(number), nil
}
