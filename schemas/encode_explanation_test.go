package schemas

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxRecord is what Kafka takes of a record unless told otherwise, and recordHead what of it is not the value:
// headers, key and the batch's own bytes.
const (
	maxRecord  = 1 << 20
	recordHead = 4 << 10
)

// The largest explanation that there can be leaves room for the ids, the longest of them, and for titles.
func TestExplainedResultFitsKafka(t *testing.T) {
	worst := -math.SmallestNonzeroFloat64 * 12345678901234567 // as long as numbers get
	texts := map[string]string{
		"plain":    strings.Repeat("x", 10_000),
		"controls": strings.Repeat("\x1b", 10_000),
		"quotes":   strings.Repeat(`"\`, 10_000),
		"no UTF-8": strings.Repeat("\xff", 10_000),
		"wide":     strings.Repeat("🎬", 10_000),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			value := worst
			all := make([]Contribution, 2*MaxContributions)
			for i := range all {
				all[i] = Contribution{Feature: text, Label: text, Value: &value, Contribution: worst}
			}
			d := Decision{RequestID: strings.Repeat("r", MaxIDBytes), Explain: true, Pinned: MaxLimit, Explanation: &Explanation{}}
			for range MaxLimit {
				item := ScoredItem{ItemID: strings.Repeat("i", MaxIDBytes), Title: strings.Repeat("t", 1000), Prediction: worst, Score: worst}
				for i := range item.Terms {
					item.Terms[i] = worst
				}
				d.Items = append(d.Items, item)
				d.Explanation.Items = append(d.Explanation.Items, ItemExplanation{Reason: text, Contributions: all})
			}
			event := AppendResult(nil, &d)
			if len(event) > maxRecord-recordHead || !json.Valid(event) {
				t.Errorf("%d bytes, valid JSON: %v", len(event), json.Valid(event))
			}
			if one := appendExplanation(nil, &d.Items[0].Terms, &d.Explanation.Items[0]); len(one) > 8000 {
				t.Errorf("the explanation of an item takes %d bytes; the comment says 8 kB", len(one))
			}
		})
	}
}

func TestCutText(t *testing.T) {
	tests := []struct {
		name, text, want string
		limit            int
	}{
		{"shorter", "abc", "abc", 4},
		{"as long", "abcd", "abcd", 4},
		{"longer", "abcde", "abcd", 4},
		{"at a character's border", "abcé", "abc", 4},
		{"control characters take six", "\x01\x02\x03", "\x01\x02", 12},
		{"quotes take two", `""""`, `""`, 5},
		{"what is no UTF-8 takes three", "\xff\xfe", "\xff", 5},
		{"empty", "", "", 0},
		{"nothing fits", "é", "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cutText(tt.text, tt.limit); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCutTextOfAnyBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	runes := []rune{'a', '"', '\\', '\n', 0, 0x1f, 0x7f, 'é', 0x2028, utf8.RuneError, '🎬'}
	for range 20_000 {
		var text []byte
		for range random.IntN(12) {
			if text = utf8.AppendRune(text, runes[random.IntN(len(runes))]); random.IntN(6) == 0 {
				text = append(text, byte(random.Uint32()))
			}
		}
		limit := random.IntN(24)
		got := cutText(string(text), limit)
		if !strings.HasPrefix(string(text), got) {
			t.Fatalf("%q is no start of %q", got, text)
		}
		if n := len(appendText(nil, got)) - 2; n > limit {
			t.Fatalf("%q takes %d bytes, more than %d", got, n, limit)
		}
	}
}
