package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"recstream/internal/wait"
	"recstream/schemas"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := map[string]struct {
		sorted []time.Duration
		p      float64
		want   time.Duration
	}{
		"median of 100": {hundred, 50, 50}, "99th of 100": {hundred, 99, 99}, "all": {hundred, 100, 100},
		"of one": {hundred[:1], 50, 1}, "median of 3": {hundred[:3], 50, 2}, "99th of 3": {hundred[:3], 99, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := percentile(test.sorted, test.p); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// slow takes a while for the first request, and answers the others at once.
type slow struct {
	asked atomic.Bool
	err   error
}

func (s *slow) name() string { return "slow" }
func (s *slow) ask(ctx context.Context, _ *schemas.Request) error {
	if s.asked.Swap(true) {
		return s.err
	}
	return wait.For(ctx, 50*time.Millisecond)
}

// TestLoadDoesNotWait wants requests to be sent while an earlier one is not answered.
func TestLoadDoesNotWait(t *testing.T) {
	times, err := load(t.Context(), &slow{}, 1000, 20*time.Millisecond)
	if err != nil || len(times) != 20 {
		t.Fatalf("%d requests, %v", len(times), err)
	}
	if times[0] < 50*time.Millisecond {
		t.Errorf("times %v", times)
	}
	if _, err := load(t.Context(), &slow{err: errors.New("no answer")}, 1000, 5*time.Millisecond); err == nil {
		t.Error("requests that are not answered give a figure")
	}
}

func TestFigures(t *testing.T) {
	f := newFigures()
	for _, took := range []time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond} {
		f.add("http", 50, []time.Duration{took, 10 * took})
	}
	var table strings.Builder
	if err := f.print(&table); err != nil || !strings.Contains(table.String(), "http  50          2.00 (1.00 to 3.00)  20.00 (10.00 to 30.00)") {
		t.Errorf("%s %v", &table, err)
	}
	if flat := f.object(); flat["http_50_per_s_p50_ms"] != 2.0 || flat["http_50_per_s_p99_ms"] != 20.0 || len(flat) != 2 {
		t.Error(flat)
	}
}

func TestOptions(t *testing.T) {
	for name, args := range map[string][]string{"rate": {"-rates", "1,x"}, "zero": {"-rates", "0"}, "rounds": {"-rounds", "0"}, "more": {"more"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%s: %v is taken", name, args)
		}
	}
	if o, err := parseOptions([]string{"-rates", "10,20"}, io.Discard); err != nil || len(o.rates) != 2 || o.rates[1] != 20 {
		t.Errorf("%+v %v", o, err)
	}
}

// TestTrial wants what goes on beside the asking to be ended, and its failure to be told.
func TestTrial(t *testing.T) {
	failure := errors.New("nothing was replayed")
	for _, want := range []error{nil, failure} {
		ended := false
		t1 := trial{path: &slow{}, label: "slow_beside", beside: func(context.Context) (func() error, error) {
			return func() error { ended = true; return want }, nil
		}}
		times, err := t1.load(t.Context(), 1000, 5*time.Millisecond)
		if !errors.Is(err, want) || !ended || len(times) != 5 || t1.name() != "slow_beside" {
			t.Errorf("%s: %v, ended: %t, %d times", t1.name(), err, ended, len(times))
		}
	}
	begun := trial{path: &slow{}, beside: func(context.Context) (func() error, error) { return nil, failure }}
	if _, err := begun.load(t.Context(), 1000, 5*time.Millisecond); !errors.Is(err, failure) || begun.name() != "slow" {
		t.Errorf("%s: %v", begun.name(), err)
	}
}

func TestAskStopsAtAnError(t *testing.T) {
	if err := ask(t.Context(), &slow{}, 2*atOnce); err != nil {
		t.Error(err)
	}
	no := errors.New("no answer")
	if err := ask(t.Context(), &slow{err: no}, 2*atOnce); !errors.Is(err, no) {
		t.Errorf("%v, want %v", err, no)
	}
}
