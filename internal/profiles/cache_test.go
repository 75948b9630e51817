package profiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/schemas"
)

// store has a profile of each user whose id does not begin with "no". It notes its queries.
type store struct {
	mu      sync.Mutex
	queries [][]string
	err     error
	items   int // of a profile
	reads   float64
}

func (s *store) Profiles(_ context.Context, users []string, into map[string]*schemas.Profile) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, slices.Clone(users))
	if s.err != nil {
		return s.err
	}
	s.reads++
	for _, user := range users {
		if !strings.HasPrefix(user, "no") {
			p := &schemas.Profile{UserID: user, Activity: s.reads}
			for i := range s.items {
				p.Items = append(p.Items, schemas.ProfileItem{ItemID: fmt.Sprintf("%s-%0100d", user, i)})
			}
			into[user] = p
		}
	}
	return nil
}

// bench is a cache with a clock that a test sets.
type bench struct {
	*Cache
	store *store
	now   time.Time
}

func newBench(limit int, ttl time.Duration) *bench {
	b := &bench{store: &store{}, now: time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)}
	b.Cache = NewCache(b.store, limit, ttl, func() time.Time { return b.now })
	return b
}

// fetch returns the users of whom something was found, and checks that the store was asked for those wanted.
func (b *bench) fetch(t *testing.T, wantAsked []string, users ...string) map[string]*schemas.Profile {
	t.Helper()
	before := len(b.store.queries)
	into := map[string]*schemas.Profile{}
	if err := b.Fetch(t.Context(), users, into); err != nil {
		t.Fatal(err)
	}
	queries := b.store.queries[before:]
	switch {
	case len(queries) > 1:
		t.Errorf("fetching %v took %d queries, want one at the most", users, len(queries))
	case !slices.Equal(slices.Concat(queries...), wantAsked):
		t.Errorf("fetching %v asked for %v, want %v", users, slices.Concat(queries...), wantAsked)
	}
	for user, p := range into {
		if p == nil || p.UserID != user {
			t.Errorf("profile of %s is %+v", user, p)
		}
	}
	return into
}

func keys(m map[string]*schemas.Profile) []string { return slices.Sorted(maps.Keys(m)) }

const large = 1 << 30

func TestABatchIsOneQueryForWhatIsMissing(t *testing.T) {
	b := newBench(large, time.Minute)
	got := b.fetch(t, []string{"a", "b", "nobody"}, "b", "", "a", "nobody", "b")
	if !slices.Equal(keys(got), []string{"a", "b"}) {
		t.Errorf("found %v, want a and b", keys(got))
	}
	b.fetch(t, []string{"c"}, "a", "c", "nobody")
	if got := b.fetch(t, nil, "a", "b", "c", "nobody"); len(got) != 3 {
		t.Errorf("found %v, want a, b and c", keys(got))
	}
	b.fetch(t, nil)
	b.fetch(t, nil, "")
}

func TestProfilesAreReadAgainAfterTheirTime(t *testing.T) {
	b := newBench(large, time.Minute)
	b.fetch(t, []string{"a", "nobody"}, "a", "nobody")
	b.now = b.now.Add(time.Minute - 1)
	if p := b.fetch(t, []string{"b"}, "a", "b", "nobody")["a"]; p.Activity != 1 {
		t.Errorf("profile of query %v, want the first", p.Activity)
	}
	b.now = b.now.Add(1)
	if p := b.fetch(t, []string{"a", "nobody"}, "a", "b", "nobody")["a"]; p.Activity != 3 {
		t.Errorf("profile of query %v, want the third", p.Activity)
	}
	if len(b.users) != 3 || b.order.Len() != 3 {
		t.Errorf("%d users in the map and %d in the list, want 3 and 3", len(b.users), b.order.Len())
	}
}

func TestWithoutATimeToLiveEveryFetchReads(t *testing.T) {
	b := newBench(large, 0)
	b.fetch(t, []string{"a"}, "a")
	b.fetch(t, []string{"a"}, "a")
}

func TestWhatWasAskedForLongestAgoGoes(t *testing.T) {
	b := newBench(large, time.Minute)
	b.fetch(t, []string{"a", "b", "c"}, "a", "b", "c")
	b.limit = b.bytes
	b.fetch(t, nil, "a")
	b.fetch(t, nil, "c")
	b.fetch(t, []string{"d"}, "d") // in b's place
	b.fetch(t, nil, "a", "c", "d")
	b.fetch(t, []string{"b"}, "b")
}

