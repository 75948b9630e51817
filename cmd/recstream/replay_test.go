package main

import (
	"errors"
	"testing"
	"time"
)

func TestReplaySpan(t *testing.T) {
	now := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		from, to string
		refused  bool
	}{
		"all":                {"", "", false},
		"offsets":            {"3", "8", false},
		"no offset":          {"3", "3", false},
		"offsets, backwards": {"8", "3", true},
		"times":              {"-2h", "-1h", false},
		"times, backwards":   {"-1h", "-2h", true},
		"a time and one ago": {"2026-03-01T19:30:00Z", "-1h", true},
		"a time and offset":  {"-1h", "3", false},
		"no time":            {"yesterday", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := replayFlags{from: test.from, to: test.to}
			_, err := f.span(now)
			if usage := (usageError{}); errors.As(err, &usage) != test.refused || (err != nil) != test.refused {
				t.Errorf("error %v, refused %t", err, test.refused)
			}
		})
	}
}
