package model

import (
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
	"recstream/scoring/feature"
	"recstream/scoring/forest"
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
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return Open(path)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	base := filepath.Base(path)
	return Parse(strings.TrimSuffix(base, filepath.Ext(base)), data)
}

// Parse makes a model of a plain model file that wants the features of feature.Default. Its version is the
// first 12 digits of the file's SHA-256; a caller that has better names sets Ref before it shares the model.
// The error is a *LoadError.
func Parse(name string, data []byte) (*Model, error) {
	digest := Digest(data)
	m := &Model{Ref: schemas.ModelRef{Name: name, Version: digest[:versionDigits], SHA256: digest}}
	if err := m.pass(data, feature.Default()); err != nil {
		return nil, &LoadError{Reason: reasonOf(err), Name: name, Err: err}
	}
	return m, nil
}

// Open reads the bundle in the directory dir. The error is a *LoadError.
func Open(dir string) (*Model, error) {
	text, err := readFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, unreadable(dir, err)
	}
	manifest, err := ParseManifest(text)
	if err != nil {
		return nil, &LoadError{Reason: schemas.ReasonModelLoadFailed, Name: dir, Err: err}
	}
	data, err := readFile(filepath.Join(dir, manifest.File))
	if err != nil {
		return nil, unreadable(dir, err)
	}
	m := &Model{Ref: schemas.ModelRef{Name: manifest.Name, Version: manifest.Version, SHA256: manifest.SHA256}, manifest: manifest}
	if digest := Digest(data); digest != manifest.SHA256 {
		err = fmt.Errorf("%s has the SHA-256 %s, the manifest says %s", manifest.File, digest, manifest.SHA256)
	} else {
		err = m.pass(data, feature.Declaration{Features: manifest.Features})
	}
	if err != nil {
		return nil, &LoadError{Reason: reasonOf(err), Name: manifest.Name + "@" + manifest.Version, Err: err}
	}
	return m, nil
}

// pass parses the file and puts the model through the gates.
func (m *Model) pass(data []byte, declared feature.Declaration) (err error) {
	if m.forest, err = forest.Parse(data); err != nil {
		return err
	}
	if err := m.checkForest(); err != nil {
		return err
	}
	if m.features, err = feature.New(declared); err != nil {
		return &featureError{err.Error()}
	}
	if err := checkFeatures(m.forest, m.features.Names()); err != nil {
		return err
	}
	if err := m.checkGolden(); err != nil {
		return err
	}
	rows := m.probeRows()
	if err := m.checkProbes(rows); err != nil {
		return err
	}
	m.opinion, err = m.askLeaves(data, rows)
	return err
}

func unreadable(path string, err error) *LoadError {
	reason := schemas.ReasonModelLoadFailed
	if errors.Is(err, fs.ErrNotExist) {
		reason = schemas.ReasonModelMissing
	}
	return &LoadError{Reason: reason, Name: path, Err: err}
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

// featureError is the one kind of refusal with a reason of its own.
type featureError struct{ detail string }

func (e *featureError) Error() string { return e.detail }

func reasonOf(err error) schemas.Reason {
	if _, ok := errors.AsType[*featureError](err); ok {
		return schemas.ReasonFeatureMismatch
	}
	return schemas.ReasonModelLoadFailed
}
