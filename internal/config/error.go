package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a text.
type Problem struct {
	Where string `json:"where"`          // YAML path, such as kafka.brokers[0], or the name of a variable
	Text  string `json:"text"`           // what is wrong, and what is allowed
	File  string `json:"file,omitempty"` // where it stands, if it is known
	Line  int    `json:"line,omitempty"` // from 1; 0 is not known
}

// Error lists all mistakes of a configuration, in the order in which they stand there.
type Error struct {
	Subject  Subject
	Problems []Problem
}

// Subject is what has mistakes.
type Subject string

// The subjects.
const (
	Settings          Subject = "configuration"
	ScoringParameters Subject = "scoring parameters"
)

// Error returns the mistakes, one a line where there are several.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return string(e.Subject) + ": " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d mistakes", e.Subject, len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// String returns "where: text (file:line)".
func (p Problem) String() string {
	text := p.Where + ": " + p.Text
	if p.Line > 0 {
		text += fmt.Sprintf(" (%s:%d)", p.File, p.Line)
	}
	return text
}

// Limits of what is said of mistakes.
const (
	maxProblems = 50
	maxQuoted   = 80 // bytes of a text that is repeated
)

// atMost returns the first problems, with their quotations shortened, and says if there are more.
func atMost(limit int, problems []Problem) []Problem {
	if len(problems) > limit {
		problems = append(problems[:limit:limit], Problem{Where: "and more", Text: fmt.Sprintf("mend these %d first", limit)})
	}
	for i := range problems {
		problems[i].Text = quotation.ReplaceAllStringFunc(problems[i].Text, func(q string) string {
			return `"` + shortened(q[1:len(q)-1]) + `"`
		})
	}
	return problems
}

// quotation is what %q writes.
var quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// shortened cuts a text to maxQuoted bytes, between two characters.
func shortened(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// didYouMean returns "; did you mean NAME?" for the known name nearest to the given one,
// or nothing when none is near.
func didYouMean(name string, known []string) string {
	best, distance := "", len(name)/3+2
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's: the insertions, deletions and replacements of bytes from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
