package history_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"recstream/internal/chaos/history"
)

func TestFaultlessHistoryHasNoViolations(t *testing.T) {
	for seed := range uint64(10) {
		h := fabricate(t, seed, 1_000)
		if v := history.Check(h); len(v) > 0 {
			t.Fatalf("seed %d: %s", seed, history.Report(v, 3))
		}
		if len(h.Raw) == len(h.Results) || len(h.DeadLetters) == 0 || len(h.Outcomes) == 0 {
			t.Fatalf("seed %d shows little: %s", seed, h)
		}
	}
}

// TestEachFaultHasItsCode makes one fault at a time. Each is found by its own code and raises no other.
func TestEachFaultHasItsCode(t *testing.T) {
	covered := map[history.Code]bool{}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			h := fabricate(t, 1, 600)
			fault.make(newFinder(t, h))
			violations := history.Check(h)
			var codes []history.Code
			for _, v := range violations {
				codes = append(codes, v.Code)
			}
			slices.Sort(codes)
			if codes = slices.Compact(codes); !slices.Equal(codes, []history.Code{fault.code}) {
				t.Errorf("codes %q, want %q alone\n%s", codes, fault.code, history.Report(violations, 3))
			}
		})
		covered[fault.code] = true
	}
	for _, code := range history.Codes() {
		if !covered[code] {
			t.Errorf("no fault has the code %q", code)
		}
	}
	if n := len(history.Codes()); n != len(covered) {
		t.Errorf("%d codes, want those of the faults: %q", n, slices.Sorted(maps.Keys(covered)))
	}
}

func TestAtLeastOnceAllowsRepetitionAndNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		make func(f *finder)
		want string
	}{
		"nothing":              {func(*finder) {}, ""},
		"a result again":       {faults["result emitted twice"].make, ""},
		"a dead letter again":  {faults["dead letter twice"].make, ""},
		"a rejection again":    {faults["rejection twice"].make, ""},
		"a row again":          {faults["row written twice"].make, "doubled_row"},
		"an outcome again":     {faults["outcome twice"].make, "doubled_outcome"},
		"no result":            {faults["result lost"].make, "lost_result"},
		"first ones reordered": {faults["results of one key swapped"].make, "order_broken"},
	} {
		t.Run(name, func(t *testing.T) {
			h := fabricate(t, 1, 1_000)
			h.Run.AtLeastOnce = true
			test.make(newFinder(t, h))
			v := history.Check(h)
			if got := history.Report(v, 1); !strings.HasPrefix(got, test.want) || len(v) > 0 && test.want == "" || len(v) == 0 && test.want != "" {
				t.Errorf("violations\n%swant %q", got, test.want)
			}
		})
	}
}

func TestReportIsCapped(t *testing.T) {
	h := fabricate(t, 1, 1_000)
	h.Decisions = nil
	v := history.Check(h)
	report := history.Report(v, 2)
	if n := strings.Count(report, "\n"); len(v) < 100 || n != 4 || !strings.Contains(report, "more") {
		t.Errorf("%d violations in %d lines, want 4:\n%s", len(v), n, report)
	}
}

func TestEmptyHistoryIsNoProof(t *testing.T) {
	if v := history.Check(new(history.History)); len(v) != 1 || v[0].Code != history.BrokenHistory {
		t.Errorf("violations %v, want one of %q", v, history.BrokenHistory)
	}
}

func BenchmarkCheck(b *testing.B) {
	h := fabricate(b, 1, 10_000)
	for b.Loop() {
		history.Check(h)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/event")
}
