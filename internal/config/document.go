package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a YAML text. The parser takes a hundred times the memory of a text, and the square of its nesting
// and of the keys of a section.
const (
	maxBytes   = 256 << 10
	maxNesting = 32
	maxIndent  = 8 * maxNesting // columns
	maxKeys    = 256            // of a section that is written in lines
)

// readFile returns the text of the file at path, no more of it than shows that it is too large. What is no regular file
// is refused: to read a pipe is to wait for whoever writes.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // or the opening would wait already
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file; name one", path)
	}
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// document parses a text that holds one YAML document, and returns nil for one that holds nothing. Keys that are
// there twice are left to the decoder, which knows their paths.
func document(file string, text []byte) (ast.Node, *Problem) {
	if len(text) > maxBytes {
		return nil, &Problem{Where: file, Text: fmt.Sprintf("is larger than %d bytes", maxBytes)}
	}
	if line := notText(text); line > 0 {
		return nil, &Problem{file, "has a byte that is no text in UTF-8; save the file as UTF-8", file, line}
	}
	tokens := lexer.Tokenize(string(text))
	if deep := tooDeep(tokens); deep != nil {
		return nil, &Problem{file, fmt.Sprintf("nests deeper than %d", maxNesting), file, deep.Position.Line}
	}
	if many := tooMany(tokens); many != nil {
		return nil, &Problem{file, fmt.Sprintf("has more than %d keys in one section", maxKeys), file, many.Position.Line}
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	switch {
	case err != nil:
		return nil, syntaxProblem(file, err)
	case len(doc.Docs) > 1:
		return nil, &Problem{Where: file, Text: "holds several YAML documents; one is allowed"}
	case len(doc.Docs) == 0:
		return nil, nil
	}
	return doc.Docs[0].Body, nil
}

// notText returns the first line that is not UTF-8 or has a NUL, which Postgres keeps in no text; 0 is none.
func notText(text []byte) int {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
			return number
		}
	}
	return 0
}

// tooDeep returns a token that stands deeper than is allowed: in brackets, or by its indentation.
func tooDeep(tokens token.Tokens) *token.Token {
	depth, line := 0, 0
	for _, t := range tokens {
		opens := t.Position.Line != line || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType
		line = t.Position.Line
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.CommentType:
			continue
		default:
		}
		if depth > maxNesting || opens && depth == 0 && t.Position.Column > maxIndent {
			return t
		}
	}
	return nil
}

// tooMany returns the first token of a line with which a section has more keys than are allowed. The lines of a section
// begin in one column, and none between them begins before it.
func tooMany(tokens token.Tokens) *token.Token {
	var keys [maxIndent + 1]int // by column, of the sections that are open
	depth, line, last := 0, 0, 0
	for _, t := range tokens {
		begins, column := t.Position.Line != line, t.Position.Column
		line = t.Position.Line
		if begins && depth == 0 && t.Type != token.CommentType && column <= maxIndent {
			for ; last > column; last-- {
				keys[last] = 0
			}
			last = column
			if t.Type != token.SequenceEntryType {
				keys[column]++
			}
			if keys[column] > maxKeys {
				return t
			}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		default:
		}
	}
	return nil
}

// syntaxProblem places an error of the parser.
func syntaxProblem(file string, err error) *Problem {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return &Problem{Where: fmt.Sprintf("%s:%d", file, at.GetToken().Position.Line), Text: at.GetMessage()}
	}
	return &Problem{Where: file, Text: "is no YAML"}
}
