package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"recstream/scoring"
)

// TestOnlyRegularFilesAreRead gives a pipe that nobody writes to, and a directory.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, t.TempDir()} {
		for name, read := range map[string]func() error{
			"scoring":       func() error { _, err := ReadScoring(path); return err },
			"configuration": func() error { _, err := Load(path, nil); return err },
		} {
			done := make(chan error, 1)
			go func() { done <- read() }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), path+" is no regular file") {
					t.Errorf("%s: error %v", name, err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%s: the read of %s hangs", name, path)
			}
		}
	}
}

// TestManyRulesAreNotTooManyKeys gives as many rules, in lines of their own, as a section may not have keys.
func TestManyRulesAreNotTooManyKeys(t *testing.T) {
	text := "rank:\n  boosts:\n" + strings.Repeat("    - name: a\n      add: 1\n      items:\n      - x\n      - y\n", maxKeys+1)
	if _, err := ParseScoring("s.yaml", []byte(text)); err != nil {
		t.Error(err)
	}
}

// TestDecoderStops wants no more to be looked at than is told.
func TestDecoderStops(t *testing.T) {
	for _, text := range []string{"{" + strings.Repeat("a: 1, ", 1000) + "}", "rules: {mood_genres: {funny: [" + strings.Repeat("1,", 1000) + "]}}"} {
		params := scoring.DefaultParams()
		if d := decodeYAML("s.yaml", []byte(text), &params); len(d.problems) != maxProblems+1 {
			t.Errorf("%d mistakes in %.40s", len(d.problems), text)
		}
	}
}

// TestMistakesAreBounded gives texts with more mistakes, or longer ones, than anybody reads.
func TestMistakesAreBounded(t *testing.T) {
	list := func(n int, each func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(each(i))
		}
		return b.String()
	}
	long := "x" + strings.Repeat("é", 50_000) // a cut after an even number of bytes halves one
	tests := map[string]struct {
		text     string
		problems int // 0 is any number
	}{
		"unknown keys":     {list(16_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }), 1},
		"one key":          {strings.Repeat("max_items: 1\n", 16_000), 1},
		"short keys":       {strings.Repeat("a:\n", 80_000), 1},
		"questions":        {strings.Repeat("? a\n", 60_000), 1},
		"keys of a list":   {"rank:\n  boosts:\n  - name: a\n" + strings.Repeat("    b: 1\n", 300), 1},
		"keys in brackets": {"{" + strings.Repeat("max_items: 1, ", 16_000) + "}", 51},
		"some keys":        {list(200, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }), 51},
		"list elements":    {"rules: {mood_genres: {funny: [" + strings.Repeat("1,", 16_000) + "]}}\n", 51},
		"invalid elements": {"rank:\n  boosts:\n" + strings.Repeat("  - {name: '', add: 1}\n", 10_000), 0},
		"bad tiers":        {"fallback: {tiers: [" + strings.Repeat("x,", 16_000) + "]}\n", 0},
		"as many as told":  {list(50, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }), 50},
		"long key":         {long + ": 1\n", 1},
		"long value":       {"explain: {keep: " + long + "}\n", 1},
		"long quoted":      {"explain: {keep: \"" + strings.Repeat(`a\"é`, 20_000) + "\"}\n", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := ParseScoring("s.yaml", []byte(tt.text))
			if took := time.Since(began); took > 5*time.Second { // with the race detector on a busy machine
				t.Errorf("it took %v", took)
			}
			var invalid *Error
			if !errors.As(err, &invalid) || len(invalid.Problems) > 51 || tt.problems > 0 && len(invalid.Problems) != tt.problems {
				t.Fatalf("%.300v, want %d problems", err, tt.problems)
			}
			last := invalid.Problems[len(invalid.Problems)-1]
			if more := len(invalid.Problems) == 51; more != (last.Where == "and more") {
				t.Errorf("%d problems end with %s", len(invalid.Problems), last)
			}
			for _, p := range invalid.Problems {
				if len(p.String()) > 300 || !utf8.ValidString(p.String()) {
					t.Fatalf("%d bytes: %.300s", len(p.String()), p)
				}
			}
		})
	}
}
