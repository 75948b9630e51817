package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a YAML text. The parser takes a hundred times the memory of a text, and the square of its nesting.
const (
	maxBytes   = 1 << 20
	maxNesting = 32
	maxIndent  = 8 * maxNesting // columns
)

// document parses a text that holds one YAML document, and returns nil for one that holds nothing. Keys that are
// there twice are left to the decoder, which knows their paths.
func document(file string, text []byte) (ast.Node, *Problem) {
	if len(text) > maxBytes {
		return nil, &Problem{Where: file, Text: fmt.Sprintf("is larger than %d bytes", maxBytes)}
	}
	tokens := lexer.Tokenize(string(text))
	if deep := tooDeep(tokens); deep != nil {
		return nil, &Problem{file, fmt.Sprintf("nests deeper than %d", maxNesting), file, deep.Position.Line}
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

// syntaxProblem places an error of the parser.
func syntaxProblem(file string, err error) *Problem {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return &Problem{Where: fmt.Sprintf("%s:%d", file, at.GetToken().Position.Line), Text: at.GetMessage()}
	}
	return &Problem{Where: file, Text: "is no YAML"}
}
