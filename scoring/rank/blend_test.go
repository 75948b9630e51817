package rank

import (
	"math"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
	"recstream/scoring/similarity"
)

// freshnessOf is the term of an item with weight 1.
func freshnessOf(at, added time.Time, halfLife time.Duration) float64 {
	p := DefaultParams()
	p.Weights.Freshness, p.FreshnessHalfLife = 1, halfLife
	q := &Query{Plan: newWorld([]schemas.Item{{AddedAt: added}}, &p).plan, At: at, SimilarTo: -1}
	var b blend
	b.start(q)
	return b.terms(0, 0)[schemas.TermFreshness]
}

func TestFreshness(t *testing.T) {
	times := []time.Time{{}}
	for _, age := range []time.Duration{0, time.Microsecond, time.Second, time.Hour, 24 * time.Hour, 720 * time.Hour, 100_000 * time.Hour} {
		times = append(times, testTime.Add(-age), testTime.Add(age))
	}
	times = append(times, time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(1969, 12, 31, 23, 0, 0, 1000, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, halfLife := range []time.Duration{1, time.Microsecond, time.Second, 24 * time.Hour, 720 * time.Hour, math.MaxInt64} {
		for _, at := range times {
			for _, added := range times {
				got, want := freshnessOf(at, added, halfLife), naiveFreshness(at, added, max(halfLife, time.Microsecond))
				if age := at.Sub(added); age == math.MaxInt64 {
					continue // the naive one cannot count so far
				}
				if !almost(got, want) {
					t.Errorf("at %v with half-life %v, what was added %v is %v fresh, want %v", at, halfLife, added, got, want)
				}
			}
		}
	}
	if got := freshnessOf(testTime, testTime.Add(-48*time.Hour), 24*time.Hour); !almost(got, 0.25) {
		t.Errorf("after two half-lives %v is left", got)
	}
}

func TestCalibration(t *testing.T) {
	for _, c := range []struct {
		name    string
		c       Calibration
		p, want float64
	}{
		{"a half stays", Calibration{2, 0}, 0.5, 0.5},
		{"steeper", Calibration{2, 0}, 0.75, 0.9}, // odds of 3 are squared
		{"moved", Calibration{1, math.Log(3)}, 0.5, 0.75},
		{"certain", Calibration{0.5, -3}, 1, 1},
		{"impossible", Calibration{0.5, 3}, 0, 0},
		{"more than certain", Calibration{0.5, 3}, 7, 1},
		{"less than impossible", Calibration{0.5, 3}, -7, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.c.of(c.p); !almost(got, c.want) {
				t.Errorf("%v becomes %v, want %v", c.p, got, c.want)
			}
		})
	}
}

func TestActiveBoosts(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	film := schemas.Item{
		ID: "m1", Title: "The Thing", Genres: []string{"Horror", "Science Fiction"}, Tags: []string{"Carpenter"}, Franchise: "Thing",
		Year: 1982, DurationMin: 109, Popularity: 40, AddedAt: testTime.Add(-48 * time.Hour), Suitability: []schemas.GroupSize{schemas.GroupSolo},
		ExpiresAt: testTime.Add(72 * time.Hour),
	}
	for _, c := range []struct {
		name  string
		boost Boost
		bare  bool // holds for an item of which nothing is known
		want  bool // holds for the film
	}{
		{"no condition", Boost{}, true, true},
		{"its id", Boost{Items: []string{"m0", "m1"}}, false, true},
		{"another id", Boost{Items: []string{"m2"}}, false, false},
		{"one of its genres", Boost{Genres: []string{"Comedy", "Horror"}}, false, true},
		{"a genre in another case", Boost{Genres: []string{"horror"}}, false, false},
		{"its franchise", Boost{Franchises: []string{"Thing"}}, false, true},
		{"its tag", Boost{Tags: []string{"Carpenter"}}, false, true},
		{"a company of its own", Boost{Groups: []string{"solo"}}, false, true},
		{"another company", Boost{Groups: []string{"couple"}}, false, false},
		{"a part of its title", Boost{Title: "tHING"}, false, true},
		{"its year", Boost{Year: Range{number(1982), number(1983)}}, false, true},
		{"up to its year", Boost{Year: Range{nil, number(1982)}}, false, false},
		{"its duration", Boost{Duration: Range{number(100), nil}}, false, true},
		{"not popular", Boost{Popularity: Range{nil, number(40)}}, false, false},
		{"two days old", Boost{AgeDays: Range{number(2), number(2.0001)}}, false, true},
		{"not yet two days old", Boost{AgeDays: Range{nil, number(2)}}, false, false},
		{"older", Boost{AgeDays: Range{number(2.0001), nil}}, false, false},
		{"of an age that no item has", Boost{AgeDays: Range{nil, number(0)}}, false, false},
		{"of any age", Boost{AgeDays: Range{number(-1e300), number(1e300)}}, false, true},
		{"leaving within three days and a bit", Boost{ExpiresDays: Range{nil, number(3.0001)}}, false, true},
		{"leaving within three days", Boost{ExpiresDays: Range{nil, number(3)}}, false, false},
		{"staying three days", Boost{ExpiresDays: Range{number(3), number(4)}}, false, true},
		{"staying longer", Boost{ExpiresDays: Range{number(3.0001), nil}}, false, false},
		{"leaving before now", Boost{ExpiresDays: Range{nil, number(0)}}, false, false},
		{"leaving ever", Boost{ExpiresDays: Range{number(-1e300), number(1e300)}}, false, true},
		{"new and leaving", Boost{AgeDays: Range{nil, number(3)}, ExpiresDays: Range{nil, number(4)}}, false, true},
		{"new and leaving tomorrow", Boost{AgeDays: Range{nil, number(3)}, ExpiresDays: Range{nil, number(1)}}, false, false},
		{"older and leaving", Boost{AgeDays: Range{number(3), nil}, ExpiresDays: Range{nil, number(4)}}, false, false},
		{"from now on", Boost{From: testTime}, true, true},
		{"from later on", Boost{From: testTime.Add(1)}, false, false},
		{"until now", Boost{Until: testTime}, false, false},
		{"until later", Boost{Until: testTime.Add(1)}, true, true},
		{"two conditions, one of which holds", Boost{Genres: []string{"Horror"}, Tags: []string{"Hooper"}}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultParams()
			c.boost.Name, c.boost.Add = c.name, 0.5
			p.Boosts = []Boost{c.boost}
			w := newWorld([]schemas.Item{film, {}}, &p)
			var b blend
			b.start(&Query{Plan: w.plan, At: testTime, SimilarTo: -1})
			for item, want := range []bool{c.want, c.bare} {
				names := w.plan.ActiveBoosts(nil, int32(item), testTime)
				added := b.terms(int32(item), 0)[schemas.TermBoost]
				if (len(names) == 1) != want || (added == 0.5) != want || (!want && added != 0) {
					t.Errorf("item %d: rules %q add %v, want %v", item, names, added, want)
				}
			}
		})
	}
}

