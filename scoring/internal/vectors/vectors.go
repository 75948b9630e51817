// Package vectors reads the reference vectors for the tests of features and models: pairs of a request and
// a film, with the features and the prediction that the original recommender and LightGBM make of them.
// The script beside the file describes its columns.
package vectors

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"recstream/schemas"
	"recstream/scoring/feature"
)

// The columns before the features and after them.
const (
	before   = 7
	features = 17
	width    = before + features + 2
)

// Vector is one pair and what is expected of it.
type Vector struct {
	Context     schemas.Context
	Item        schemas.Item
	Features    []float64
	Raw         float64
	Probability float64
}

// Read returns the vectors of the file at path, feature/testdata/vectors.csv.gz as seen from the test's
// directory. It ends the test on an error, and on a file whose features are not the default ones.
func Read(t testing.TB, path string) []Vector {
	t.Helper()
	rows, err := readRows(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range feature.Default().Features {
		if got := rows[0][before+i]; got != f.Name {
			t.Fatalf("%s: column %d is %q, not %q", path, before+i, got, f.Name)
		}
	}
	list := make([]Vector, len(rows)-1)
	for i, row := range rows[1:] {
		if list[i], err = parse(row); err != nil {
			t.Fatalf("%s: row %d: %v", path, i+1, err)
		}
	}
	return list
}

func readRows(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(unzipped)
	r.FieldsPerRecord = width
	rows, err := r.ReadAll()
	if err == nil && len(rows) < 2 {
		err = errors.New("the file has no vectors")
	}
	return rows, err
}

func parse(row []string) (v Vector, err error) {
	var known [3]bool
	v.Context.Mood, known[0] = schemas.ParseMood(row[0])
	v.Context.GroupSize, known[1] = schemas.ParseGroupSize(row[1])
	v.Context.SessionLength, known[2] = schemas.ParseSessionLength(row[2])
	if known != [3]bool{true, true, true} {
		return v, errors.New("unknown context value")
	}
	numbers := make([]float64, width)
	for i := 5; i < width; i++ {
		if row[i] == "" {
			continue // a missing duration or year is 0
		}
		if numbers[i], err = strconv.ParseFloat(row[i], 64); err != nil {
			return v, err
		}
	}
	v.Item = schemas.Item{ID: row[3], DurationMin: numbers[5], Year: numbers[6]}
	if row[4] != "" {
		v.Item.Genres = strings.Split(row[4], "|")
	}
	v.Features = numbers[before : before+features]
	v.Raw, v.Probability = numbers[width-2], numbers[width-1]
	return v, nil
}
