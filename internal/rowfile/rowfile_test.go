package rowfile_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"recstream/internal/rowfile"
)

var abc = []string{"a", "b", "c"}

// readAll reads all rows of a text, written like "1 NaN 3; 4 5 6".
func readAll(text string, features []string, opts rowfile.Options) (string, error) {
	r, err := rowfile.NewReader(strings.NewReader(text), features, opts)
	if err != nil {
		return "", err
	}
	var rows []string
	dst := make([]float64, len(features)+len(opts.Optional))
	for {
		err := r.Next(dst)
		if errors.Is(err, io.EOF) {
			return strings.Join(rows, "; "), nil
		}
		if err != nil {
			return "", err
		}
		rows = append(rows, strings.Trim(fmt.Sprint(dst), "[]"))
	}
}

func TestReader(t *testing.T) {
	unnamed, optional := rowfile.Options{Unnamed: true}, rowfile.Options{Optional: []string{"prediction"}}
	tests := map[string]struct {
		text     string
		features []string
		opts     rowfile.Options
		want     string
	}{
		"no header":              {"1,2.5,3e-2\n-4,5,6\n", abc, rowfile.Options{}, "1 2.5 0.03; -4 5 6"},
		"header":                 {"a,b,c\n1,2,3\n", abc, rowfile.Options{}, "1 2 3"},
		"any order":              {"c,a,b\n1,2,3\n", abc, rowfile.Options{}, "2 3 1"},
		"other columns":          {"id,c,a,label,b\nx,1,2,,3\n", abc, rowfile.Options{}, "2 3 1"},
		"missing":                {"a,b,c\n,nan,3\n1, ,NaN\n", abc, rowfile.Options{}, "NaN NaN 3; 1 NaN NaN"},
		"missing at first":       {",,3\n", abc, rowfile.Options{}, "NaN NaN 3"},
		"Windows":                {"\ufeffa,b,c\r\n1,2,3\r\n\r\n4,5,", abc, rowfile.Options{}, "1 2 3; 4 5 NaN"},
		"mark without header":    {"\ufeff1,2,3", abc, rowfile.Options{}, "1 2 3"},
		"quotes":                 {"\"a\",title,b,c\n\"1\",\"Heat, the \"\"film\"\"\",2,\"\"\n", abc, rowfile.Options{}, "1 2 NaN"},
		"blank lines":            {"1,2,3\n\n4,5,6\n\n", abc, rowfile.Options{}, "1 2 3; 4 5 6"},
		"one feature":            {"a\n1\n\n3\n\n", abc[:1], rowfile.Options{}, "1; NaN; 3; NaN"},
		"one feature, no header": {"\n3\n", abc[:1], rowfile.Options{}, "NaN; 3"},
		"names are numbers":      {"1,0\n5,6\n", []string{"0", "1"}, rowfile.Options{}, "6 5"},
		"made-up names":          {"f2,id,f0,f1\n1,x,2,3\n", []string{"f0", "f1", "f2"}, unnamed, "2 3 1"},
		"made up otherwise":      {"Column_2,Column_0,Column_1\n1,2,3\n", []string{"f0", "f1", "f2"}, unnamed, "2 3 1"},
		"optional":               {"prediction,a,b,c\n0.5,1,2,3\n", abc, optional, "1 2 3 0.5"},
		"without the optional":   {"1,2,3\n", abc, optional, "1 2 3 NaN"},
		"infinite":               {"inf,-Inf,1\n", abc, rowfile.Options{}, "+Inf -Inf 1"},
		"empty":                  {"", abc, rowfile.Options{}, ""},
		"only a header":          {"a,b,c\n", abc, rowfile.Options{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(tt.text, tt.features, tt.opts)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	unnamed := rowfile.Options{Unnamed: true}
	tests := map[string]struct {
		text string
		opts rowfile.Options
		want string
	}{
		"a column is missing": {"a,b,d\n1,2,3\n", rowfile.Options{}, `line 1: there is no column "c"`},
		"twice":               {"a,b,c,b\n", rowfile.Options{}, `line 1: there are two columns "b"`},
		"too few cells":       {"a,b,c\n1,2,3\n1,2\n", rowfile.Options{}, "line 3: 2 cells, not 3"},
		"too many cells":      {"1,2,3,4\n", rowfile.Options{}, "line 1: 4 cells, not 3"},
		"no number":           {"c,b,a\n1,2,x\n", rowfile.Options{}, `line 2, column 3 (a): "x" is no number`},
		"out of range":        {"1,2,3\n1,2,1e999\n", rowfile.Options{}, `line 2, column 3 (c): "1e999" is no number`},
		"bad first row":       {"1,2,3.4.5\n", unnamed, `there is no column "a"`},
		"some names":          {"a,y,z\n", unnamed, `there is no column "b"`},
		"other names":         {"x,y,z\n1,2,3\n", unnamed, `the model's file does not name its features, so it is not known which of them column "x" is; leave the header out`},
		"made-up names":       {"f0,f1,f2\n1,2,3\n", rowfile.Options{}, `there is no column "a"`},
		"made up twice":       {"f0,Column_0,f2\n1,2,3\n", unnamed, `there are two columns "Column_0"`},
		"beyond":              {"f0,f1,f3\n1,2,3\n", unnamed, `there is no column "c"`},
		"quote":               {"a,b,c\n1,\"2,3\n", rowfile.Options{}, "line 2: extraneous or missing"},
		"endless":             {"a,b,c\n" + strings.Repeat("1", 17<<20), rowfile.Options{}, "after line 1: bufio.Scanner: token too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(tt.text, abc, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("rows %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	r, err := rowfile.NewReader(strings.NewReader("id,c,a,b,label\n"), abc, rowfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Header(), r.Unknown()); got != "[id c a b label] [id label]" {
		t.Error(got)
	}
}

// A row costs no memory, so files of any length can be read.
func TestNextAllocatesNothing(t *testing.T) {
	r, err := rowfile.NewReader(strings.NewReader(strings.Repeat("0.123456789,,1e5\n", 2000)), abc, rowfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float64, 3)
	if n := testing.AllocsPerRun(1000, func() {
		if err := r.Next(dst); err != nil || !math.IsNaN(dst[1]) {
			t.Fatal(dst, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{"1,2,3\n", "c,a,b\n1,,\"3\"\n", "\ufeffa,b,c\r\n\r\n", "\"", "x,y,z\n1,2,3"} {
		f.Add(text, true)
	}
	f.Fuzz(func(_ *testing.T, text string, unnamed bool) {
		_, _ = readAll(text, abc, rowfile.Options{Unnamed: unnamed}) // must come to an end
	})
}
