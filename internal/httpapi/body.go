package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"recstream/schemas"
)

// readBody returns a request's body, which has to be JSON of at most schemas.MaxMessageBytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != schemas.ContentTypeJSON {
		w.Header().Set("Accept", schemas.ContentTypeJSON)
		return nil, problem(CodeUnsupportedMedia, "send the event as application/json, and say so in Content-Type")
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, problem(CodeUnsupportedMedia, "send the event without a Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, schemas.MaxMessageBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge(fmt.Sprintf("the body has more than %d bytes", schemas.MaxMessageBytes))
	case isTimeout(err):
		w.Header().Set("Connection", "close")
		return nil, problem(CodeTimeout, "the body did not arrive in time")
	case err != nil:
		w.Header().Set("Connection", "close")
		return nil, refusal(&schemas.DecodeError{Code: schemas.CodeInvalidJSON, Detail: "the body was cut off"})
	}
	return body, nil
}

// decodeRequest reads the request event in a body. One without a request id gets a new one; then event is not the
// body's bytes. A request id that cannot stand in the path of its look-up is refused.
func decodeRequest(body []byte) (event []byte, req *schemas.Request, given bool, err error) {
	req = new(schemas.Request)
	err = schemas.DecodeRequest(body, req)
	var refused *schemas.DecodeError
	if errors.As(err, &refused) && refused.Code == schemas.CodeMissingField && refused.Field == "request_id" {
		body = withRequestID(body, newUUID())
		err = schemas.DecodeRequest(body, req)
		return body, req, false, asRefusal(err)
	}
	if err == nil && (req.RequestID == "." || req.RequestID == "..") {
		err = &schemas.DecodeError{Code: schemas.CodeInvalidText, Field: "request_id",
			Detail: "must not be . or .., which clients take out of a path, escaped or not; choose another id"}
	}
	return body, req, true, asRefusal(err)
}

// asRefusal makes a problem of the error of a decoder; nil stays nil.
func asRefusal(err error) error {
	var refused *schemas.DecodeError
	if errors.As(err, &refused) {
		return refusal(refused)
	}
	return err
}

// withRequestID returns the event, a JSON object without a request id or with one that is null, with that id.
func withRequestID(event []byte, id string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"request_id":"%s"`, id)
	in := jsontext.NewDecoder(bytes.NewReader(event), jsontext.AllowDuplicateNames(true))
	_, err := in.ReadToken() // the object's beginning
	for err == nil && in.PeekKind() == jsontext.KindString {
		var name, value jsontext.Value
		if name, err = in.ReadValue(); err != nil {
			break
		}
		name = name.Clone()
		if value, err = in.ReadValue(); err == nil && !(isName(name, "request_id") && string(value) == "null") {
			fmt.Fprintf(&out, ",%s:%s", name, value)
		}
	}
	out.WriteByte('}')
	return out.Bytes()
}

// isName reports whether a quoted name is that one, however it is escaped.
func isName(quoted jsontext.Value, name string) bool {
	plain, err := jsontext.AppendUnquote(nil, quoted)
	return err == nil && string(plain) == name
}

// newUUID returns a random UUID, version 4 of RFC 9562.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: the program would be ended instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
