package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// salvage reads a text that is not well-formed up to where it breaks. It returns the first fault of form,
// and puts what valid ids stand before the break into ids.
func salvage(value []byte, ids ids) *DecodeError {
	s := salvager{Decoder: jsontext.NewDecoder(bytes.NewBuffer(value), lax...), ids: ids}
	for s.step() {
	}
	if rest := bytes.TrimLeft(value[s.InputOffset():], " \t\r\n"); s.ended && len(rest) > 0 {
		s.fail(CodeTrailingData, fmt.Sprintf("%d bytes follow the JSON value; send one event a message", len(rest)))
	}
	return s.fault
}

// salvager reads token by token, since jsontext alone knows where the text breaks.
type salvager struct {
	*jsontext.Decoder
	ids
	target *string // where the value of the top-level field being read belongs; nil if it is no id
	ended  bool    // the first JSON value is complete
	fault  *DecodeError
}

func (s *salvager) fail(code, detail string) {
	if s.fault == nil {
		s.fault = &DecodeError{Code: code, Detail: detail}
	}
}

// step reads one token; it returns false where the text ends or breaks.
func (s *salvager) step() bool {
	named := s.atName()
	var err error
	if s.PeekKind() == jsontext.KindString {
		err = s.text(named)
	} else {
		_, err = s.ReadToken()
	}
	if err != nil {
		s.fail(CodeInvalidJSON, fmt.Sprintf("is not JSON, or is cut off, after byte %d", s.InputOffset()))
		return false
	}
	if s.StackDepth() > MaxNesting {
		s.fail(CodeNestingTooDeep, fmt.Sprintf("objects and arrays are nested deeper than %d", MaxNesting))
	}
	s.ended = s.StackDepth() == 0
	return !s.ended
}

// atName reports whether the next token is the name of a top-level field.
func (s *salvager) atName() bool {
	kind, length := s.StackIndex(s.StackDepth())
	return s.StackDepth() == 1 && kind == jsontext.KindBeginObject && length%2 == 0
}

// text reads a string: a name, an id or any other.
func (s *salvager) text(named bool) error {
	value, err := s.ReadValue()
	if err != nil {
		return err
	}
	c := cursor{src: string(value)}
	t := c.text()
	text, err := t.unquote()
	if errors.Is(err, errNotUTF8) {
		s.fail(CodeInvalidUTF8, "a string "+err.Error())
	}
	switch {
	case named:
		s.target = s.take(text)
	case s.StackDepth() == 1:
		s.keep(t)
	}
	return nil
}

// take returns where the value of that field belongs, nil if it is no id or is there for the second time.
func (s *salvager) take(name string) (target *string) {
	switch name {
	case "request_id":
		target, s.ids.request = s.ids.request, nil
	case "user_id":
		target, s.ids.user = s.ids.user, nil
	}
	return target
}

// keep stores the value of a top-level field if that field is an id and the value is valid.
func (s *salvager) keep(t rawText) {
	if id, err := t.id(); err == nil && s.target != nil {
		*s.target = strings.Clone(id)
	}
}

func tooLargeDetail(size int) string {
	return fmt.Sprintf("the value has %d bytes; at most %d are taken", size, MaxMessageBytes)
}
