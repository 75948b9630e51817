package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"recstream/scoring/model"
)

// readTraining reads the file, and puts the flags over it.
func (o *modelBuild) readTraining() (t model.Training, err error) {
	if o.trainingFile != "" {
		text, err := os.ReadFile(o.trainingFile)
		if err != nil {
			return t, err
		}
		if err := readYAML(text, &t); err != nil {
			return t, fmt.Errorf("%s: %w", o.trainingFile, err)
		}
		if err := checkWindow(o.trainingFile+": from", t.From, o.trainingFile+": to", t.To); err != nil {
			return t, err
		}
	}
	for _, text := range []struct {
		dst  *string
		flag string
	}{{&t.From, o.training.From}, {&t.To, o.training.To}, {&t.Source, o.training.Source}} {
		if text.flag != "" {
			*text.dst = text.flag
		}
	}
	if err := checkWindow("--data-from", t.From, "--data-to", t.To); err != nil {
		return t, err
	}
	if o.training.Rows != 0 {
		t.Rows = o.training.Rows
	}
	err = addMetrics(&t, o.metrics)
	return t, err
}

func addMetrics(t *model.Training, metrics []string) error {
	for _, metric := range metrics {
		name, text, ok := strings.Cut(metric, "=")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || name == "" || err != nil {
			return usagef("--metric %q is no NAME=NUMBER", metric)
		}
		if t.Metrics == nil {
			t.Metrics = map[string]float64{}
		}
		t.Metrics[name] = value
	}
	return nil
}

// checkWindow wants begin and end of the training data, each of which may be empty, to be times in this order.
func checkWindow(fromName, from, toName, to string) error {
	begin, err := parseDate(fromName, from)
	if err != nil {
		return err
	}
	end, err := parseDate(toName, to)
	if err != nil {
		return err
	}
	if from != "" && to != "" && end.Before(begin) {
		return usagef("%s %s is before %s", toName, to, from)
	}
	return nil
}

// parseDate reads a date, or a time in RFC 3339.
func parseDate(name, text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil || text == "" {
			return t, nil
		}
	}
	return time.Time{}, usagef("%s %q is no date; write 2026-07-01 or 2026-07-01T18:00:00Z", name, text)
}