func TestMemoryIsBoundedWhateverAProfileTakes(t *testing.T) {
	const limit = 1 << 20
	for _, items := range []int{0, 10, schemas.MaxProfileItems} {
		t.Run(fmt.Sprint(items, " items"), func(t *testing.T) {
			b := newBench(limit, time.Minute)
			b.store.items = items
			before := heap()
			for i := range 3*limit/(20*(300+200*items)) + 1 { // about three times what the bound allows
				var users []string
				for j := range 20 {
					users = append(users, fmt.Sprintf("user-%d-%d", i, j), fmt.Sprintf("nobody-%d-%d", i, j))
				}
				if err := b.Fetch(t.Context(), users, map[string]*schemas.Profile{}); err != nil {
					t.Fatal(err)
				}
				if b.bytes > limit {
					t.Fatalf("%d bytes kept, want at most %d", b.bytes, limit)
				}
			}
			b.store.queries = nil
			if b.bytes < limit*8/10 {
				t.Errorf("%d bytes kept, of %d allowed: the bound was not reached", b.bytes, limit)
			}
			if used := heap() - before; used > limit*5/4 {
				t.Errorf("the heap has %d bytes more, want about %d at the most", used, limit)
			}
			runtime.KeepAlive(b)
		})
	}
}

// heap returns the bytes that are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestABatchLargerThanTheBoundIsAnsweredInFull(t *testing.T) {
	b := newBench(1, time.Minute)
	if got := b.fetch(t, []string{"a", "b"}, "a", "b"); len(got) != 2 {
		t.Errorf("found %v, want a and b", keys(got))
	}
	if b.bytes != 0 || len(b.users) != 0 || b.order.Len() != 0 {
		t.Errorf("%d bytes of %d users kept, want none", b.bytes, len(b.users))
	}
}

func TestAFailedQueryIsForgotten(t *testing.T) {
	b := newBench(large, time.Minute)
	b.store.err = errors.New("database away")
	if err := b.Fetch(t.Context(), []string{"a"}, map[string]*schemas.Profile{}); !errors.Is(err, b.store.err) {
		t.Errorf("error %v, want %v", err, b.store.err)
	}
	b.store.err = nil
	if got := b.fetch(t, []string{"a"}, "a"); len(got) != 1 {
		t.Error("a is not found after the trouble")
	}
}

func TestTheLaterOfTwoReadsStays(t *testing.T) {
	b := newBench(large, time.Minute)
	late, early := &schemas.Profile{UserID: "a", Activity: 2}, &schemas.Profile{UserID: "a", Activity: 1}
	b.keep([]string{"a"}, map[string]*schemas.Profile{"a": late}, b.now.Add(time.Second))
	b.keep([]string{"a"}, map[string]*schemas.Profile{"a": early}, b.now)
	if got := b.fetch(t, nil, "a")["a"]; got != late {
		t.Errorf("kept that of read %v, want 2", got.Activity)
	}
}

func TestConcurrentWorkers(t *testing.T) {
	b := newBench(20<<10, time.Minute)
	b.store.items = 3
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 300 {
				users := []string{fmt.Sprint("user-", (i*worker)%40), fmt.Sprint("user-", i%50), fmt.Sprint("nobody-", i%7)}
				into := map[string]*schemas.Profile{}
				if err := b.Fetch(t.Context(), users, into); err != nil {
					t.Error(err)
				}
				for _, user := range users[:2] {
					if p := into[user]; p == nil || p.UserID != user {
						t.Errorf("profile of %s is %+v", user, p)
					}
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for e := b.order.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*entry).bytes
	}
	if sum != b.bytes || b.bytes > b.limit || len(b.users) != b.order.Len() {
		t.Errorf("%d bytes counted, %d kept; %d users in the map, %d in the list", b.bytes, sum, len(b.users), b.order.Len())
	}
}

func TestWhatIsAtHandAllocatesNothing(t *testing.T) {
	b := newBench(large, time.Minute)
	users := []string{"a", "b", "nobody", ""}
	into := b.fetch(t, []string{"a", "b", "nobody"}, users...)
	if n := testing.AllocsPerRun(100, func() { _ = b.Fetch(t.Context(), users, into) }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestStatsCountUsers(t *testing.T) {
	b := newBench(1<<20, time.Minute)
	b.fetch(t, []string{"a", "b", "nobody"}, "a", "b", "nobody", "")
	b.fetch(t, []string{"c"}, "a", "c", "nobody")
	b.now = b.now.Add(time.Hour)
	b.fetch(t, []string{"a"}, "a")
	if s := b.Stats(); s.Hits != 2 || s.Misses != 5 || s.Bytes != b.bytes || s.Bytes == 0 {
		t.Errorf("stats %+v, want 2 hits and 5 misses", s)
	}
}
