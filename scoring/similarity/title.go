package similarity

import (
	"unicode"
	"unicode/utf8"
)

// folder reduces titles to what they are compared by, in a buffer of its own.
type folder struct {
	folded []byte
}

// title returns the letters, digits and marks of a title outside brackets, in lower case. Brackets are ignored like
// other punctuation where they are not in pairs, or where nothing is left: "[REC]" is rec. The result is valid
// until the next call, and empty for a title that has none of these.
func (f *folder) title(title string) []byte {
	if depth := f.keep(title, true); depth != 0 || len(f.folded) == 0 {
		f.keep(title, false)
	}
	return f.folded
}

// keep fills the buffer, without what stands in brackets if they are to be left out. It returns how many brackets
// stay open, or -1 where one closes that was not open.
func (f *folder) keep(title string, leaveOut bool) (depth int) {
	f.folded = f.folded[:0]
	for _, c := range title {
		switch {
		case leaveOut && (c == '(' || c == '[' || c == '{'):
			depth++
		case leaveOut && (c == ')' || c == ']' || c == '}'):
			if depth--; depth < 0 {
				return depth
			}
		case depth == 0 && (unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)):
			f.folded = utf8.AppendRune(f.folded, unicode.ToLower(c))
		}
	}
	return depth
}
