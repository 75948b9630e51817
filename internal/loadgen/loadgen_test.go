package loadgen

import (
	"fmt"
	"regexp"
	"testing"

	"recstream/schemas"
)

func take(g *Generator, n int) []schemas.Request {
	requests := make([]schemas.Request, n)
	for i := range requests {
		g.Next(&requests[i])
	}
	return requests
}

func TestDeterministic(t *testing.T) {
	const n = 1000
	first, same, other := take(New(7, 50), n), take(New(7, 50), n), take(New(8, 50), n)
	if fmt.Sprint(first) != fmt.Sprint(same) {
		t.Error("the same seed gave other requests")
	}
	if fmt.Sprint(first) == fmt.Sprint(other) {
		t.Error("another seed gave the same requests")
	}
}

// TestRequestsAreValid sends every request through the codec that the processor uses.
func TestRequestsAreValid(t *testing.T) {
	ids := map[string]bool{}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, r := range take(New(1, 100), 10_000) {
		var decoded schemas.Request
		if err := schemas.DecodeRequest(schemas.AppendRequest(nil, &r), &decoded); err != nil {
			t.Fatal(err)
		}
		if decoded.Context != r.Context || decoded.UserID != r.UserID || decoded.Limit != r.Limit {
			t.Fatalf("decoded %+v, want %+v", decoded, r)
		}
		if ids[r.RequestID] || !uuid.MatchString(r.RequestID) {
			t.Fatalf("request id %q is no new UUID", r.RequestID)
		}
		ids[r.RequestID] = true
	}
}

// TestDistribution holds the shares within wide bounds: 20,000 draws vary by about half a per cent.
func TestDistribution(t *testing.T) {
	const n = 20_000
	users := map[string]int{}
	contexts := map[schemas.Context]int{}
	unknownMood := 0
	for _, r := range take(New(3, 1000), n) {
		users[r.UserID]++
		contexts[r.Context]++
		if r.Mood == schemas.MoodUnknown {
			unknownMood++
		}
	}
	within := func(what string, got int, least, most float64) {
		if share := float64(got) / n; share < least || share > most {
			t.Errorf("%s: %.3f of the requests, want %.3f to %.3f", what, share, least, most)
		}
	}
	within("anonymous", users[""], 0.02, 0.04)
	within("without a mood", unknownMood, 0.04, 0.06)
	within("first household", users["household-00001"], 0.03, 0.05)
	within("a late household", users["household-00900"], 0, 0.002)
	if len(users) < 900 {
		t.Errorf("%d households asked, want most of 1,000", len(users))
	}
	if len(contexts) != schemas.NumContexts {
		t.Errorf("%d contexts, want all %d", len(contexts), schemas.NumContexts)
	}
}

func TestNextAllocatesTheIDOnly(t *testing.T) {
	g := New(1, 100)
	var r schemas.Request
	if n := testing.AllocsPerRun(1000, func() { g.Next(&r) }); n > 1 {
		t.Errorf("%v allocations a request, want 1", n)
	}
}

func ExampleGenerator_Next() {
	g := New(1, 100)
	var r schemas.Request
	g.Next(&r)
	fmt.Println(len(r.RequestID), r.Limit >= 1)
	// Output: 36 true
}

func BenchmarkNext(b *testing.B) {
	g := New(1, 1000)
	var r schemas.Request
	b.ReportAllocs()
	for b.Loop() {
		g.Next(&r)
	}
}
