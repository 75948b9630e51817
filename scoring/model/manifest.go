package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"recstream/scoring/feature"
)

// ManifestFile is the name of a bundle's manifest.
const ManifestFile = "manifest.yaml"

// Manifest says what a bundle holds. The yaml tags are its keys.
type Manifest struct {
	Name      string    `yaml:"name"`
	Version   string    `yaml:"version"`
	CreatedAt time.Time `yaml:"created_at,omitempty"`
	// File is the model file's name in the bundle, Format what wrote it, Objective as the file words it.
	File      string `yaml:"file"`
	Format    string `yaml:"format"`
	Objective string `yaml:"objective"`
	SHA256    string `yaml:"sha256"` // of the file, 64 hexadecimal digits
	// Features are the model's, in its order.
	Features []feature.Feature `yaml:"features"`
	Training *Training         `yaml:"training,omitempty"`
	// Profile is what the features and the predictions looked like in training.
	Profile *Profile `yaml:"profile,omitempty"`
	// Golden are rows with the predictions that the trainer has for them.
	Golden []Golden `yaml:"golden,omitempty"`
}

// Training says where the model comes from. Nothing depends on it.
type Training struct {
	From    string             `yaml:"from,omitempty"` // the data window
	To      string             `yaml:"to,omitempty"`
	Rows    int                `yaml:"rows,omitempty"`
	Metrics map[string]float64 `yaml:"metrics,omitempty"` // such as auc
	Source  string             `yaml:"source,omitempty"`  // such as an MLflow run
}

// Profile are histograms of a sample of the training data.
type Profile struct {
	Rows     int         `yaml:"rows"`
	Features []Histogram `yaml:"features"`
	Score    Histogram   `yaml:"score"` // of predictions
}

// Histogram counts values in bins: bin i holds Edges[i] ≤ v < Edges[i+1], the last one its upper edge too.
type Histogram struct {
	Name    string    `yaml:"name"`
	Missing int       `yaml:"missing,omitempty"` // how many were NaN
	Edges   []float64 `yaml:"edges,flow"`        // ascending, one more than Counts; a single one where all values are alike
	Counts  []int     `yaml:"counts,flow"`
}

// Golden is a row of features, NaN for a missing one, and what the model predicts for it.
type Golden struct {
	Row        []float64 `yaml:"row,flow"`
	Prediction float64   `yaml:"prediction"`
}

// The forms of names, versions and hashes. Names and versions are directories of a store.
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseManifest reads a manifest. It refuses keys that it does not know; an error names the key or the line.
func ParseManifest(text []byte) (*Manifest, error) {
	if err := checkYAML(text); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	m := new(Manifest)
	if err := yaml.UnmarshalWithOptions(text, m, yaml.DisallowUnknownField()); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, errors.New(yaml.FormatError(err, false, false)))
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	return m, nil
}

// Limits of a YAML file. The parser takes a hundred times the memory of a text, and the square of its nesting.
const (
	maxYAMLBytes   = 4 << 20
	maxYAMLNesting = 32
)

// checkYAML refuses a text that would take the parser too much. Brackets in texts count as well.
func checkYAML(text []byte) error {
	if len(text) > maxYAMLBytes {
		return fmt.Errorf("it is larger than %d bytes", maxYAMLBytes)
	}
	depth := 0
	for line := range bytes.Lines(text) {
		indent := len(line) - len(bytes.TrimLeft(line, " -?\t"))
		for _, b := range line {
			switch b {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxYAMLNesting || indent > 8*maxYAMLNesting {
				return fmt.Errorf("it nests deeper than %d", maxYAMLNesting)
			}
		}
	}
	return nil
}

// Encode returns the manifest as YAML.
func (m *Manifest) Encode() ([]byte, error) {
	return yaml.MarshalWithOptions(m, yaml.IndentSequence(true), yaml.CustomMarshaler[string](encodeText))
}

// plainText are texts that YAML reads as they are, unless they are one of its words.
var plainText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./ -]*$`)

// encodeText writes a text, which may be a feature's name of any characters, so that it is read as it was: the
// library's own way loses tabs and line ends. A JSON string is YAML, too.
func encodeText(s string) ([]byte, error) {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainText.MatchString(s) && strings.TrimSpace(s) == s {
			return []byte(s), nil
		}
	}
	return json.Marshal(s)
}

func (m *Manifest) validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !nameForm.MatchString(m.Name) {
		add("name: %q is not 1 to 128 letters, digits or ._+-", m.Name)
	}
	if !nameForm.MatchString(m.Version) {
		add("version: %q is not 1 to 128 letters, digits or ._+-", m.Version)
	}
	if m.File == "" || filepath.Base(m.File) != m.File || m.File == "." || m.File == ".." {
		add("file: %q is no name of a file in the bundle", m.File)
	}
	if !hashForm.MatchString(m.SHA256) {
		add("sha256: %q is not 64 hexadecimal digits", m.SHA256)
	}
	if len(m.Features) == 0 {
		add("features: there are none")
	}
	for i, g := range m.Golden {
		switch {
		case len(g.Row) != len(m.Features):
			add("golden[%d].row: %d values for %d features", i, len(g.Row), len(m.Features))
		case math.IsNaN(g.Prediction) || math.IsInf(g.Prediction, 0):
			add("golden[%d].prediction: %v", i, g.Prediction)
		}
	}
	if m.Profile != nil {
		if len(m.Profile.Features) != len(m.Features) {
			add("profile.features: %d histograms for %d features", len(m.Profile.Features), len(m.Features))
		}
		for i := range m.Profile.Features {
			if err := m.Profile.Features[i].validate(); err != nil {
				add("profile.features[%d]: %w", i, err)
			}
		}
		if err := m.Profile.Score.validate(); err != nil {
			add("profile.score: %w", err)
		}
	}
	return errors.Join(errs...)
}

func (h *Histogram) validate() error {
	if len(h.Edges) == 0 && len(h.Counts) == 0 { // all were missing
		return nil
	}
	if len(h.Edges) != len(h.Counts)+1 && !(len(h.Edges) == 1 && len(h.Counts) == 1) {
		return fmt.Errorf("%d edges for %d counts", len(h.Edges), len(h.Counts))
	}
	for i, c := range h.Counts {
		if c < 0 {
			return fmt.Errorf("counts[%d] is %d", i, c)
		}
	}
	for i, e := range h.Edges {
		if !isFinite(e) || i > 0 && e <= h.Edges[i-1] {
			return fmt.Errorf("edges[%d]: %v does not ascend", i, e)
		}
	}
	return nil
}

// isFinite is false for NaN and the infinities, whose difference from themselves is NaN.
func isFinite(v float64) bool { return v-v == 0 }
