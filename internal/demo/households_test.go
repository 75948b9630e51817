package demo

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"recstream/internal/catalogfile"
	"recstream/schemas"
)

func households(t *testing.T) *Households {
	t.Helper()
	films, problems, err := catalogfile.Read(bytes.NewReader(Catalog), catalogfile.CSV)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	h, err := NewHouseholds(films, 1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestChances compares with data/households.py, which made the models' training data by the same rules.
func TestChances(t *testing.T) {
	file, err := os.Open("testdata/chances.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) < 100 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	h := households(t)
	h.world.TasteSpread = 0
	for i, row := range rows[1:] {
		var c schemas.Context
		c.Mood, _ = schemas.ParseMood(row[0])
		c.GroupSize, _ = schemas.ParseGroupSize(row[1])
		c.SessionLength, _ = schemas.ParseSessionLength(row[2])
		user := strconv.Itoa(i)
		if row[4] == "1" {
			h.start(user, row[3])
		}
		want, err := strconv.ParseFloat(row[5], 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.chance(user, c, h.films[row[3]]); !(math.Abs(got-want) < 1e-12) {
			t.Errorf("%v: chance %v", row, got)
		}
	}
}

func TestReact(t *testing.T) {
	h := households(t)
	s := Showing{RequestID: "r", UserID: "ada", Items: h.ids[:1000], At: time.Date(2026, 1, 2, 20, 0, 0, 0, time.UTC)}
	counts := map[schemas.Action]int{}
	for _, f := range h.React(nil, s) {
		counts[f.Action]++
		if err := schemas.DecodeFeedback(schemas.AppendFeedback(nil, &f), new(schemas.Feedback)); err != nil {
			t.Fatal(err)
		}
	}
	if counts[schemas.ActionImpression] != 1000 || counts[schemas.ActionComplete] < 50 ||
		counts[schemas.ActionPlay] <= counts[schemas.ActionComplete] || counts[schemas.ActionDismiss] < 50 {
		t.Errorf("actions %v", counts)
	}
	if len(h.started["ada"]) != counts[schemas.ActionPlay] {
		t.Errorf("%d films remembered of %d", len(h.started["ada"]), counts[schemas.ActionPlay])
	}
	again := map[schemas.Action]int{}
	for _, f := range h.React(nil, s) { // the same luck, but what was started is less welcome
		again[f.Action]++
	}
	if again[schemas.ActionComplete] >= counts[schemas.ActionComplete] {
		t.Errorf("the second time %v, the first %v", again, counts)
	}
}

func TestPastIsOfTheSeed(t *testing.T) {
	before := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	past := households(t).Past(nil, "ada", 5, 4, before)
	if other := households(t).Past(nil, "ada", 5, 4, before); !reflect.DeepEqual(actionsOf(past), actionsOf(other)) {
		t.Error("two runs differ")
	}
	if other := households(t).Past(nil, "bob", 5, 4, before); reflect.DeepEqual(actionsOf(past), actionsOf(other)) {
		t.Error("two households are alike")
	}
	first, last := past[0].At, past[len(past)-1].At
	if len(past) < 20 || !last.Before(before) || before.Sub(first) < 10*24*time.Hour || before.Sub(first) > 25*24*time.Hour {
		t.Errorf("%d events from %v to %v", len(past), first, last)
	}
}

// actionsOf leaves out values, which are NaN and so never alike.
func actionsOf(list []schemas.Feedback) (out []schemas.Feedback) {
	for _, f := range list {
		f.Value = 0
		out = append(out, f)
	}
	return out
}
