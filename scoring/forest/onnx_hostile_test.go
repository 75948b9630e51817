package forest

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
)

// onnxMutant is a model with one byte changed, and what ONNX Runtime predicts with it: see
// testdata/oracle/onnx_mutants.py.
type onnxMutant struct {
	Model string
	At    int
	Byte  byte
	Pred  [][]float64 // nil where ONNX Runtime refuses the mutant
}

// TestONNXMutants damages models: each mutant is refused, or predicts what ONNX Runtime predicts.
func TestONNXMutants(t *testing.T) {
	models := map[string]*oracleCase{}
	for _, c := range smallCases(t, "onnx") {
		models[c.name] = c
	}
	mutants := readMutants(t)
	compared := 0
	for _, m := range mutants {
		c := models[m.Model]
		data := slices.Clone(c.model)
		data[m.At] = m.Byte
		f, err := Parse(data)
		if err != nil {
			continue
		}
		if f.NumFeatures() != c.features {
			continue // the rows do not fit any more
		}
		for i, pred := range m.Pred {
			got := make([]float64, f.NumOutputs())
			if len(pred) != len(got) {
				t.Fatalf("%d outputs, want %d", len(got), len(pred))
			}
			f.Raw(c.row(i), got)
			f.Transform(got)
			for k, want := range pred {
				if !closeTo(got[k], want, onnxFloatTolerance) {
					t.Errorf("row %d: prediction %d is %v, want %v", i, k, got[k], want)
				}
			}
			compared++
		}
		if t.Failed() {
			t.Fatalf("model %s, byte %d changed from %d to %d", m.Model, m.At, c.model[m.At], m.Byte)
		}
	}
	if len(mutants) < 300 || compared < 300 {
		t.Errorf("%d mutants and %d compared rows show little", len(mutants), compared)
	}
}

func readMutants(t *testing.T) []onnxMutant {
	t.Helper()
	file, err := os.Open("testdata/onnx/mutants.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var mutants []onnxMutant
	if err := json.NewDecoder(unzipped).Decode(&mutants); err != nil {
		t.Fatal(err)
	}
	return mutants
}

// TestONNXCutOff takes off the end of a file, which protobuf itself does not notice everywhere.
func TestONNXCutOff(t *testing.T) {
	for _, c := range smallCases(t, "onnx") {
		for n := range c.model {
			if n%7 == 0 || n < 40 {
				checkSane(t, c.model[:n])
			}
		}
	}
}

// FuzzParseONNX looks for files that make the reader panic, or predict what is no number.
func FuzzParseONNX(f *testing.F) {
	for _, c := range smallCases(f, "onnx") {
		if len(c.model) < 8<<10 {
			f.Add(c.model)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || data[0] != 0x08 {
			return // another format
		}
		checkSane(t, data)
	})
}

// checkSane parses, and where the file is taken predicts odd rows: the scores are finite numbers.
func checkSane(t *testing.T, data []byte) {
	t.Helper()
	f, err := Parse(data)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%v is no *Error", err)
		}
		return
	}
	row, out := make([]float64, f.NumFeatures()), make([]float64, f.NumOutputs())
	for _, v := range []float64{0, 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e300} {
		for i := range row {
			row[i] = v
		}
		f.Raw(row, out)
		f.Transform(out)
		for _, got := range out {
			if !isFinite(got) {
				t.Fatalf("rows of %v give %v", v, out)
			}
		}
	}
}
