package forest

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"testing"
)

// oracleCase is a model, and what its trainer predicts for rows with it. Its files are described, and written,
// by testdata/oracle/oracle.py.
type oracleCase struct {
	name, file              string // "binary", "model.txt"
	model                   []byte
	rows, features, outputs int
	x, raw, pred            []float64
	contrib                 []float64 // nil where there is none
}

func (c *oracleCase) row(i int) []float64    { return c.x[i*c.features : (i+1)*c.features] }
func (c *oracleCase) rawOf(i int) []float64  { return c.raw[i*c.outputs : (i+1)*c.outputs] }
func (c *oracleCase) predOf(i int) []float64 { return c.pred[i*c.outputs : (i+1)*c.outputs] }

// contribOf are the contributions to row i: for each output those of the features, and the expected value.
func (c *oracleCase) contribOf(i int) []float64 {
	n := c.outputs * (c.features + 1)
	return c.contrib[i*n : (i+1)*n]
}

// smallCases returns the committed cases of a format.
func smallCases(tb testing.TB, format string) []*oracleCase {
	tb.Helper()
	z, err := zip.OpenReader(filepath.Join("testdata", format, "small.zip"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = z.Close() })
	return loadCases(tb, z)
}

// largeCases returns the cases that scripts/oracle.sh has made afresh, and skips the test where it has not.
func largeCases(tb testing.TB, format string) []*oracleCase {
	tb.Helper()
	dir := os.Getenv("RECSTREAM_ORACLE_DIR")
	if dir == "" {
		tb.Skip("make oracle runs this: RECSTREAM_ORACLE_DIR is not set")
	}
	return loadCases(tb, os.DirFS(filepath.Join(dir, format)))
}

// loadCases reads each directory of fsys that has a meta.json.
func loadCases(tb testing.TB, fsys fs.FS) []*oracleCase {
	tb.Helper()
	metas, err := fs.Glob(fsys, "*/meta.json")
	if err != nil || len(metas) == 0 {
		tb.Fatalf("no models: %v", err)
	}
	cases := make([]*oracleCase, len(metas))
	for i, meta := range metas {
		if cases[i], err = loadCase(fsys, path.Dir(meta)); err != nil {
			tb.Fatalf("%s: %v", path.Dir(meta), err)
		}
	}
	return cases
}

func loadCase(fsys fs.FS, name string) (*oracleCase, error) {
	c := &oracleCase{name: name}
	text, err := fs.ReadFile(fsys, name+"/meta.json")
	if err != nil {
		return nil, err
	}
	var meta struct{ Rows, Features, Outputs int }
	if err := json.Unmarshal(text, &meta); err != nil {
		return nil, err
	}
	c.rows, c.features, c.outputs = meta.Rows, meta.Features, meta.Outputs
	models, err := fs.Glob(fsys, name+"/model.*")
	if err != nil || len(models) != 1 {
		return nil, fmt.Errorf("%d model files: %w", len(models), err)
	}
	c.file = path.Base(models[0])
	if c.model, err = fs.ReadFile(fsys, models[0]); err != nil {
		return nil, err
	}
	for _, array := range []struct {
		key string
		dst *[]float64
		n   int
	}{
		{"rows", &c.x, c.rows * c.features},
		{"raw", &c.raw, c.rows * c.outputs},
		{"pred", &c.pred, c.rows * c.outputs},
		{"contrib", &c.contrib, c.rows * c.outputs * (c.features + 1)},
	} {
		*array.dst, err = readFloats(fsys, name+"/"+array.key+".f64", array.n)
		if err != nil && array.key != "contrib" {
			return nil, err
		}
	}
	return c, nil
}

// readFloats reads a file of n little-endian float64.
func readFloats(fsys fs.FS, name string, n int) ([]float64, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	if len(data) != 8*n {
		return nil, fmt.Errorf("%s has %d bytes, not %d", name, len(data), 8*n)
	}
	list := make([]float64, n)
	for i := range list {
		list[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return list, nil
}

// lightGBMTolerance is how far a prediction may be from LightGBM's: both call their own exp.
const lightGBMTolerance = 1e-12

// checkOracle parses the model, and compares within tolerances as closeTo has them. A raw tolerance of 0 compares
// bit for bit.
func checkOracle(t *testing.T, c *oracleCase, rawTolerance, predTolerance float64) *Forest {
	t.Helper()
	f, err := Parse(c.model)
	if err != nil {
		t.Fatal(err)
	}
	if f.NumFeatures() != c.features || f.NumOutputs() != c.outputs {
		t.Fatalf("%d features and %d outputs, want %d and %d", f.NumFeatures(), f.NumOutputs(), c.features, c.outputs)
	}
	out := make([]float64, c.outputs)
	for i := range c.rows {
		f.Raw(c.row(i), out)
		for k, want := range c.rawOf(i) {
			if math.Float64bits(out[k]) != math.Float64bits(want) && (rawTolerance == 0 || !closeTo(out[k], want, rawTolerance)) {
				t.Fatalf("row %d: raw score %d is %v, want %v; row: %v", i, k, out[k], want, c.row(i))
			}
		}
		f.Transform(out)
		for k, want := range c.predOf(i) {
			if !closeTo(out[k], want, predTolerance) {
				t.Fatalf("row %d: prediction %d is %v, want %v; row: %v", i, k, out[k], want, c.row(i))
			}
		}
	}
	return f
}

// closeTo compares within tolerance, relative to values beyond 1; NaN and infinities equal themselves.
func closeTo(got, want, tolerance float64) bool {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return true
	}
	return math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}
