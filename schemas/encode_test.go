package schemas

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

var place = Source{Topic: "recommendation.requests", Partition: 4, Offset: 123456}

func decision() Decision {
	return Decision{
		RequestID: "req-7f3a", UserID: "user-42", Context: Context{Mood: MoodFunny}, Tier: TierModel,
		Model:         &ModelRef{ID: 7, Name: "households", Version: "2", SHA256: sha},
		ConfigVersion: "c0ffee12",
		Items: []ScoredItem{
			{ItemID: "film-7", Title: "Ocean's \"Eleven\"\n\x1b", Prediction: 0.8125, Score: 1e-7, Terms: Terms{TermBase: 1e-7}},
			{ItemID: "film-3", Title: "Amélie <3 \u2028", Prediction: math.NaN(), Score: 1e21, Terms: Terms{TermBase: 1e21}},
		},
		ScoredAt:  time.Date(2026, 1, 31, 20, 30, 0, 12345678, time.FixedZone("", 3600)),
		QueueTime: 11925 * time.Microsecond, ScoreTime: 42 * time.Microsecond, Source: place,
	}
}

// explained is the decision with all that an explanation can have.
func explained() Decision {
	d, year := decision(), 2001.0
	d.Explain, d.Pinned, d.ColdStart = true, 1, []ColdStart{ColdEmptyContext, ColdNewItem}
	d.Items[0].Terms = Terms{TermBase: 0, TermBoost: -0.5, TermDiversity: -0.125}
	d.Explanation = &Explanation{
		Items: []ItemExplanation{
			{Reason: "chosen by the app"},
			{Reason: "comedy", Contributions: []Contribution{
				{Feature: "year", Label: "year of \"release\"", Value: &year, Contribution: 0.25},
				{Feature: "duration", Label: "minutes", Contribution: -1e-7},
			}},
		},
		Dropped: []Dropped{{ItemID: "film-9", Title: "Heat", Reason: DropCapYear}},
	}
	return d
}

const sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestAppendResult(t *testing.T) {
	whole := decision()
	bare := Decision{
		RequestID: "r", Tier: TierBasic, Degraded: []Reason{ReasonModelMissing, ReasonNoEligibleItems},
		ScoredAt: time.Unix(0, 0), QueueTime: -time.Hour, ScoreTime: 61 * time.Second,
	}
	tried := Decision{RequestID: "r", Experiment: &ExperimentRef{Name: "genres", Variant: "b"}, ScoredAt: time.Unix(0, 0)}
	pinned, told, unasked, short := decision(), explained(), explained(), explained()
	pinned.Pinned = 2
	unasked.Explain = false
	short.Explanation = &Explanation{Items: short.Explanation.Items[:1]}
	// From the explanation on, of the first item and of the second.
	first := func(more string) string {
		return `{"rank":1,"item_id":"film-7","title":"Ocean's \"Eleven\"\n\u001b","prediction":0.8125,"score":1e-7` + more + `},`
	}
	second := func(more string) string {
		return `{"rank":2,"item_id":"film-3","title":"Amélie <3 ` + "\u2028" + `","prediction":null,"score":1e+21` + more + `}`
	}
	answer := func(cold, items string) string {
		return `{"request_id":"req-7f3a","user_id":"user-42","status":"ok","tier":"model","degraded":[],` + cold +
			`"model":{"name":"households","version":"2","sha256":"` + sha + `"},"config_version":"c0ffee12","items":[` + items + `],` +
			`"scored_at":"2026-01-31T19:30:00.012345Z","timings_ms":{"queue":11.925,"score":0.042},` +
			`"source":{"topic":"recommendation.requests","partition":4,"offset":123456}}`
	}
	const cold = `"cold_start":["empty_context","new_item"],`
	const whyFirst = `,"pinned":true,"reason":"chosen by the app","explanation":{"terms":{"base":0,"boost":-0.5,"diversity":-0.125}}`
	tests := []struct {
		name string
		d    *Decision
		want string
	}{
		{"pinned", &pinned, answer("", first(`,"pinned":true`)+second(`,"pinned":true`))},
		{"explained", &told, answer(cold, first(whyFirst)+second(`,"reason":"comedy","explanation":{"terms":{"base":1e+21},`+
			`"contributions":[{"feature":"year","label":"year of \"release\"","value":2001,"contribution":0.25},`+
			`{"feature":"duration","label":"minutes","value":null,"contribution":-1e-7}]}`))},
		{"kept, not asked for", &unasked, answer(cold, first(`,"pinned":true`)+second(""))},
		{"explained in part", &short, answer(cold, first(whyFirst)+second(""))},
		{"all fields", &whole, `{"request_id":"req-7f3a","user_id":"user-42","status":"ok","tier":"model","degraded":[],` +
			`"model":{"name":"households","version":"2","sha256":"` + sha + `"},"config_version":"c0ffee12","items":[` +
			`{"rank":1,"item_id":"film-7","title":"Ocean's \"Eleven\"\n\u001b","prediction":0.8125,"score":1e-7},` +
			`{"rank":2,"item_id":"film-3","title":"Amélie <3 ` + "\u2028" + `","prediction":null,"score":1e+21}],` +
			`"scored_at":"2026-01-31T19:30:00.012345Z","timings_ms":{"queue":11.925,"score":0.042},` +
			`"source":{"topic":"recommendation.requests","partition":4,"offset":123456}}`},
		{"experiment", &tried, `{"request_id":"r","status":"ok","tier":"","degraded":[],"model":null,` +
			`"experiment":{"name":"genres","variant":"b"},"config_version":"","items":[],` +
			`"scored_at":"1970-01-01T00:00:00.000000Z","timings_ms":{"queue":0.000,"score":0.000},` +
			`"source":{"topic":"","partition":0,"offset":0}}`},
		{"empty, anonymous, no model", &bare, `{"request_id":"r","status":"ok","tier":"basic",` +
			`"degraded":["model_missing","no_eligible_items"],"model":null,"config_version":"","items":[],` +
			`"scored_at":"1970-01-01T00:00:00.000000Z","timings_ms":{"queue":0.000,"score":61000.000},` +
			`"source":{"topic":"","partition":0,"offset":0}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendResult([]byte("before"), tt.d)); got != "before"+tt.want {
				t.Errorf("got  %s\nwant before%s", got, tt.want)
			}
		})
	}
}

func TestAppendRejection(t *testing.T) {
	tests := []struct {
		name string
		r    Rejection
		want string
	}{
		{"with field and user", Rejection{Code: CodeOutOfRange, Field: "limit", Detail: `is "0"`, Stage: "decode",
			Attempts: 1, RequestID: "r", UserID: "u"},
			`{"request_id":"r","user_id":"u","status":"rejected","error":{"code":"out_of_range","field":"limit",` +
				`"detail":"is \"0\""},"source":{"topic":"recommendation.requests","partition":4,"offset":123456}}`},
		{"without", Rejection{Code: "poison", Detail: "d", RequestID: "r"},
			`{"request_id":"r","status":"rejected","error":{"code":"poison","detail":"d"},` +
				`"source":{"topic":"recommendation.requests","partition":4,"offset":123456}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendRejection(nil, &tt.r, place)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Readers with encoding/json lose nothing of what is written.
func TestResultReadsWhatIsWritten(t *testing.T) {
	whole, told, rejection := decision(), explained(), Rejection{Code: CodeWrongType, Field: "mood", Detail: "d", RequestID: "r", UserID: "u"}
	empty := Decision{RequestID: "r", Tier: TierBasic, Degraded: []Reason{ReasonPanic}, ConfigVersion: "1",
		ScoredAt: whole.ScoredAt}
	tests := []struct {
		name  string
		event []byte
	}{
		{"answer", AppendResult(nil, &whole)},
		{"explained answer", AppendResult(nil, &told)},
		{"empty answer", AppendResult(nil, &empty)},
		{"rejection", AppendRejection(nil, &rejection, place)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var result Result
			if err := json.Unmarshal(tt.event, &result); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := meaning(t, again), meaning(t, tt.event); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// meaning reads a result for comparison: a model that is null is one that is absent, and a time is a moment.
func meaning(t *testing.T, event []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(event, &m); err != nil {
		t.Fatal(err)
	}
	if m["model"] == nil {
		delete(m, "model")
	}
	if s, ok := m["scored_at"].(string); ok {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		m["scored_at"] = at.UnixNano()
	}
	return m
}

func TestAppendNumberIsThatOfEncodingJSON(t *testing.T) {
	numbers := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.99e-7, 1e-10, 1e20, 1e21, -1e-9, 5e-324, math.MaxFloat64}
	random := rand.New(rand.NewPCG(1, 2))
	for len(numbers) < 10_000 {
		if f := math.Float64frombits(random.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, f, random.NormFloat64())
		}
	}
	for _, f := range numbers {
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendNumber(nil, f); string(got) != string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := appendNumber(nil, f); string(got) != "null" {
			t.Errorf("%v: got %s, want null", f, got)
		}
	}
}

func TestAppendTextReadsBack(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\/", "\x00\x1f\x7f\u0080", "é\u2028🎬", "<&>"} {
		var got string
		if err := json.Unmarshal(appendText(nil, s), &got); err != nil || got != s {
			t.Errorf("%q: got %q, error %v", s, got, err)
		}
	}
	if got := string(appendText(nil, "a\xffb")); got != "\"a\ufffdb\"" {
		t.Errorf("invalid UTF-8: got %s", got)
	}
}

func TestAppendRequestRoundTrip(t *testing.T) {
	tests := []struct {
		name string
		r    Request
	}{
		{"every field", fullRequest()},
		{"no field", Request{RequestID: "r", Limit: DefaultLimit, Diversity: math.NaN()}},
		{"empty candidates", Request{RequestID: "r", Limit: 1, Diversity: 0, Candidates: []string{}}},
		{"escapes", Request{RequestID: `"\` + "\u2028é", Limit: 1, Diversity: 1e-7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			event := AppendRequest(nil, &tt.r)
			var got Request
			if err := DecodeRequest(event, &got); err != nil {
				t.Fatalf("%s: %v", event, err)
			}
			if !sameRequest(got, tt.r) {
				t.Errorf("got %+v, want %+v", got, tt.r)
			}
		})
	}
}

func TestAppendRequestWithoutLimit(t *testing.T) {
	var got Request
	if err := DecodeRequest(AppendRequest(nil, &Request{RequestID: "r"}), &got); err != nil || got.Limit != DefaultLimit {
		t.Errorf("got limit %d, error %v", got.Limit, err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	d, told, request := decision(), explained(), fullRequest()
	rejection := Rejection{Code: CodeOutOfRange, Field: "limit", Detail: `is "0"`, RequestID: "é"}
	feedback := Feedback{RequestID: "r", ItemID: "i", Action: ActionRating, Value: 4.5, At: time.Unix(0, 0)}
	buffer := make([]byte, 0, 8<<10)
	tests := []struct {
		name   string
		append func()
	}{
		{"AppendResult", func() { AppendResult(buffer, &d) }},
		{"AppendResult, explained", func() { AppendResult(buffer, &told) }},
		{"AppendRejection", func() { AppendRejection(buffer, &rejection, place) }},
		{"AppendRequest", func() { AppendRequest(buffer, &request) }},
		{"AppendFeedback", func() { AppendFeedback(buffer, &feedback) }},
		{"AppendResultID", func() { AppendResultID(buffer, d.RequestID, d.Source) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, tt.append); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkAppendResult(b *testing.B) {
	d := decision()
	for len(d.Items) < 10 {
		d.Items = append(d.Items, ScoredItem{
			ItemID: "film-000123", Title: "The Grand Budapest Hotel", Prediction: 0.73125478563, Score: 0.73125478563,
		})
	}
	buffer := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		AppendResult(buffer, &d)
	}
}
