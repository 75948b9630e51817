package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// answer is a result as it was read from its topic.
type answer struct {
	*Emitted `json:"-"`
	ID       string `json:"-"` // ce_id

	RequestID  string   `json:"request_id"`
	UserID     string   `json:"user_id"`
	Status     string   `json:"status"`
	Tier       string   `json:"tier"`
	Degraded   []string `json:"degraded"`
	ColdStart  []string `json:"cold_start"`
	Model      *Model   `json:"model"`
	Experiment struct {
		Name    string `json:"name"`
		Variant string `json:"variant"`
	} `json:"experiment"`
	ConfigVersion string       `json:"config_version"`
	Items         []answerItem `json:"items"`
	ScoredAt      time.Time    `json:"scored_at"`
	Timings       struct {
		Queue float64 `json:"queue"`
		Score float64 `json:"score"`
	} `json:"timings_ms"`
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
	Source Place `json:"source"`
}

type answerItem struct {
	Rank       int      `json:"rank"`
	ItemID     string   `json:"item_id"`
	Title      string   `json:"title"`
	Prediction *float64 `json:"prediction"`
	Score      *float64 `json:"score"`
	Pinned     bool     `json:"pinned"`
	Reason     string   `json:"reason"`
}

// The statuses of results, and what its headers say of a result.
const (
	statusOK       = "ok"
	statusRejected = "rejected"

	headerID          = "ce_id"
	headerType        = "ce_type"
	headerContentType = "content-type"
	typeResult        = "recommendation.result.v1"
	contentTypeJSON   = "application/json"
)

// readAnswer reads a result, as an app does.
func readAnswer(e *Emitted) (*answer, error) {
	a := &answer{Emitted: e}
	if err := json.Unmarshal(e.Value, a); err != nil {
		return nil, fmt.Errorf("result %v is not to be read: %w", e.Value, err)
	}
	kind, _ := e.header(headerType)
	content, _ := e.header(headerContentType)
	a.ID, _ = e.header(headerID)
	switch {
	case kind != typeResult || content != contentTypeJSON || a.ID == "":
		return nil, fmt.Errorf("headers %v are not those of a result", e.Headers)
	case a.Status != statusOK && a.Status != statusRejected:
		return nil, fmt.Errorf("result %v has no status", e.Value)
	case string(e.Key) != a.key():
		return nil, fmt.Errorf("its key is %v, is to be %q", e.Key, a.key())
	}
	return a, nil
}

// key is the key that keeps a user's results in order.
func (a *answer) key() string {
	if a.UserID != "" {
		return a.UserID
	}
	return a.RequestID
}

// same reports whether two results are one that was written twice.
func (a *answer) same(b *answer) bool { return a.ID == b.ID && bytes.Equal(a.Value, b.Value) }

// differs says what a result has that its row has not, "" for nothing. It knows the row's and the result's published
// forms only.
func (a *answer) differs(d *Decision) string {
	type pair struct {
		name     string
		got, row any
	}
	for _, p := range []pair{
		{"request_id", a.RequestID, d.RequestID},
		{"user_id", a.UserID, d.UserID},
		{"tier", a.Tier, d.Tier},
		{"experiment", a.Experiment.Name, d.Experiment},
		{"variant", a.Experiment.Variant, d.Variant},
		{"config_version", a.ConfigVersion, d.ConfigVersion},
		{"source", a.Source, d.Source},
		{"scored_at", a.ScoredAt.UnixMicro(), d.ScoredAt.UnixMicro()},
		{"queue, µs", micros(a.Timings.Queue), d.QueueMicros},
		{"score, µs", micros(a.Timings.Score), d.ScoreMicros},
		{"items", len(a.Items), len(d.ItemIDs)},
	} {
		if p.got != p.row {
			return fmt.Sprintf("%s is %v, in the row %v", p.name, p.got, p.row)
		}
	}
	switch {
	case !slices.Equal(a.Degraded, d.Degraded):
		return fmt.Sprintf("degraded is %q, in the row %q", a.Degraded, d.Degraded)
	case !slices.Equal(a.ColdStart, d.ColdStart):
		return fmt.Sprintf("cold_start is %q, in the row %q", a.ColdStart, d.ColdStart)
	case (a.Model == nil) != (d.Model == nil) || a.Model != nil && *a.Model != *d.Model:
		return fmt.Sprintf("model is %+v, in the row %+v", a.Model, d.Model)
	}
	return a.differsInItems(d)
}

// differsInItems is for a row with as many items as the result. The row's arrays may differ in length, which is the
// row's fault and not the result's.
func (a *answer) differsInItems(d *Decision) string {
	if len(d.Titles) != len(a.Items) || len(d.Predictions) != len(a.Items) || len(d.Scores) != len(a.Items) {
		return ""
	}
	for i := range a.Items {
		got := &a.Items[i]
		switch {
		case got.Rank != i+1 || got.ItemID != d.ItemIDs[i] || got.Title != d.Titles[i]:
			return fmt.Sprintf("item %d is %d %q %q, in the row %q %q", i+1, got.Rank, got.ItemID, got.Title, d.ItemIDs[i], d.Titles[i])
		case !equalNumbers(got.Prediction, d.Predictions[i]):
			return fmt.Sprintf("item %d has another prediction than in the row", i+1)
		case !equalNumbers(got.Score, &d.Scores[i]):
			return fmt.Sprintf("item %d has another score than in the row", i+1)
		case got.Pinned != (i < d.Pinned):
			return fmt.Sprintf("item %d: pinned is %v, the row has %d pinned", i+1, got.Pinned, d.Pinned)
		case !isCutOf(got.Reason, d.reason(i)):
			return fmt.Sprintf("item %d: reason is %q, of the row %q", i+1, got.Reason, d.reason(i))
		}
	}
	return ""
}

// reason is what a result is to say of item i.
func (d *Decision) reason(i int) string {
	if !d.Explain || i >= len(d.Reasons) {
		return ""
	}
	return d.Reasons[i]
}

// minCutText is the least that a result has of a text that it cuts: 160 bytes, of which a character takes six at most.
const minCutText = 160 / 6

// isCutOf reports whether got is text, or the start of it that a result has room for.
func isCutOf(got, text string) bool {
	return got == text || len(got) >= minCutText && strings.HasPrefix(text, got)
}

// micros is a time in milliseconds, with three decimals, in whole microseconds.
func micros(millis float64) int64 { return int64(math.Round(millis * 1000)) }

// equalNumbers compares to the bit; nil is null.
func equalNumbers(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Float64bits(*a) == math.Float64bits(*b)
}
