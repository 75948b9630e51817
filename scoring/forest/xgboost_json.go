package forest

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

func parseXGBoostJSON(data []byte) (*Forest, error) {
	document, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	return buildXGBoost(document)
}

// readJSON reads a document; object says how its values are held.
func readJSON(data []byte) (any, error) {
	r := jsonReader{data: data}
	v, err := r.value()
	if err == nil && r.peek() != 0 {
		err = r.fault("the document has ended, but the file goes on")
	}
	return v, err
}

// jsonReader reads JSON as XGBoost writes it: with NaN, Infinity and -Infinity, which are no JSON; a number
// with a point or an exponent is the nearest float32. It takes memory in proportion to the text.
type jsonReader struct {
	data  []byte
	at    int
	depth int
	spent int // of maxValues
}

// spend counts a value.
func (r *jsonReader) spend() error {
	if r.spent++; r.spent > maxValues {
		return r.fault("more than %d objects, arrays and mixed elements", maxValues)
	}
	return nil
}

// fault is an Error at the place of reading.
func (r *jsonReader) fault(format string, args ...any) *Error {
	return fault("", "byte %d: "+format, append([]any{r.at}, args...)...)
}

// peek skips white space and returns the next byte; 0 at the end.
func (r *jsonReader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case ' ', '\t', '\r', '\n':
		case 0:
			return 0xff // no byte of JSON, and not the end either
		default:
			return r.data[r.at]
		}
	}
	return 0
}

// next steps over the byte c, and reports whether it was there.
func (r *jsonReader) next(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *jsonReader) value() (any, error) {
	switch r.peek() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.text()
	case 'n':
		if r.word("null") {
			return nil, nil
		}
	}
	return r.number()
}

// enter steps into an object or an array.
func (r *jsonReader) enter() error {
	r.at++
	if r.depth++; r.depth > maxDepth {
		return r.fault("nested deeper than %d", maxDepth)
	}
	return r.spend()
}

func (r *jsonReader) object() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	members := map[string]any{}
	for first := true; !r.next('}'); first = false {
		if !first && !r.next(',') {
			return nil, r.fault("an object goes on without a comma, or does not end")
		}
		if r.peek() != '"' {
			return nil, r.fault("a member has no name")
		}
		key, err := r.text()
		if err != nil {
			return nil, err
		}
		if _, twice := members[key]; twice {
			return nil, r.fault("%.40q is there twice", key)
		}
		if !r.next(':') {
			return nil, r.fault("a member has no value")
		}
		if members[key], err = r.value(); err != nil {
			return nil, err
		}
	}
	r.depth--
	return members, nil
}

// array reads an array. It is one of numbers until something else turns up.
func (r *jsonReader) array() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	numbers, list := []float64{}, []any(nil)
	for first := true; !r.next(']'); first = false {
		if !first && !r.next(',') {
			return nil, r.fault("an array goes on without a comma, or does not end")
		}
		if list == nil && !strings.ContainsRune(`{["n`, rune(r.peek())) {
			number, err := r.number()
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, number)
			continue
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = boxed(numbers)
		}
		if err := r.spend(); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	r.depth--
	if list != nil {
		return list, nil
	}
	return numbers, nil
}

// boxed returns numbers as the beginning of a list of anything; it is never nil.
func boxed(numbers []float64) []any {
	list := make([]any, len(numbers), len(numbers)+1)
	for i, n := range numbers {
		list[i] = n
	}
	return list
}

// text reads a string.
func (r *jsonReader) text() (string, error) {
	start := r.at
	for i := start + 1; i < len(r.data); i++ {
		switch r.data[i] {
		case '\\':
			i++
		case '"':
			r.at = i + 1
			return r.unquote(r.data[start:r.at])
		}
	}
	return "", r.fault("a text does not end")
}

func (r *jsonReader) unquote(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		plain := quoted[1 : len(quoted)-1]
		if !utf8.Valid(plain) {
			return "", r.fault("a text is not in UTF-8")
		}
		return string(plain), nil
	}
	plain, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", r.fault("a text: %w", err)
	}
	return string(plain), nil
}

// word steps over a word, and reports whether it was there.
func (r *jsonReader) word(w string) bool {
	if !bytes.HasPrefix(r.data[r.at:], []byte(w)) {
		return false
	}
	r.at += len(w)
	return true
}

// jsonWords are the numbers that have names.
var jsonWords = []struct {
	word   string
	number float64
}{{"true", 1}, {"false", 0}, {"NaN", math.NaN()}, {"Infinity", math.Inf(1)}, {"-Infinity", math.Inf(-1)}}

// number reads a number or one of jsonWords.
func (r *jsonReader) number() (float64, error) {
	r.peek()
	start := r.at
	for r.at < len(r.data) && strings.IndexByte("+-0123456789.eE", r.data[r.at]) >= 0 {
		r.at++
	}
	token := r.data[start:r.at]
	bits := 64
	if bytes.ContainsAny(token, ".eE") {
		bits = 32
	}
	if number, err := strconv.ParseFloat(string(token), bits); err == nil {
		return number, nil
	}
	r.at = start
	for _, w := range jsonWords {
		if r.word(w.word) {
			return w.number, nil
		}
	}
	return 0, r.fault("no value is here, or none that can be used")
}
