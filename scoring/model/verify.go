package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"recstream/schemas"
	"recstream/scoring/feature"
	"recstream/scoring/forest"
)

// Gate is what became of a model at one gate.
type Gate struct {
	Name    string
	Tried   bool   // false for those after a refusal
	Skipped bool   // it had nothing to look at; Found says why
	Found   string // what was found by a gate that let the model pass
	Err     error  // why it did not
}

// Verify puts the model at path, a bundle's directory or a plain file, through the gates and says what became
// of it at each, in their order. The error is a *LoadError: the refusal, which there is just where a gate has one.
func Verify(path string) (*Model, []Gate, error) {
	c := candidate{path: path, name: path, model: new(Model)}
	gates := fileGates
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		gates = bundleGates
	}
	m, err := c.pass(gates)
	return m, c.gates, err
}

// candidate is a model on its way through the gates.
type candidate struct {
	path     string
	name     string // for errors
	data     []byte // of the model file
	declared feature.Declaration
	rows     [][]float64 // made up to look at the model
	model    *Model
	gates    []Gate
}

// errSkipped is what a gate returns that has nothing to look at.
var errSkipped = errors.New("skipped")

// gate looks at a candidate, and says what it found.
type gate struct {
	name string
	look func(*candidate) (string, error)
}

// The gates, from the cheapest to the dearest: those of every model, and before them those of a bundle, or of a
// plain file.
var (
	modelGates = []gate{
		{"model file", (*candidate).parse},
		{"features", (*candidate).bindFeatures},
		{"golden rows", (*candidate).predictGolden},
		{"made-up rows", (*candidate).probe},
		{"evaluator", (*candidate).evaluate},
		{"second opinion", (*candidate).askAnother},
	}
	bundleGates = append([]gate{
		{"manifest", (*candidate).readManifest},
		{"checksum", (*candidate).compareDigest},
	}, modelGates...)
	fileGates = append([]gate{{"file", (*candidate).readPlain}}, modelGates...)
)

// pass takes the candidate through the gates up to the first that refuses it. The error is a *LoadError.
func (c *candidate) pass(gates []gate) (*Model, error) {
	c.gates = make([]Gate, len(gates))
	for i := range gates {
		c.gates[i].Name = gates[i].name
	}
	for i := range gates {
		g := &c.gates[i]
		g.Tried = true
		g.Found, g.Err = gates[i].look(c)
		if g.Skipped = errors.Is(g.Err, errSkipped); g.Skipped {
			g.Err = nil
		}
		if g.Err != nil {
			g.Found = ""
			return nil, &LoadError{Reason: reasonOf(g.Err), Name: c.name, Err: g.Err}
		}
	}
	return c.model, nil
}

// identify names the model of a plain file by its digest.
func (c *candidate) identify(name string) {
	digest := Digest(c.data)
	c.model.Ref = schemas.ModelRef{Name: name, Version: digest[:versionDigits], SHA256: digest}
}

func (c *candidate) readPlain() (found string, err error) {
	if c.data, err = readFile(c.path); err != nil {
		return "", err
	}
	base := filepath.Base(c.path)
	c.identify(strings.TrimSuffix(base, filepath.Ext(base)))
	c.declared = feature.Default()
	return fmt.Sprintf("%d bytes, SHA-256 %s", len(c.data), c.model.Ref.SHA256), nil
}

func (c *candidate) readManifest() (string, error) {
	text, err := readFile(filepath.Join(c.path, ManifestFile))
	if err != nil {
		return "", err
	}
	m, err := ParseManifest(text)
	if err != nil {
		return "", err
	}
	c.model.manifest, c.declared = m, feature.Declaration{Features: m.Features}
	c.model.Ref = schemas.ModelRef{Name: m.Name, Version: m.Version, SHA256: Digest(text)}
	c.name = m.Name + "@" + m.Version
	return c.name, nil
}

func (c *candidate) compareDigest() (found string, err error) {
	m := c.model.manifest
	if c.data, err = readFile(filepath.Join(c.path, m.File)); err != nil {
		return "", err
	}
	if digest := Digest(c.data); digest != m.SHA256 {
		return "", fmt.Errorf("%s has the SHA-256 %s, the manifest says %s", m.File, digest, m.SHA256)
	}
	return fmt.Sprintf("%s has the SHA-256 %s", m.File, m.SHA256), nil
}

func (c *candidate) parse() (found string, err error) {
	if c.model.forest, err = forest.Parse(c.data); err != nil {
		return "", err
	}
	f := c.model.forest
	found = fmt.Sprintf("%s, %d trees of up to %d leaves, %s", f.Format(), f.NumTrees(), f.MaxLeaves(), f.Objective())
	return found, c.model.checkForest()
}

func (c *candidate) bindFeatures() (found string, err error) {
	if c.model.features, err = feature.New(c.declared); err != nil {
		return "", &featureError{err.Error()}
	}
	names := c.model.features.Names()
	return fmt.Sprintf("%d, all can be made", len(names)), checkFeatures(c.model.forest, names)
}

func (c *candidate) predictGolden() (string, error) {
	if c.model.manifest == nil || len(c.model.manifest.Golden) == 0 {
		return "there are none", errSkipped
	}
	found := fmt.Sprintf("%d predicted as the manifest says, within %g", len(c.model.manifest.Golden), c.model.tolerance())
	return found, c.model.checkGolden()
}

func (c *candidate) probe() (string, error) {
	c.rows = c.model.probeRows()
	return fmt.Sprintf("%d scored: all finite, not all alike", len(c.rows)), c.model.checkProbes(c.rows)
}

func (c *candidate) evaluate() (string, error) {
	return fmt.Sprintf("scores %d rows alike", evaluated), c.model.checkEvaluator(c.rows[:evaluated])
}

func (c *candidate) askAnother() (found string, err error) {
	c.model.opinion, err = c.model.askLeaves(c.data, c.rows)
	if err == nil && c.model.opinion.Skipped != "" {
		err = errSkipped
	}
	return c.model.opinion.String(), err
}

// featureError is the one kind of refusal with a reason of its own.
type featureError struct{ detail string }

func (e *featureError) Error() string { return e.detail }

func reasonOf(err error) schemas.Reason {
	if _, ok := errors.AsType[*featureError](err); ok {
		return schemas.ReasonFeatureMismatch
	}
	if errors.Is(err, fs.ErrNotExist) {
		return schemas.ReasonModelMissing
	}
	return schemas.ReasonModelLoadFailed
}
