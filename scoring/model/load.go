package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"recstream/schemas"
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

// Load reads the model file at path. Its name is the file's, without directory and extension. The error is
// a *LoadError.
func Load(path string) (*Model, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &LoadError{Reason: schemas.ReasonModelMissing, Name: path, Err: err}
	}
	if err != nil {
		return nil, &LoadError{Reason: schemas.ReasonModelLoadFailed, Name: path, Err: err}
	}
	base := filepath.Base(path)
	return Parse(strings.TrimSuffix(base, filepath.Ext(base)), text)
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
		return nil, errors.New("is no regular file")
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
		return nil, fmt.Errorf("the file is larger than %d bytes", MaxFileBytes)
	}
	return text, nil
}

// Parse makes a model of the text of a model file. Its version is the first 12 digits of the text's SHA-256;
// a caller that has better names sets Ref before it shares the model. The error is a *LoadError.
func Parse(name string, text []byte) (*Model, error) {
	m, err := parse(text)
	if err != nil {
		return nil, &LoadError{Reason: reasonOf(err), Name: name, Err: err}
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	m.Ref = schemas.ModelRef{Name: name, Version: digest[:versionDigits], SHA256: digest}
	return m, nil
}

// parse goes from the cheapest check to the dearest: text, evaluator, predictions.
func parse(text []byte) (*Model, error) {
	f, err := parseFile(string(text))
	if err != nil {
		return nil, err
	}
	ensemble, err := evaluator(f)
	if err != nil {
		return nil, err
	}
	m := &Model{ensemble: ensemble, sigmoid: f.sigmoid, trees: len(f.trees)}
	if err := probe(m); err != nil {
		return nil, err
	}
	return m, nil
}

// featureError is the one kind of refusal with a reason of its own.
type featureError struct{ detail string }

func (e *featureError) Error() string { return e.detail }

func reasonOf(err error) schemas.Reason {
	if _, ok := errors.AsType[*featureError](err); ok {
		return schemas.ReasonFeatureMismatch
	}
	return schemas.ReasonModelLoadFailed
}

// verifiedText writes, in the format that leaves reads, what parseFile has verified and nothing else. It
// says v3 whatever the file's version was: the trees are written alike since then.
func verifiedText(f *file) *bytes.Buffer {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=%d\n", maxFeature)
	// leaves takes nothing from the sizes but how many there are.
	fmt.Fprintf(b, "tree_sizes=1%s\n\n", strings.Repeat(" 1", len(f.trees)-1))
	for i := range f.trees {
		f.trees[i].write(b)
	}
	return b
}
