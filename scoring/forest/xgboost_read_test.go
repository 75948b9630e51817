package forest

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestReadJSON compares with encoding/json, which reads the same but for numbers without a name.
func TestReadJSON(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       any
	}{
		{"nothing in it", ` { } `, map[string]any{}},
		{"members", `{"a":1,"b":"x","c":null,"d":{"e":[]}}`, map[string]any{
			"a": 1.0, "b": "x", "c": nil, "d": map[string]any{"e": []float64{}}}},
		{"numbers", "[0, -1 ,2.5,1E-1,\t1e2,\n-0]", []float64{0, -1, 2.5, float64(float32(0.1)), 100, math.Copysign(0, -1)}},
		{"a float is the nearest float32", `[16777217, 16777217.0]`, []float64{16777217, 16777216}},
		{"numbers with names", `[true,false,Infinity,-Infinity]`, []float64{1, 0, math.Inf(1), math.Inf(-1)}},
		{"a mixture", `[1,"a",2]`, []any{1.0, "a", 2.0}},
		{"starts with a text", `["a",1]`, []any{"a", 1.0}},
		{"nested", `[[1],[],["x"]]`, []any{[]float64{1}, []float64{}, []any{"x"}}},
		{"escapes", `"\"\\\/\b\n\t\u00fc\ud83d\ude00"`, "\"\\/\b\n\tü😀"},
		{"denormals", `[1e-45,1e-60]`, []float64{float64(math.SmallestNonzeroFloat32), 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readJSON([]byte(c.text))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%#v, %v; want %#v", got, err, c.want)
			}
		})
	}
	if got, err := readJSON([]byte("NaN")); err != nil || !math.IsNaN(got.(float64)) {
		t.Errorf("NaN is %v, %v", got, err)
	}
}

