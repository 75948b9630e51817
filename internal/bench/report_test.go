package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"recstream/internal/replay"
)

// threeLanes is a run in which recstream took 2, 4 and 3 s for 6,000 requests, their replay 4 s, and the obvious program
// 6 s for half of them.
func threeLanes() *figures {
	a := &lane{contender: must(contenderNamed(nameRecstream)), requests: 6000, measured: []measurement{
		{Seconds: 2, AppCPU: 0.6, PeakRSS: 1 << 20}, {Seconds: 4, AppCPU: 1.2, PeakRSS: 3 << 20}, {Seconds: 3, AppCPU: 0.9, PeakRSS: 2 << 20}}}
	c := &lane{contender: must(contenderNamed(nameNaive)), requests: 3000, measured: []measurement{{Seconds: 6, AppCPU: 6}}}
	r := &lane{contender: &replayer, requests: 6000, measured: []measurement{{Seconds: 4, AppCPU: 3}}}
	return &figures{lanes: []*lane{a, c, r}, rounds: 3, candidates: 200, cpus: 2, kafka: "Apache Kafka 4.4.0"}
}

func must(c *contender, err error) *contender {
	if err != nil {
		panic(err)
	}
	return c
}

func TestFigures(t *testing.T) {
	o := threeLanes().object()
	want := map[string]any{
		"requests_per_s": 2000.0, "requests_per_s_min": 1500.0, "requests_per_s_max": 3000.0,
		"app_cpu_us_per_request": 150.0, "peak_rss_mb": 3.0, "requests_per_round": 6000,
		"naive_requests_per_s": 500.0, "naive_app_cpu_us_per_request": 2000.0, "ratio_to_naive": 4.0,
		"replay_requests_per_s": 1500.0, "replay_app_cpu_us_per_request": 500.0, "ratio_replay_to_live": 0.75,
		"rounds": 3, "candidates": 200, "cpus": 2, "kafka": "Apache Kafka 4.4.0",
	}
	for key, v := range want {
		if o[key] != v {
			t.Errorf("%s: %v, want %v", key, o[key], v)
		}
	}
	if _, there := o["ratio_to_io"]; there {
		t.Error("a ratio to a contender that was not measured")
	}
	for key, v := range o {
		switch v.(type) {
		case map[string]any, []any:
			t.Errorf("%s is not flat", key)
		}
	}
}