// What has expired has no days left, and matches as something that leaves now does.
func TestBoostOfTheExpired(t *testing.T) {
	none, some := 0.0, 1e-9
	for _, expires := range []time.Time{testTime, testTime.Add(-time.Hour)} {
		p := DefaultParams()
		p.Boosts = []Boost{
			{Name: "leaving", Add: 1, ExpiresDays: Range{Max: &some}}, {Name: "all", Add: 1, ExpiresDays: Range{Min: &none}},
			{Name: "staying", Add: 1, ExpiresDays: Range{Min: &some}},
		}
		w := newWorld([]schemas.Item{{ExpiresAt: expires}}, &p)
		if got := w.plan.ActiveBoosts(nil, 0, testTime); !slices.Equal(got, []string{"leaving", "all"}) {
			t.Errorf("rules %q hold for what expires at %v", got, expires)
		}
		if got := w.plan.ActiveBoosts(nil, 0, time.Time{}); len(got) > 0 {
			t.Errorf("rules %q hold at no time", got)
		}
	}
}

func TestTimeless(t *testing.T) {
	day := 1.0
	for _, c := range []struct {
		name   string
		change func(p *Params)
		want   bool
	}{
		{"the defaults", func(*Params) {}, true},
		{"freshness", func(p *Params) { p.Weights.Freshness = 1 }, false},
		{"a rule", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1}} }, true},
		{"a rule with a beginning", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1, From: testTime}} }, false},
		{"a rule with an end", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1, Until: testTime}} }, false},
		{"a rule for the new", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1, AgeDays: Range{Max: &day}}} }, false},
		{"a rule for the leaving", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1, ExpiresDays: Range{Max: &day}}} }, false},
		{"a rule that no item matches", func(p *Params) { p.Boosts = []Boost{{Name: "a", Add: 1, From: testTime, Tags: []string{"none"}}} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := DefaultParams()
			c.change(&p)
			if got := newWorld([]schemas.Item{{Title: "A"}}, &p).plan.Timeless(); got != c.want {
				t.Errorf("timeless is %v", got)
			}
		})
	}
}

func TestPlanBytes(t *testing.T) {
	p := everything()
	items := make([]schemas.Item, 1000)
	if got := NewPlan(&p, items, similarity.New(items)).Bytes(); got < 28_000 || got > 40_000 {
		t.Errorf("a plan of 1,000 items says that it takes %d bytes", got)
	}
}
