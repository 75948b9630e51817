package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Bytes are bytes of a record; nil is null. In JSON they are a string where they are UTF-8, so that a kept history can
// be read, and {"base64": …} where they are not.
type Bytes []byte

// encoded is the form of bytes that are not text.
type encoded struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	}
	return json.Marshal(encoded{b})
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case 'n':
		*b = nil
		return nil
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*b = Bytes(s)
		return err
	}
	var e encoded
	err := json.Unmarshal(text, &e)
	*b = e.Base64
	return err
}

// equal tells null from empty.
func (b Bytes) equal(c Bytes) bool { return (b == nil) == (c == nil) && bytes.Equal(b, c) }

// shownBytes is how much of a value a violation shows.
const shownBytes = 300

// String returns the bytes quoted and cut, or null.
func (b Bytes) String() string {
	switch {
	case b == nil:
		return "null"
	case len(b) > shownBytes:
		return fmt.Sprintf("%q... (%d bytes)", []byte(b[:shownBytes]), len(b))
	}
	return fmt.Sprintf("%q", []byte(b))
}

// DigestOf returns the first 128 bits of the value's SHA-256 in hexadecimal.
func DigestOf(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:16])
}
