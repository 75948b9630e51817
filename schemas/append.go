package schemas

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions below append pieces of JSON. A key is written as a constant with its comma, quotes and colon.

// appendText appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			dst, _ = jsontext.AppendQuote(dst, s) // its error says what the sentence above says
			return dst
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// appendOptionalText appends the key and s, or nothing if s is empty.
func appendOptionalText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendText(append(dst, key...), s)
}

// appendTexts appends list as an array of strings.
func appendTexts[S ~string](dst []byte, list []S) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, string(s))
	}
	return append(dst, ']')
}

// appendNumber appends the shortest number that reads back as f, null if f is not finite.
// The form is that of ECMAScript, which encoding/json writes too.
func appendNumber(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(f); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && dst[n-3] == '-' { // e-09 is to be e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendMillis appends d in milliseconds with three decimals, 0.000 if it is negative.
func appendMillis(dst []byte, d time.Duration) []byte {
	micros := max(0, d.Microseconds())
	dst = strconv.AppendInt(dst, micros/1000, 10)
	r := micros % 1000
	return append(dst, '.', byte('0'+r/100), byte('0'+r/10%10), byte('0'+r%10))
}

// timeLayout is RFC 3339 in UTC with microseconds.
const timeLayout = `"2006-01-02T15:04:05.000000Z"`

// appendTime appends t as a string.
func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// appendSource appends the key and the place in Kafka.
func appendSource(dst []byte, s Source) []byte {
	dst = appendText(append(dst, `,"source":{"topic":`...), s.Topic)
	dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(s.Partition), 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), s.Offset, 10)
	return append(dst, '}')
}