func TestPrintNamesContendersAndRatio(t *testing.T) {
	var out bytes.Buffer
	threeLanes().print(&out)
	for _, want := range []string{"2000 (1500-3000)", "recstream / obvious program, same scorer: 4.00", "recstream replay of the same / recstream: 0.75", "Apache Kafka 4.4.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

func TestLimits(t *testing.T) {
	tests := map[string]struct {
		shares shares
		want   string
	}{
		"app":      {shares{app: 0.5, broker: 0.2, database: 0.2}, "most of all that of recstream itself"},
		"broker":   {shares{app: 0.2, broker: 0.5, database: 0.2, idle: 0.1}, "most of all that of Kafka"},
		"database": {shares{app: 0.2, broker: 0.2, database: 0.5}, "most of all that of Postgres"},
		"waits":    {shares{app: 0.3, broker: 0.1, database: 0.1, idle: 0.5}, "Waits for Kafka and Postgres"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := limits(tt.shares); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestCheckRefusesIncompleteRounds(t *testing.T) {
	ids := func(list ...string) (f fingerprint) {
		for _, id := range list {
			f.add([]byte(id))
		}
		return f
	}
	want := ids("a", "b", "c")
	good := found{stored: want, answered: ids("c", "a", "b"), recommendations: 9}
	if err := good.check(want, 9); err != nil {
		t.Errorf("a complete round, in another order: %v", err)
	}
	tests := map[string]func(*found){
		"row missing":            func(f *found) { f.stored = ids("a", "b") },
		"another row":            func(f *found) { f.stored = ids("a", "b", "d") },
		"result twice":           func(f *found) { f.answered = ids("a", "b", "b") },
		"result too many":        func(f *found) { f.answered = ids("a", "b", "c", "c") },
		"recommendation missing": func(f *found) { f.recommendations = 8 },
		"rejection":              func(f *found) { f.refused = 1 },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			f := good
			spoil(&f)
			if f.check(want, 9) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestReplaysOfRecstreamsRounds(t *testing.T) {
	live := &lane{contender: must(contenderNamed(nameRecstream)), requests: 7, measured: []measurement{
		{Seconds: 1, Replay: &measurement{Seconds: 2}}, {Seconds: 1, Replay: &measurement{Seconds: 3}}}}
	other := &lane{contender: must(contenderNamed(nameNaive)), measured: []measurement{{Seconds: 9}}}
	again := (&bench{lanes: []*lane{other, live}}).replays()
	if again == nil || again.name != nameReplay || again.requests != 7 || len(again.measured) != 2 || again.measured[1].Seconds != 3 {
		t.Errorf("got %+v", again)
	}
	if again := (&bench{lanes: []*lane{other}}).replays(); again != nil {
		t.Errorf("without recstream %+v", again)
	}
}

func TestCheckRefusesOtherReplays(t *testing.T) {
	good := replay.Report{Read: 3, Line: replay.Line{Compared: 3, Identical: 3}}
	if err := checkReplay(&good, 3); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*replay.Report){
		"an event is missing":    func(r *replay.Report) { r.Read = 2 },
		"one was not compared":   func(r *replay.Report) { r.Compared, r.Identical = 2, 2 },
		"one came out otherwise": func(r *replay.Report) { r.Identical = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			spoil(&r)
			if checkReplay(&r, 3) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	line := "42 (odd) name) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 100 0 0"
	pid, p, ok := parseStat([]byte(line))
	if want := (process{name: "odd) name", parent: 7, ticks: 200, waited: 50}); !ok || pid != 42 || p != want {
		t.Errorf("got %d %+v %v", pid, p, ok)
	}
	if _, _, ok := parseStat([]byte("42 (cut) S 7")); ok {
		t.Error("a cut line was read")
	}
}

func TestProcessorTimeOfAServer(t *testing.T) {
	all := processes{
		1: {name: "bench"},
		2: {name: "postgres", parent: 1, ticks: 100, waited: 50},
		3: {name: "postgres", parent: 2, ticks: 25},
		4: {name: "java", parent: 1, ticks: 1000},
	}
	if pid := all.child(1, "postgres"); pid != 2 {
		t.Errorf("child: %d, want 2", pid)
	}
	if pid := all.child(1, "nobody"); pid != 0 {
		t.Errorf("no child: %d, want 0", pid)
	}
	if got := all.cpu(2); got != 1.75 {
		t.Errorf("%g s, want 1.75", got)
	}
}

func TestKafkaVersionIn(t *testing.T) {
	for command, want := range map[string]string{
		"java\x00-cp\x00/cache/kafka-4.4.0-668/*\x00kafka.Kafka": "Apache Kafka 4.4.0",
		"": "Apache Kafka",
	} {
		if got := kafkaVersionIn(command); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

func TestRequestsFor(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		want int
	}{{30_123, 60_000}, {10, 1000}} {
		if got := requestsFor(tt.rate, 2*time.Second); got != tt.want {
			t.Errorf("%g/s: %d, want %d", tt.rate, got, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	if o, err := parseOptions([]string{"-rounds", "2", "-out", "f.json"}, io.Discard); err != nil || o.Rounds != 2 || o.Out != "f.json" || o.candidates != 200 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, args := range []string{"-rounds 0", "-candidates 0", "-requests -1", "stray", "-unknown"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: accepted", args)
		}
	}
}

func TestChosen(t *testing.T) {
	names := func(list []*contender) (names []string) {
		for _, c := range list {
			names = append(names, c.name)
		}
		return names
	}
	all, err := chosen("")
	if err != nil || len(all) != len(contenders) {
		t.Errorf("all: %v, %v", names(all), err)
	}
	two, err := chosen("naive,recstream")
	if err != nil || !slices.Equal(names(two), []string{nameRecstream, nameNaive}) {
		t.Errorf("two: %v, %v", names(two), err)
	}
	if _, err := chosen("other"); err == nil {
		t.Error("an unknown name was accepted")
	}
}
