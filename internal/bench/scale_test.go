package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"recstream/consumer"
)

func TestSweepOptions(t *testing.T) {
	o, err := parseOptions([]string{"-scale", "-partitions", "1,24", "-instances", "2"}, io.Discard)
	if err != nil || !o.scale || len(o.sweep.partitions) != 2 || o.sweep.partitions[1] != 24 || o.sweep.instances[0] != 2 {
		t.Errorf("%+v %v", o, err)
	}
	for name, args := range map[string][]string{"zero": {"-partitions", "1,0"}, "word": {"-instances", "many"}, "nothing": {"-instances", ""}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%s: %v is taken", name, args)
		}
	}
}

// TestScaleFigures has a point with three rounds of 1,000 requests.
func TestScaleFigures(t *testing.T) {
	p := &point{contender: must(contenderNamed(nameAtLeast)), partitions: 6, instances: 2, measured: []scaled{
		{requests: 1000, rate: 500, app: 0.04, wal: 700e3, batches: []int64{1000, 2000, 9000}, peak: 1 << 20},
		{requests: 1000, rate: 250, app: 0.05, wal: 600e3, batches: []int64{3000}, peak: 3 << 20},
		{requests: 1000, rate: 1000, app: 0.06, wal: 800e3}}}
	f := &scaleFigures{figures: &figures{rounds: 3, candidates: 200}, requests: 1000, points: []*point{p}}
	o := f.object()
	for key, want := range map[string]any{
		"requests_per_s_at_least_once_p6_i2": 500.0, "requests_per_s_min_at_least_once_p6_i2": 250.0,
		"app_cpu_us_per_request_at_least_once_p6_i2": 50.0, "wal_bytes_per_request_at_least_once_p6_i2": 700.0,
		"batch_p50_ms_at_least_once_p6_i2": 2.0, "peak_rss_mb_at_least_once_p6_i2": 3.0, "requests_per_round": 1000,
	} {
		if o[key] != want {
			t.Errorf("%s: %v, want %v", key, o[key], want)
		}
	}
	var table strings.Builder
	f.print(&table)
	if !strings.Contains(table.String(), "500 (250-1000)") || !strings.Contains(table.String(), nameAtLeast) {
		t.Error(&table)
	}
}

func TestMarks(t *testing.T) {
	ends := map[int]int64{0: 5, 1: 7, 2: 0}
	for name, test := range map[string]struct {
		offsets            map[int]int64
		begun, some, ended bool
	}{
		"nothing read":   {nil, false, false, false},
		"one begun":      {map[int]int64{0: 4}, false, false, false},
		"all under way":  {map[int]int64{0: 4, 1: 6}, true, false, false},
		"one at its end": {map[int]int64{0: 4, 1: 7}, true, true, false},
		"all":            {map[int]int64{0: 5, 1: 7}, true, true, true},
	} {
		got := [3]bool{allBegun(test.offsets, ends), someAtEnd(test.offsets, ends), allAtEnd(test.offsets, ends)}
		if got != [3]bool{test.begun, test.some, test.ended} {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRateOf(t *testing.T) {
	at := func(seconds int, committed int64) progress { return progress{time.Unix(int64(seconds), 0), committed} }
	for name, test := range map[string]struct {
		marks [3]progress
		want  float64
	}{
		"all under way":   {[3]progress{at(2, 100), at(4, 500), at(10, 600)}, 200},
		"nothing between": {[3]progress{at(2, 500), at(2, 500), at(10, 600)}, 60},
	} {
		if got := rateOf(at(0, 0), test.marks); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestDealt(t *testing.T) {
	for name, test := range map[string]struct {
		joined []int
		want   bool
	}{
		"all": {[]int{3, 3}, true}, "one is idle": {[]int{6, 0}, true}, "one has not joined": {[]int{6, -1}, false},
		"one has to give up some": {[]int{6, 3}, false}, "one is to get some": {[]int{3, 0}, false},
	} {
		f := &fleet{}
		for _, n := range test.joined {
			f.instances = append(f.instances, &instance{joined: n})
		}
		if f.dealt(6) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
}

func TestLead(t *testing.T) {
	orders, parent := io.Pipe()
	var answers bytes.Buffer
	l := follow(json.NewDecoder(orders), &answers)
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := l.await(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("began unasked: %v", err)
	}
	l.Joined(0)
	if _, err := parent.Write([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	if err := l.await(t.Context()); err != nil {
		t.Error(err)
	}
	l.Finished(&consumer.Report{Times: consumer.Times{Whole: 2 * time.Millisecond}})
	parent.Close()
	<-l.over()
	if err := l.report(measurement{PeakRSS: 7}); err != nil {
		t.Error(err)
	}
	if want := "{\"Joined\":0}\n{\"Batches\":[2000],\"PeakRSS\":7}\n"; answers.String() != want {
		t.Errorf("%s, want %s", &answers, want)
	}
}

func TestLeadOfNobody(t *testing.T) {
	orders, parent := io.Pipe()
	parent.Close() // it is gone before it said anything
	l := follow(json.NewDecoder(orders), io.Discard)
	if err := l.await(t.Context()); err == nil {
		t.Error("began without an order")
	}
	var alone *lead
	if err := alone.await(t.Context()); err != nil || alone.over() != nil || alone.observer() != nil {
		t.Error("an instance that nobody leads has to wait")
	}
}
