package deadletter

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"recstream/producer"
)

func TestMisspeltWords(t *testing.T) {
	b := newBench(t)
	strange := letterHeaders("old.requests", 0, 0)
	strange[0].Value = []byte("their_own")
	strange[2].Value = []byte("elsewhere")
	b.write(t, 2)
	b.send(t, producer.Record{Topic: letters, Time: time.Now(), Headers: strange}, producer.Record{Topic: letters, Time: time.Now()})
	found := []string{None, "record_refused", "their_own"}
	tests := map[string]struct {
		filter Filter
		what   string // "" is fine
		found  []string
	}{
		"nothing":                   {Filter{}, "", nil},
		"a code that no letter has": {Filter{Reasons: []string{"unknown_field"}}, "", nil},
		"letters without a reason":  {Filter{Reasons: []string{""}, Stages: []string{""}, Topics: []string{""}}, "", nil},
		"another program's":         {Filter{Reasons: []string{"their_own"}, Stages: []string{"elsewhere"}, Topics: []string{"old.requests"}}, "", nil},
		"misspelt reason":           {Filter{Reasons: []string{"their_own", "unknownfield"}}, "reason", found},
		"misspelt stage":            {Filter{Stages: []string{"nope"}}, "stage", []string{None, "elsewhere", "record"}},
		"misspelt topic":            {Filter{Topics: []string{requests, "nope"}}, "topic", []string{None, "old.requests", requests}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := Topic{b.client, letters}.CheckWords(deadline(t), test.filter, []string{requests, feedback})
			unknown, _ := errors.AsType[*UnknownWordError](err)
			switch {
			case test.what == "" && err != nil:
				t.Error(err)
			case test.what != "" && (unknown == nil || unknown.What != test.what || !slices.Equal(unknown.Found, test.found)):
				t.Errorf("error %v, want of %s with %q", err, test.what, test.found)
			}
		})
	}
	var unknown *UnknownWordError
	err := Topic{b.client, requests}.CheckWords(deadline(t), Filter{Reasons: []string{"nope"}}, nil)
	if want := `no letter in requests has the reason "nope", nor does recstream know it; there are no letters`; !errors.As(err, &unknown) || err.Error() != want {
		t.Errorf("an empty topic: %v", err)
	}
}

func TestMissingPlaces(t *testing.T) {
	b := newBench(t)
	b.write(t, 4) // two in each partition, and behind them the end of their transaction
	there := []Place{{0, 0}, {1, 1}}
	gone := []Place{{0, 2}, {0, 3}, {9, 99}}
	missing, err := Topic{b.client, letters}.Missing(deadline(t), append(slices.Clone(there), gone...))
	if err != nil || !slices.Equal(missing, gone) {
		t.Errorf("missing %v, error %v; want %v", missing, err, gone)
	}
}

// TestStagesAreTheConsumers compares with what its source gives.
func TestStagesAreTheConsumers(t *testing.T) {
	files, err := filepath.Glob("../../consumer/*.go")
	must(t, err)
	given := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, match := range regexp.MustCompile(`Rejection\{.*\bStage: "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			given[match[1]] = true
		}
	}
	for _, stage := range stages {
		if !given[stage] {
			t.Errorf("the consumer gives no stage %q", stage)
		}
		delete(given, stage)
	}
	if len(given) > 0 {
		t.Errorf("stages %v are not known", given)
	}
}
