package proxy

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// Codes in a first message, which has no type byte: length (4), code (4), the rest.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	cancelCode = 80877102
	sslCode    = 80877103
	gssCode    = 80877104
)

// postgresCodec reads the messages of the frontend/backend protocol: a type byte, four bytes of length
// that count themselves, the body. It knows what an Execute runs from the Parse and Bind before it,
// and which ReadyForQuery ends the answer to a message by counting those that are due.
type postgresCodec struct {
	statements map[string]string // SQL by name; the client's reader alone uses it
	portals    map[string]string // likewise

	mu       sync.Mutex
	started  bool // the startup message was seen
	asking   bool // one byte answers whether the connection may be encrypted
	opaque   bool // it is encrypted
	extended bool // the last request belongs to a series that a Sync ends
	due      int  // ReadyForQuery that the client's messages have asked for
	done     int  // of those, how many have come
	awaited  int  // the one that ends the awaited answer; 0 is none
}

func newPostgresCodec() *postgresCodec {
	return &postgresCodec{statements: map[string]string{}, portals: map[string]string{}}
}

func (p *postgresCodec) length(d Direction, b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.opaque:
		return len(b)
	case d == ToClient && p.asking:
		return min(len(b), 1)
	case d == ToServer && !p.started:
		if len(b) < 8 {
			return 0
		}
		return max(8, int(binary.BigEndian.Uint32(b)))
	case len(b) < 5:
		return 0
	}
	return 1 + max(4, int(binary.BigEndian.Uint32(b[1:])))
}

func (p *postgresCodec) request(b []byte) Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.opaque:
		return Message{API: -1, Bytes: b}
	case !p.started:
		p.start(binary.BigEndian.Uint32(b[4:]))
		return Message{API: -1, Bytes: b}
	}
	m := Message{API: -1, Type: b[0], Bytes: b}
	m.Text = p.sql(m.Type, b[5:])
	p.extended = m.Type != 'Q' && m.Type != 'S' && m.Type != 'F' // Query, Sync, FunctionCall
	if !p.extended {
		p.due++
	}
	return m
}

// start takes note of a message that has no type.
func (p *postgresCodec) start(code uint32) {
	switch code {
	case sslCode, gssCode:
		p.asking = true
	case cancelCode:
	default: // of protocol 3, in whatever minor version
		p.started = true
		p.due++ // the end of the login
	}
}

// sql returns the text that the message runs or prepares, if it is one that does.
func (p *postgresCodec) sql(kind byte, body []byte) string {
	switch kind {
	case 'Q':
		text, _ := cString(body)
		return text
	case 'P': // Parse: name, text
		name, rest := cString(body)
		text, _ := cString(rest)
		p.statements[name] = text
		return text
	case 'B': // Bind: portal, name
		portal, rest := cString(body)
		name, _ := cString(rest)
		p.portals[portal] = p.statements[name]
	case 'E':
		portal, _ := cString(body)
		return p.portals[portal]
	}
	return ""
}

// cString returns the text up to the zero byte, and what follows it.
func cString(b []byte) (string, []byte) {
	text, rest, _ := bytes.Cut(b, []byte{0})
	return string(text), rest
}

func (p *postgresCodec) await([]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = p.due
	if p.extended {
		p.awaited++ // its Sync is still to come
	}
}

func (p *postgresCodec) response(b []byte) (deliver, awaited bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking {
		p.asking, p.opaque = false, b[0] != 'N'
		return true, false
	}
	if !p.opaque && b[0] == 'Z' {
		p.done++
		awaited = p.done == p.awaited
	}
	return p.awaited == 0, awaited
}
