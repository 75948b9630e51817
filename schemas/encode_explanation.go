package schemas

import (
	"math"
	"unicode/utf8"
)

// The bounds of an explanation in a result. With them the explanation of an item takes 8 kB at the most, whatever
// names a model's trainer chose, so that one of MaxLimit items stays below the 1 MB (1,048,576 bytes) that Kafka
// takes of one record. The ledger keeps explanations whole.
const (
	MaxContributions   = 16  // of one item; the strongest are first
	MaxExplanationText = 160 // of a reason, a feature's name and a label each, in bytes as JSON between the quotes
)

// appendExplanation appends why an item was recommended, with the keys.
func appendExplanation(dst []byte, terms *Terms, x *ItemExplanation) []byte {
	dst = appendOptionalText(dst, `,"reason":`, cutText(x.Reason, MaxExplanationText))
	dst = appendTerms(append(dst, `,"explanation":{"terms":`...), terms)
	if n := min(len(x.Contributions), MaxContributions); n > 0 {
		dst = appendContributions(append(dst, `,"contributions":`...), x.Contributions[:n])
	}
	return append(dst, '}')
}

// appendTerms appends the base, and the other terms that are not 0, by name.
func appendTerms(dst []byte, terms *Terms) []byte {
	dst = append(dst, '{')
	for i, v := range terms {
		if i != TermBase && v == 0 {
			continue
		}
		if i != TermBase {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), TermNames[i]...), '"', ':')
		dst = appendNumber(dst, v)
	}
	return append(dst, '}')
}

func appendContributions(dst []byte, list []Contribution) []byte {
	dst = append(dst, '[')
	for i := range list {
		c := &list[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		value := math.NaN() // becomes null
		if c.Value != nil {
			value = *c.Value
		}
		dst = appendCutText(append(dst, `{"feature":`...), c.Feature)
		dst = appendCutText(append(dst, `,"label":`...), c.Label)
		dst = appendNumber(append(dst, `,"value":`...), value)
		dst = appendNumber(append(dst, `,"contribution":`...), c.Contribution)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendCutText appends as much of s as MaxExplanationText allows, as a JSON string.
func appendCutText(dst []byte, s string) []byte {
	return appendText(dst, cutText(s, MaxExplanationText))
}

// cutText returns the longest start of s that ends with a character and takes at most that many bytes as JSON.
func cutText(s string, limit int) string {
	if 6*len(s) <= limit { // no byte takes more than six: \u001b
		return s
	}
	for at, r := range s {
		if limit -= jsonBytes(r); limit < 0 {
			return s[:at]
		}
	}
	return s
}

// jsonBytes is how many bytes a character takes at the most in a JSON string.
func jsonBytes(r rune) int {
	switch {
	case r < ' ':
		return len(`\u001b`)
	case r == '"' || r == '\\':
		return len(`\"`)
	}
	return utf8.RuneLen(r) // a byte that is not UTF-8 is read as U+FFFD, and written so
}
