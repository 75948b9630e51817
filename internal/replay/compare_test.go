package replay

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"recstream/schemas"
)

var at = time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)

// decision is a live decision with all that a row can have.
func decision() *schemas.Decision {
	return &schemas.Decision{RequestID: "r", UserID: "ada", Context: schemas.Context{Mood: schemas.MoodFunny}, RequestedAt: at,
		Tier: schemas.TierModel, Model: &schemas.ModelRef{ID: 3, Name: "films", Version: "1", SHA256: "ab"}, ConfigVersion: "c",
		CatalogVersion: 7, Considered: 12, Items: items("a", "b", "c"), UserFeatures: []float64{1, math.NaN()}, PairFeatures: []float64{0.5},
		ColdStart: []schemas.ColdStart{schemas.ColdNewItem}, ScoredAt: at.Add(time.Second), QueueTime: time.Second, ScoreTime: time.Millisecond,
		Explanation: &schemas.Explanation{Items: []schemas.ItemExplanation{{Reason: "funny"}}},
		Source:      schemas.Source{Topic: "requests", Partition: 1, Offset: 5}}
}

func TestCompare(t *testing.T) {
	third := items("a", "b", "c")[2].Score
	tests := map[string]struct {
		change  func(*schemas.Decision)
		causes  string
		overlap float64
		largest float64
	}{
		"nothing":             {func(*schemas.Decision) {}, "", 1, 0},
		"times and place":     {func(d *schemas.Decision) { d.ScoredAt, d.QueueTime, d.Source = at, 0, schemas.Source{} }, "", 1, 0},
		"versions of inputs":  {func(d *schemas.Decision) { d.CatalogVersion, d.ProfileVersion = 8, 3 }, "", 1, 0},
		"another NaN":         {func(d *schemas.Decision) { d.UserFeatures = []float64{1, math.Float64frombits(0x7ff8000000000123)} }, "", 1, 0},
		"model":               {func(d *schemas.Decision) { d.Model = &schemas.ModelRef{Name: "films", Version: "2"} }, "other", 1, 0},
		"config":              {func(d *schemas.Decision) { d.ConfigVersion = "d" }, "other", 1, 0},
		"considered":          {func(d *schemas.Decision) { d.Considered++ }, "other", 1, 0},
		"cold start":          {func(d *schemas.Decision) { d.ColdStart = nil }, "other", 1, 0},
		"feature of the user": {func(d *schemas.Decision) { d.UserFeatures = []float64{2, math.NaN()} }, "other", 1, 0},
		"feature of a pair":   {func(d *schemas.Decision) { d.PairFeatures = nil }, "other", 1, 0},
		"prediction":          {func(d *schemas.Decision) { d.Items[1].Prediction = 0.25 }, "other", 1, 0},
		"term":                {func(d *schemas.Decision) { d.Items[1].Terms[schemas.TermBoost] = 1 }, "other", 1, 0},
		"explanation":         {func(d *schemas.Decision) { d.Explanation = nil }, "other", 1, 0},
		"title":               {func(d *schemas.Decision) { d.Items[0].Title = "T" }, "other", 1, 0},
		"code":                {func(d *schemas.Decision) { d.Degraded = []schemas.Reason{schemas.ReasonPanic} }, "other", 1, 0},
		"tier":                {func(d *schemas.Decision) { d.Tier = schemas.TierBasic }, "tier", 1, 0},
		"score":               {func(d *schemas.Decision) { d.Items[2].Score = 1.5 }, "score", 1, 1.5 - third},
		"last bit of a score": {func(d *schemas.Decision) { d.Items[0].Score = math.Nextafter(1, 0) }, "score", 1, 0x1p-53},
		"infinite score":      {func(d *schemas.Decision) { d.Items[0].Score = math.Inf(1) }, "score", 1, math.Inf(1)},
		"order":               {func(d *schemas.Decision) { d.Items[0], d.Items[1] = d.Items[1], d.Items[0] }, "rank", 1, 0},
		"item":                {func(d *schemas.Decision) { d.Items[1].ItemID = "x" }, "items rank", 2 / 3.0, 0},
		"one item less":       {func(d *schemas.Decision) { d.Items = d.Items[:2] }, "items rank", 2 / 3.0, 0},
		"one item more":       {func(d *schemas.Decision) { d.Items = items("a", "b", "c", "d") }, "items rank", 0.75, 0},
		"no item in common":   {func(d *schemas.Decision) { d.Items = items("x") }, "items rank", 0, math.NaN()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			live, replayed := decision(), decision()
			test.change(replayed)
			before := fmt.Sprintf("%+v", *replayed)
			var c comparer
			var scores Sketch
			r := c.compare(live, replayed, &scores)
			if got := strings.Join(r.causes(), " "); got != test.causes || r.identical != (test.causes == "") {
				t.Errorf("differs in %q, identical %t; want %q", got, r.identical, test.causes)
			}
			if r.overlaps[0] != test.overlap || !sameNumber(r.largest, test.largest) {
				t.Errorf("overlap %v, difference %v; want %v and %v", r.overlaps[0], r.largest, test.overlap, test.largest)
			}
			if after := fmt.Sprintf("%+v", *replayed); after != before {
				t.Error("the replayed decision was changed")
			}
		})
	}
}

// Every field of a decision is compared, or is known not to be: one that is added must be thought of.
func TestEveryFieldIsThoughtOf(t *testing.T) {
	const fields = 23
	if n := reflect.TypeFor[schemas.Decision]().NumField(); n != fields {
		t.Errorf("a decision has %d fields, sameBytes was written for %d", n, fields)
	}
}

// What is stored between batches, and what is merged of partitions, is what one count of all would be.
func TestFiguresAddAndAreStored(t *testing.T) {
	changes := []func(*schemas.Decision){func(*schemas.Decision) {}, func(d *schemas.Decision) { d.Tier, d.Model = schemas.TierBasic, nil },
		func(d *schemas.Decision) { d.Items = items("a", "x") }, func(d *schemas.Decision) { d.Items[0].Score = 2 },
		func(d *schemas.Decision) { d.Considered++ }}
	var whole, halves [2]Figures
	for i := range 200 {
		live, replayed := decision(), decision()
		live.Context.Mood, replayed.Context.Mood = schemas.Mood(i%3), schemas.Mood(i%3)
		changes[i%len(changes)](replayed)
		for _, f := range []*Figures{&whole[0], &halves[i/17%2]} {
			var c comparer
			r := c.compare(live, replayed, &f.Scores)
			f.compared(live, replayed, &r)
			f.Read++
			countCode(&f.Rejected, fmt.Sprint("code-", i%4))
		}
	}
	sum := halves[0].clone()
	sum.Merge(stored(t, &halves[1]))
	if got, want := newReport(&row, &Plan{}, stored(t, sum)), newReport(&row, &Plan{}, &whole[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("report\n %+v\nwant\n %+v", got, want)
	}
	total := whole[0].Total()
	want := Counts{Compared: 200, Identical: 40, Tier: 40, Items: 40, Rank: 40, Score: 40, Other: 40, Overlap: total.Overlap}
	if total != want {
		t.Errorf("total %+v, want %+v", total, want)
	}
	if mean := total.means(); math.Abs(mean[0]-(4+1/3.0)/5) > 1/overlapUnit || mean[1] != 1 {
		t.Errorf("mean overlaps %v", mean)
	}
}

func stored(t *testing.T, f *Figures) *Figures {
	t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	back := new(Figures)
	if err := json.Unmarshal(text, back); err != nil {
		t.Fatal(err)
	}
	return back
}
