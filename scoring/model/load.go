package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"recstream/schemas"
	"recstream/scoring/feature"
)

// MaxFileBytes is the size that a model file may have.
const MaxFileBytes = 256 << 20

// versionDigits is how many digits of the file's SHA-256 stand for a version that nobody named.
const versionDigits = 12

// LoadError says why there is no model.
type LoadError struct {
	// Reason is ReasonModelMissing, ReasonModelLoadFailed or ReasonFeatureMismatch.
	Reason schemas.Reason
	Name   string // the model's name, or the path that was tried
	Err    error
}

// Error names the model, the reason and what was found.
func (e *LoadError) Error() string {
	return fmt.Sprintf("load model %s: %s: %v", e.Name, e.Reason, e.Err)
}

// Unwrap returns what was found.
func (e *LoadError) Unwrap() error { return e.Err }

// Load reads the model at path: a bundle's directory, or a plain file. The error is a *LoadError.
func Load(path string) (*Model, error) {
	m, _, err := Verify(path)
	return m, err
}

// Open reads the bundle in the directory dir. The error is a *LoadError.
func Open(dir string) (*Model, error) {
	c := candidate{path: dir, name: dir, model: new(Model)}
	return c.pass(bundleGates)
}

// Parse makes a model of a plain model file that wants the features of feature.Default. Its version is the
// first 12 digits of the file's SHA-256; a caller that has better names sets Ref before it shares the model.
// The error is a *LoadError.
func Parse(name string, data []byte) (*Model, error) {
	c := candidate{name: name, data: data, declared: feature.Default(), model: new(Model)}
	c.identify(name)
	return c.pass(modelGates)
}

// readFile reads the file as a whole, so that what is verified is what is hashed, even while another
// process writes it.
func readFile(path string) ([]byte, error) {
	// To open a pipe would be to wait for its writer, and a device has no end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, MaxFileBytes)
	}
	return text, nil
}

// Digest is the SHA-256 of a file, in hexadecimal.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
