package config

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// isSection tells a struct with keys of its own from one that is a value.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && t != timeType }

// decodeValue reports whether the node is a value of dst's type, and sets it. Nothing is converted: a number is no
// text, a fraction is no whole number, and what is infinite is no number.
func decodeValue(node ast.Node, dst reflect.Value) bool {
	switch {
	case dst.Type() == durationType:
		d, err := time.ParseDuration(textOf(node))
		dst.SetInt(int64(d))
		return err == nil
	case dst.Type() == timeType:
		t, ok := decodeTime(textOf(node))
		dst.Set(reflect.ValueOf(t))
		return ok
	case dst.Kind() == reflect.Pointer:
		value := reflect.New(dst.Type().Elem())
		dst.Set(value)
		return decodeValue(node, value.Elem())
	case dst.Kind() == reflect.Bool:
		b, ok := node.(*ast.BoolNode)
		dst.SetBool(ok && b.Value)
		return ok
	case dst.Kind() == reflect.Int:
		return decodeInt(node, dst)
	case dst.Kind() == reflect.Float64:
		f, ok := decodeFloat(node)
		dst.SetFloat(f)
		return ok
	default:
		dst.SetString(textOf(node))
		return isText(node)
	}
}

// decodeInt reads a whole number. One with a zero before it is refused: it would be octal.
func decodeInt(node ast.Node, dst reflect.Value) bool {
	n, ok := node.(*ast.IntegerNode)
	if !ok || n.Token.Type == token.OctetIntegerType {
		return false
	}
	switch value := n.Value.(type) {
	case int64:
		dst.SetInt(value)
	case uint64:
		if value > math.MaxInt {
			return false
		}
		dst.SetInt(int64(value))
	default:
		return false
	}
	return true
}

// number is what JSON takes for a number, and a sign or a point before it. The YAML library has no powers of ten
// without a point.
var number = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*|[0-9]*\.[0-9]+|[0-9]+\.)([eE][-+]?[0-9]+)?$`)

// decodeFloat reads a finite number, as it is written.
func decodeFloat(node ast.Node) (float64, bool) {
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode:
	default:
		return 0, false
	}
	t := node.GetToken()
	if !number.MatchString(t.Value) || t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
		return 0, false
	}
	f, err := strconv.ParseFloat(t.Value, 64)
	return f, err == nil
}

// decodeTime reads an RFC 3339 time, in UTC. The years are those that can be written again.
func decodeTime(text string) (time.Time, bool) {
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, false
	}
	t = t.UTC()
	return t, 1 <= t.Year() && t.Year() <= 9999
}

func isText(node ast.Node) bool {
	return node.Type() == ast.StringType || node.Type() == ast.LiteralType
}

// textOf is the text of a node, "" of one that is none.
func textOf(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return ""
}

// describe says in plain words what a value of the type looks like.
func describe(t reflect.Type) string {
	switch t {
	case durationType:
		return "a duration with its unit, such as 250ms, 20s or 48h"
	case timeType:
		return "a time with its zone, such as 2025-12-24T18:00:00Z"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a section with keys of its own"
	default:
		return "a text; numbers, true and false are put in quotes to be one"
	}
}
