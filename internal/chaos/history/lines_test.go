package history_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"recstream/internal/chaos/history"
)

func TestKeptHistoryIsTheSame(t *testing.T) {
	for _, name := range []string{"history.jsonl", "history.jsonl.gz"} {
		t.Run(name, func(t *testing.T) {
			h := fabricate(t, 3, 500)
			path := filepath.Join(t.TempDir(), name)
			if err := h.WriteFile(path); err != nil {
				t.Fatal(err)
			}
			got, err := history.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var a, b bytes.Buffer
			if err := h.Write(&a); err != nil {
				t.Fatal(err)
			}
			if err := got.Write(&b); err != nil {
				t.Fatal(err)
			}
			if a.String() != b.String() || !reflect.DeepEqual(got.Results, h.Results) || !reflect.DeepEqual(got.DeadLetters, h.DeadLetters) {
				t.Error("another history is read than was written")
			}
			if v := history.Check(got); len(v) > 0 {
				t.Errorf("what was kept has violations:\n%s", history.Report(v, 3))
			}
		})
	}
}

func TestBytesAreKeptAsTheyAre(t *testing.T) {
	for name, test := range map[string]struct {
		bytes history.Bytes
		json  string
	}{
		"null":        {nil, `null`},
		"empty":       {history.Bytes{}, `""`},
		"text":        {history.Bytes(`{"a":"é"}`), `"{\"a\":\"é\"}"`},
		"odd text":    {history.Bytes("<\u2028\x00>"), `"\u003c\u2028\u0000\u003e"`},
		"not UTF-8":   {history.Bytes{0xff, 0}, `{"base64":"/wA="}`},
		"replacement": {history.Bytes("\ufffd"), `"�"`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(test.bytes)
			if err != nil || string(text) != test.json {
				t.Errorf("written as %s, %v, want %s", text, err, test.json)
			}
			got := history.Bytes("before")
			if err := json.Unmarshal(text, &got); err != nil || !bytes.Equal(got, test.bytes) || (got == nil) != (test.bytes == nil) {
				t.Errorf("read as %v, %v, want %v", got, err, test.bytes)
			}
		})
	}
}

func TestWhatIsNoHistoryIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"not JSON":      "hello",
		"unknown field": `{"runn":{}}`,
		"cut off":       `{"run":{"name":"x"}}` + "\n" + `{"log":{"topic"`,
	} {
		if h, err := history.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s is read as %v", name, h)
		}
	}
	if _, err := history.ReadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}
