package forest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// lgbMutant is a damaged model, and what LightGBM itself makes of it: see testdata/oracle/lightgbm_mutants_vectors.py.
type lgbMutant struct {
	Model string
	Edits [][3]any // at, cut, put: bytes as code points
	Raw   string   // digest of all rows' raw scores, "" where LightGBM refuses the mutant, crashes or hangs
}

// TestLightGBMMutants holds that a damaged model is refused or scores as LightGBM says.
func TestLightGBMMutants(t *testing.T) {
	checkLGBMutants(t, filepath.Join("testdata", "lightgbm", "mutants.json.gz"))
}

func TestOracleLightGBMMutants(t *testing.T) {
	dir := os.Getenv("RECSTREAM_ORACLE_DIR")
	if dir == "" {
		t.Skip("make oracle runs this: RECSTREAM_ORACLE_DIR is not set")
	}
	checkLGBMutants(t, filepath.Join(dir, "lightgbm-mutants", "mutants.json.gz"))
}

func checkLGBMutants(t *testing.T, file string) {
	models := make(map[string]*oracleCase)
	for _, c := range smallCases(t, "lightgbm") {
		models[c.name] = c
	}
	refused, accepted := 0, 0
	for i, m := range readLGBMutants(t, file) {
		c := models[m.Model]
		f, err := Parse(m.apply(c.model))
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("mutant %d: %v is no *Error", i, err)
			}
			refused++
			continue
		}
		accepted++
		if got := rawDigest(f, c); got != m.Raw {
			t.Errorf("mutant %d of %s, %.200q: raw scores %q, LightGBM's are %q", i, m.Model, m.Edits, got, m.Raw)
		}
	}
	t.Logf("%d mutants refused, %d accepted with the right scores", refused, accepted)
	if refused < 200 || accepted < 100 {
		t.Error("too few mutants of one sort: the test says little")
	}
}

func readLGBMutants(t *testing.T, name string) []lgbMutant {
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []lgbMutant
	for d := json.NewDecoder(text); ; {
		var m lgbMutant
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
}

// apply returns the model after the edits.
func (m *lgbMutant) apply(model []byte) []byte {
	for _, e := range m.Edits {
		at, cut := int(e[0].(float64)), int(e[1].(float64))
		var put []byte
		for _, r := range e[2].(string) {
			put = append(put, byte(r))
		}
		model = bytes.Join([][]byte{model[:at], put, model[at+cut:]}, nil)
	}
	return model
}

// rawDigest is the start of the SHA-256 of the raw scores of the case's rows; "shape" where those do not fit.
func rawDigest(f *Forest, c *oracleCase) string {
	if f.NumFeatures() != c.features || f.NumOutputs() != c.outputs {
		return "shape"
	}
	var all []byte
	out := make([]float64, c.outputs)
	for i := range c.rows {
		f.Raw(c.row(i), out)
		for _, v := range out {
			all = binary.LittleEndian.AppendUint64(all, math.Float64bits(v))
		}
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:8])
}
