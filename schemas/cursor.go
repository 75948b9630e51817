package schemas

import (
	"errors"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks a text that is known to be well-formed JSON in all but its strings' UTF-8.
// It therefore takes commas and colons for white space, and never looks for the end of the text.
type cursor struct {
	src string
	pos int
}

// rawText is a JSON string as it stands between its quotes.
type rawText struct {
	raw     string
	escaped bool // it has a backslash
	special bool // it has a byte that is not printable ASCII
}

// peek moves to the next token and returns its first byte.
func (c *cursor) peek() byte {
	for {
		switch b := c.src[c.pos]; b {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.pos++
		default:
			return b
		}
	}
}

// more reports whether an object or array has another entry. If not, it steps over the closing delimiter.
func (c *cursor) more() bool {
	if b := c.peek(); b != '}' && b != ']' {
		return true
	}
	c.pos++
	return false
}

// text reads the string that the cursor stands on.
func (c *cursor) text() rawText {
	var t rawText
	start := c.pos + 1
	i := start + plain(c.src[start:])
	for c.src[i] != '"' {
		switch b := c.src[i]; {
		case b == '\\':
			t.escaped = true
			i++ // what is escaped may be a quote
		case b >= utf8.RuneSelf-1: // DEL or not ASCII
			t.special = true
		}
		i++
	}
	c.pos = i + 1
	t.raw = c.src[start:i]
	return t
}

// plain returns how many bytes of s come before its first quote, backslash, DEL or byte that is not ASCII. It looks
// at whole words of 8 bytes only: most of an event is ids, and words find their ends faster than bytes do.
func plain(s string) (n int) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// x-ones borrows into a byte's high bit where x is zero there; above the first zero it may err, and
		// only the first counts.
		quote, backslash, del := w^(ones*'"'), w^(ones*'\\'), w^(ones*0x7f)
		found := (quote-ones)&^quote | (backslash-ones)&^backslash | (del-ones)&^del | w
		if found &= highs; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
		n += 8
	}
	return n
}

// scalar reads the number, true, false or null that the cursor stands on.
func (c *cursor) scalar() string {
	start := c.pos
	for c.pos < len(c.src) {
		switch c.src[c.pos] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return c.src[start:c.pos]
		}
		c.pos++
	}
	return c.src[start:]
}

// skip steps over any value and returns how deep objects and arrays are nested in it.
func (c *cursor) skip() (deepest int) {
	for depth := 0; ; {
		switch c.peek() {
		case '{', '[':
			c.pos++
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			c.pos++
			depth--
		case '"':
			c.text()
		default:
			c.scalar()
		}
		if depth == 0 {
			return deepest
		}
	}
}

// Errors of a text; each is the detail of a fault.
var (
	errNotUTF8       = errors.New("is not valid UTF-8")
	errHalfSurrogate = errors.New("has an escape that is half a surrogate pair")
	errControl       = errors.New("must have no control characters")
	errEmpty         = errors.New("must not be empty")
	errLong          = errors.New("must have at most 128 bytes of UTF-8")
)

// unquote returns what the string says. Without escapes it is a slice of the source.
func (t rawText) unquote() (string, error) {
	if t.special && !utf8.ValidString(t.raw) {
		return "", errNotUTF8
	}
	if !t.escaped {
		return t.raw, nil
	}
	b, err := jsontext.AppendUnquote(nil, `"`+t.raw+`"`)
	if err != nil {
		return "", errHalfSurrogate // the only fault that is left
	}
	return string(b), nil
}

// id returns what the string says if it can be an id: 1 to MaxIDBytes bytes without control characters.
// Databases cannot hold U+0000, and the others have no business in a log or on a terminal.
func (t rawText) id() (string, error) {
	s, err := t.unquote()
	switch {
	case err != nil:
		return "", err
	case s == "":
		return "", errEmpty
	case (t.special || t.escaped) && hasControl(s):
		return "", errControl
	case len(s) > MaxIDBytes:
		return "", errLong
	}
	return s, nil
}

// textCode is the code of an error that unquote or id returned.
func textCode(err error) string {
	switch {
	case errors.Is(err, errNotUTF8):
		return CodeInvalidUTF8
	case errors.Is(err, errLong):
		return CodeTooLong
	}
	return CodeInvalidText
}

func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}