func TestReadJSONRefusals(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"nothing", "", "byte 0: no value"},
		{"open object", `{"a":1`, "does not end"},
		{"open array", `[1,2`, "does not end"},
		{"open text", `{"a`, "a text does not end"},
		{"open escape", `"a\`, "a text does not end"},
		{"no comma", `[1 2]`, "byte 3"},
		{"comma at the end", `[1,]`, "no value"},
		{"no colon", `{"a" 1}`, "no value"},
		{"no name", `{1:2}`, "no name"},
		{"twice", `{"a":1,"a":2}`, `"a" is there twice`},
		{"two documents", `{} {}`, "goes on"},
		{"a zero byte after it", "{}\x00", "goes on"},
		{"word", `{"a":nan}`, "no value"},
		{"half a word", `nul`, "no value"},
		{"number of points", `1.2.3`, "no value"},
		{"number beyond float32", `1.0e39`, "no value"},
		{"hexadecimal", `0x10`, "goes on"},
		{"bad escape", `"\q"`, "a text"},
		{"half a surrogate", `"\ud800"`, "a text"},
		{"no UTF-8", "\"\xff\"", "UTF-8"},
		{"deep", strings.Repeat("[", 1e6), "deeper than 32"},
		{"deep objects", strings.Repeat(`{"a":`, 1e6), "deeper than 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := readJSON([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, error %v, want %q", v, err, c.says)
			}
		})
	}
}

func TestReadUBJ(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		want        any
	}{
		{"nothing in it", "{}", map[string]any{}},
		{"lengths of every kind", "{i\x01aZU\x01bTI\x00\x01cFl\x00\x00\x00\x01di\x05L\x00\x00\x00\x00\x00\x00\x00\x01eU\xff}",
			map[string]any{"a": nil, "b": 1.0, "c": 0.0, "d": 5.0, "e": 255.0}},
		{"numbers", "[i\xffU\xffI\xff\xfel\xff\xff\xff\xfdL\xff\xff\xff\xff\xff\xff\xff\xfcd\x3f\xc0\x00\x00D\x3f\xf8\x00\x00\x00\x00\x00\x00Ca]",
			[]float64{-1, 255, -2, -3, -4, 1.5, 1.5, 97}},
		{"counted array", "[#i\x02i\x01i\x02", []float64{1, 2}},
		{"float32 array", "[$d#L\x00\x00\x00\x00\x00\x00\x00\x02\x3f\xc0\x00\x00\xbf\xc0\x00\x00", []float64{1.5, -1.5}},
		{"bytes", "[$U#i\x03\x00\x7f\xff", []float64{0, 127, 255}},
		{"empty typed array", "[$l#i\x00", []float64{}},
		{"texts with one mark", "[$S#i\x02i\x01ai\x01b", []any{"a", "b"}},
		{"arrays with one mark", "[$[#i\x02i\x01]]", []any{[]float64{1}, []float64{}}},
		{"counted object", "{#i\x01i\x01ai\x07", map[string]any{"a": 7.0}},
		{"typed object", "{$i#i\x02i\x01a\x07i\x01b\x08", map[string]any{"a": 7.0, "b": 8.0}},
		{"no-ops", "NN{NNi\x01aN[Ni\x01N]N}NN", map[string]any{"a": []float64{1}}},
		{"a mixture", "[i\x01Si\x01aZ]", []any{1.0, "a", nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readUBJ([]byte(c.bytes))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%#v, %v; want %#v", got, err, c.want)
			}
		})
	}
}

func TestReadUBJRefusals(t *testing.T) {
	huge := "L\x7f\xff\xff\xff\xff\xff\xff\xff"
	for _, c := range []struct{ name, bytes, says string }{
		{"nothing", "", "no value"},
		{"open object", "{i\x01ai\x01", "no length"},
		{"open array", "[i\x01", "no value"},
		{"open number", "[l\x00\x00", "within a number"},
		{"open length", "{L\x00", "within a length"},
		{"huge name", "{" + huge + "a", "more than what follows"},
		{"huge text", "S" + huge + "a", "more than what follows"},
		{"huge array", "[#" + huge + "i\x01", "more than what follows"},
		{"huge typed array", "[$d#" + huge + "\x00\x00\x00\x00", "more than what follows"},
		{"typed array a byte short", "[$d#i\x02\x00\x00\x00\x00\x00\x00\x00", "2 elements are more"},
		{"huge object", "{#" + huge + "i\x01", "more than what follows"},
		{"huge array of nothing", "[$Z#" + huge, `of 'Z'`},
		{"huge array of truth", "[$T#" + huge, `of 'T'`},
		{"negative length", "Si\xff", "more than what follows"},
		{"length is a float", "Sd\x00\x00\x00\x00", "no length"},
		{"type without a length", "[$i\x01", "no length"},
		{"high precision", "[Hi\x011]", "no value"},
		{"twice", "{i\x01aZi\x01aZ}", `"a" is there twice`},
		{"two documents", "{}{}", "goes on"},
		{"a zero byte after it", "{}\x00", "goes on"},
		{"no UTF-8", "Si\x01\xff", "UTF-8"},
		{"deep", strings.Repeat("[", 1e6), "deeper than 32"},
		{"deep with one mark", strings.Repeat("[$[#i\x01", 1e6), "deeper than 32"},
		{"deep objects", strings.Repeat("{i\x01a", 1e6), "deeper than 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := readUBJ([]byte(c.bytes))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, error %v, want %q", v, err, c.says)
			}
		})
	}
}

func TestIsUBJ(t *testing.T) {
	for text, want := range map[string]bool{
		`{"learner":{}}`: false, "{}": false, "{\n\t\"a\":1}": false, `{ "a":1}`: false, "{": false,
		"{L\x00": true, "{i\x07learner{}}": true, "{#i\x01": true, "{$Z#i\x01": true, "{Ni\x01a": true,
	} {
		if got := isUBJ([]byte(text)[1:]); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// TestXGBoostRewritten writes each model in every way that the formats leave free, and wants the same forest.
func TestXGBoostRewritten(t *testing.T) {
	for _, c := range smallCases(t, "xgboost") {
		document := c.document(t)
		want := mustBuild(t, document)
		copies := map[string][]byte{"json": appendJSON(nil, document)}
		for name, style := range map[string]ubjStyle{
			"plain": {}, "counted": {counted: true}, "typed": {typed: true, counted: true}, "no-ops": {noops: true, counted: true},
		} {
			copies[name] = style.document(document)
		}
		for name, data := range copies {
			got, err := readXGBoost(data)
			if err != nil {
				t.Fatalf("%s, %s: %v", c.name, name, err)
			}
			if f := mustBuild(t, got); !reflect.DeepEqual(f, want) {
				t.Errorf("%s, %s: another forest", c.name, name)
			}
		}
	}
}

// TestXGBoostTruncated wants every beginning of a file refused, and quickly.
func TestXGBoostTruncated(t *testing.T) {
	start := time.Now()
	for _, name := range []string{"squarederror", "binary-logitraw"} { // JSON and UBJSON
		data := xgboostCase(t, name).model
		for n := 0; n < len(data)-1; n += 7 {
			if _, err := Parse(data[:n]); err == nil {
				t.Fatalf("%s: %d of %d bytes are read", name, n, len(data))
			} else if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("error %v", err)
			}
		}
	}
	if spent := time.Since(start); spent > 20*time.Second {
		t.Errorf("it took %v", spent)
	}
}

// sameDocument reports whether a document is what encoding/json reads from the same text.
func sameDocument(got any, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for key, member := range w {
			if !sameDocument(g[key], member) {
				return false
			}
		}
		return true
	case []any:
		if numbers, ok := got.([]float64); ok {
			got = boxed(numbers)
		}
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i, element := range w {
			if !sameDocument(g[i], element) {
				return false
			}
		}
		return true
	case bool:
		return got == map[bool]float64{true: 1}[w]
	case json.Number:
		number, err := w.Float64()
		return err != nil || got == number || got == float64(float32(number)) || math.Abs(number) < 1e-30
	}
	return got == want
}
