package model

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"recstream/scoring/feature"
	"recstream/scoring/forest"
)

// Spec says what a bundle is made of.
type Spec struct {
	Name, Version string
	CreatedAt     time.Time
	Source        string              // a model file, or an MLflow model's directory
	Features      feature.Declaration // the model's, in its order
	Sample        Sample
	Training      Training // its Source is completed by an MLflow run
}

// Sample is a sample of the data that a model was trained on.
type Sample struct {
	Rows        [][]float64 // features in the declared order: finite values, or NaN for missing ones
	Predictions []float64   // the trainer's, one a row; nil where they are not known
}

// Built is a bundle that Build has put into a store.
type Built struct {
	Model *Model
	Dir   string
	// Compared is how many predictions of the trainer are the model's too, within Tolerance. 0 says that the
	// sample had none: the golden rows then have the model's own, and do not tell whether it was read rightly.
	Compared  int
	Tolerance float64 // relative to 1+|prediction|, like Worst
	Worst     float64 // the largest difference
}

// predictionName is what a profile calls its histogram of predictions.
const predictionName = "prediction"

// ErrExists says that a store has that version already.
var ErrExists = errors.New("this version is in the store already; versions are never changed, so choose another")

// Build makes a bundle and puts it into the store, whole and after it has passed all gates, or not at all. A
// sample with predictions is compared with the model's own, row by row, and a difference refuses the bundle.
// The error is ErrExists where the store has the version, a *LoadError where a gate refuses the model, and a
// *RowError where it is a row of the sample that is at fault.
func (s Store) Build(spec Spec) (*Built, error) {
	label := spec.Name + "@" + spec.Version
	if !nameForm.MatchString(spec.Name) || !nameForm.MatchString(spec.Version) {
		return nil, fmt.Errorf("%q: name and version are each 1 to 128 letters, digits or ._+-, the first a letter or a digit", label)
	}
	dir := s.Path(spec.Name, spec.Version)
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%s: %w", label, ErrExists)
	}
	source, err := ReadSource(spec.Source)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	for name, value := range spec.Training.Metrics {
		if !isFinite(value) {
			return nil, fmt.Errorf("metric %s: %v is no finite number", name, value)
		}
	}
	if spec.Training.Source == "" && source.Run != "" {
		spec.Training.Source = "MLflow run " + source.Run
	}
	c := candidate{name: label, data: source.Data, declared: spec.Features, model: new(Model)}
	m, err := c.pass(modelGates)
	if err != nil {
		return nil, err
	}
	built := &Built{Dir: dir, Tolerance: m.tolerance()}
	manifest, err := built.describe(m, &spec, source.Data)
	if err != nil {
		return nil, err
	}
	if built.Model, err = s.put(manifest, source.Data); err != nil {
		return nil, err
	}
	return built, nil
}

// describe makes the manifest of a model that has passed the gates without one.
func (b *Built) describe(m *Model, spec *Spec, data []byte) (*Manifest, error) {
	predictions, err := m.predictAll(spec.Sample.Rows)
	if err != nil {
		return nil, err
	}
	expected := predictions
	if spec.Sample.Predictions != nil {
		expected = spec.Sample.Predictions
		if err := b.compare(predictions, expected); err != nil {
			return nil, err
		}
	}
	manifest := &Manifest{
		Name: spec.Name, Version: spec.Version, CreatedAt: spec.CreatedAt.UTC().Truncate(time.Second),
		File: fileNames[m.forest.Format()], Format: string(m.forest.Format()), Objective: m.forest.Objective(),
		SHA256: Digest(data), Features: spec.Features.Features,
		Profile: newProfile(m.features.Names(), spec.Sample.Rows, predictions),
		Golden:  goldenRows(spec.Sample.Rows, expected),
	}
	if !spec.Training.empty() {
		manifest.Training = &spec.Training
	}
	return manifest, nil
}

// fileNames are what the model files of bundles are called.
var fileNames = map[forest.Format]string{
	forest.FormatLightGBM: "model.txt", forest.FormatXGBoostJSON: "model.json",
	forest.FormatXGBoostUBJ: "model.ubj", forest.FormatONNX: "model.onnx",
}

func (t *Training) empty() bool {
	return t.From == "" && t.To == "" && t.Rows == 0 && len(t.Metrics) == 0 && t.Source == ""
}

// RowError says what is wrong with a row of a sample.
type RowError struct {
	Row    int // from 0
	Detail string
}

// Error counts rows from 1.
func (e *RowError) Error() string { return fmt.Sprintf("row %d of the sample: %s", e.Row+1, e.Detail) }

// predictAll predicts the rows of a sample, and refuses rows that cannot be such.
func (m *Model) predictAll(rows [][]float64) ([]float64, error) {
	if len(rows) == 0 {
		return nil, errors.New("the sample has no rows; golden rows and the profile are made of it")
	}
	predictions := make([]float64, len(rows))
	for i, row := range rows {
		if len(row) != m.forest.NumFeatures() {
			return nil, &RowError{i, fmt.Sprintf("%d values, not %d", len(row), m.forest.NumFeatures())}
		}
		for j, v := range row {
			if math.IsInf(v, 0) {
				return nil, &RowError{i, fmt.Sprintf("feature %q is infinite", m.features.Names()[j])}
			}
		}
		predictions[i] = m.Prediction(m.Raw(row))
	}
	return predictions, nil
}

// compare compares the predictions of a sample with the trainer's.
func (b *Built) compare(ours, theirs []float64) error {
	if len(theirs) != len(ours) {
		return fmt.Errorf("the sample has %d rows and %d predictions", len(ours), len(theirs))
	}
	differ, first := 0, 0
	for i, want := range theirs {
		off := math.Abs(ours[i]-want) / (1 + math.Abs(want))
		if !(off <= b.Tolerance) {
			if differ == 0 {
				first = i
			}
			differ++
		}
		b.Worst = max(b.Worst, off)
	}
	if differ > 0 {
		return &RowError{first, fmt.Sprintf("%d of %d predictions are not the model's, this is the first: the sample says %v, the model predicts %v; predict the sample with this very file, and write all digits",
			differ, len(ours), theirs[first], ours[first])}
	}
	b.Compared = len(ours)
	return nil
}

// put writes a bundle beside its place, opens it there, and moves it.
func (s Store) put(manifest *Manifest, data []byte) (m *Model, err error) {
	text, err := manifest.Encode()
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	dir := s.Path(manifest.Name, manifest.Version)
	above := filepath.Dir(dir)
	if err := os.MkdirAll(above, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(above, "."+manifest.Version+"-")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = os.RemoveAll(work) // nothing is there after the move
		_ = os.Remove(above)   // where nothing else is in it
	}()
	if err := errors.Join(os.Chmod(work, 0o755), writeFile(filepath.Join(work, ManifestFile), text),
		writeFile(filepath.Join(work, manifest.File), data)); err != nil {
		return nil, err
	}
	if m, err = Open(work); err != nil {
		return nil, err
	}
	if err := os.Rename(work, dir); errors.Is(err, fs.ErrExist) { // somebody was quicker
		return nil, fmt.Errorf("%s@%s: %w", manifest.Name, manifest.Version, ErrExists)
	} else if err != nil {
		return nil, err
	}
	return m, nil
}

// writeFile writes a new file and has it on the disk.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
