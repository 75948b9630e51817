package replay

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"recstream/internal/postgres"
)

// Report is what a replay came to, or has come to so far.
type Report struct {
	RunID      int32                `json:"run_id"`
	State      postgres.ReplayState `json:"state"`
	CreatedAt  time.Time            `json:"created_at"`
	CreatedBy  string               `json:"created_by"`
	Why        string               `json:"why,omitempty"`
	FinishedAt *time.Time           `json:"finished_at,omitempty"`
	Plan       *Plan                `json:"plan"`
	Offsets    int64                `json:"offsets"`      // of the ranges
	Done       int64                `json:"offsets_done"` // of them
	Partitions []Range              `json:"partitions"`

	Read           int64            `json:"events"`
	Lost           int64            `json:"lost"` // offsets whose events Kafka had deleted
	Rejected       map[string]int64 `json:"rejected"`
	Filtered       int64            `json:"filtered"`
	Repeated       int64            `json:"repeated"`
	Alone          int64            `json:"without_live_decision"` // decided, and compared with nothing
	Irreproducible map[string]int64 `json:"irreproducible"`

	Line
	Scores    Distribution  `json:"score_differences"`
	ByModel   []ModelLine   `json:"by_model"`
	ByContext []ContextLine `json:"by_context"`
}

// Range is a range of offsets of one partition.
type Range struct {
	Partition int   `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"` // not included
	Next      int64 `json:"next"`
}

// Line is what requests that were compared with their live decisions came to. See docs/replay.md for the meaning of
// each.
type Line struct {
	Compared  int64 `json:"compared"`
	Identical int64 `json:"identical"`
	Tier      int64 `json:"differs_tier"`
	Items     int64 `json:"differs_items"`
	Rank      int64 `json:"differs_rank"`
	Score     int64 `json:"differs_score"`
	Other     int64 `json:"differs_otherwise"`
	Overlap   Mean  `json:"overlap"`
	Overlap1  Mean  `json:"overlap_1"`
	Overlap3  Mean  `json:"overlap_3"`
	Overlap10 Mean  `json:"overlap_10"`
}

// Mean is a mean overlap, 0 to 1. It is NaN where nothing was compared, null in JSON.
type Mean float64

// MarshalJSON writes the number or null.
func (m Mean) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(m)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(m))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Mean) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*m = Mean(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(m))
}

// Differing is how many were not reproduced to the byte.
func (l *Line) Differing() int64 { return l.Compared - l.Identical }

// ModelLine is the line of requests that two models answered, live and replayed; "" is no model.
type ModelLine struct {
	LiveModel   string `json:"live_model"`
	ReplayModel string `json:"replay_model"`
	Line
}

// ContextLine is the line of requests of one context; "" is unknown.
type ContextLine struct {
	Mood          string `json:"mood"`
	GroupSize     string `json:"group_size"`
	SessionLength string `json:"session_length"`
	Line
}

// Distribution is how the differences of an item's scores are distributed, over the items that both decisions have.
type Distribution struct {
	Items int64   `json:"items"`
	P50   float64 `json:"p50"` // within RelativeAccuracy, as P90 and P99
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// ReportOf returns the report of a replay: the stored one, or what there is so far.
func ReportOf(r *postgres.Replay) (*Report, error) {
	if r.Report != nil {
		report := new(Report)
		return report, json.Unmarshal(r.Report, report)
	}
	plan, all := new(Plan), new(Figures)
	if err := json.Unmarshal(r.Plan, plan); err != nil {
		return nil, fmt.Errorf("read plan of replay %d: %w", r.RunID, err)
	}
	for _, p := range r.Partitions {
		var f Figures
		if err := json.Unmarshal(p.Figures, &f); err != nil {
			return nil, fmt.Errorf("read figures of partition %d: %w", p.Partition, err)
		}
		all.Merge(&f)
	}
	return newReport(r, plan, all), nil
}

func newReport(r *postgres.Replay, plan *Plan, f *Figures) *Report {
	report := &Report{RunID: r.RunID, State: r.State, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, Why: r.Why, Plan: plan,
		Read: f.Read, Lost: f.Lost, Rejected: mergeCodes(map[string]int64{}, f.Rejected), Filtered: f.Filtered, Repeated: f.Repeated,
		Alone: f.Alone, Irreproducible: mergeCodes(map[string]int64{}, f.Irreproducible)}
	report.Done, report.Offsets = Progress(r)
	if !r.FinishedAt.IsZero() {
		report.FinishedAt = &r.FinishedAt
	}
	for _, p := range r.Partitions {
		report.Partitions = append(report.Partitions, Range{p.Partition, p.From, p.To, p.Next})
	}
	total := f.Total()
	report.Line, report.Scores = newLine(&total), distributionOf(&f.Scores)
	report.ByModel, report.ByContext = byModel(f), byContext(f)
	return report
}

func newLine(c *Counts) Line {
	l := Line{Compared: c.Compared, Identical: c.Identical, Tier: c.Tier, Items: c.Items, Rank: c.Rank, Score: c.Score, Other: c.Other}
	means := c.means()
	l.Overlap, l.Overlap1, l.Overlap3, l.Overlap10 = Mean(means[0]), Mean(means[1]), Mean(means[2]), Mean(means[3])
	return l
}

// means are the overlaps of a request in the mean, NaN without any.
func (c *Counts) means() (means [4]float64) {
	for n, sum := range c.Overlap {
		means[n] = float64(sum) / overlapUnit / float64(c.Compared)
	}
	return means
}

func distributionOf(s *Sketch) Distribution {
	return Distribution{Items: s.Count(), P50: s.Quantile(0.5), P90: s.Quantile(0.9), P99: s.Quantile(0.99), Max: s.Max()}
}

// byModel puts the groups of the same models together, in the groups' order.
func byModel(f *Figures) []ModelLine {
	lines := []ModelLine{}
	groupBy(f, func(g Group) Group { return Group{LiveModel: g.LiveModel, ReplayModel: g.ReplayModel} }, func(g Group, c *Counts) {
		lines = append(lines, ModelLine{g.LiveModel, g.ReplayModel, newLine(c)})
	})
	return lines
}

// byContext puts the groups of the same context together, in the contexts' order.
func byContext(f *Figures) []ContextLine {
	lines := []ContextLine{}
	groupBy(f, func(g Group) Group { return Group{Context: g.Context} }, func(g Group, c *Counts) {
		lines = append(lines, ContextLine{g.Context.Mood.String(), g.Context.GroupSize.String(), g.Context.SessionLength.String(), newLine(c)})
	})
	return lines
}

// groupBy hands out the sums of the groups that have the same key.
func groupBy(f *Figures, key func(Group) Group, each func(Group, *Counts)) {
	var sums Figures
	for g, c := range f.groups {
		sums.group(key(g)).merge(c)
	}
	for _, g := range sums.Groups() {
		each(g.Group, &g.Counts)
	}
}

// rows are what replay_figures has of the figures.
func (r *Report) rows(f *Figures) []postgres.ReplayFigure {
	var rows []postgres.ReplayFigure
	for _, g := range f.Groups() {
		rows = append(rows, postgres.ReplayFigure{LiveModel: g.LiveModel, ReplayModel: g.ReplayModel, Context: g.Context,
			Compared: g.Compared, Identical: g.Identical, Tier: g.Tier, Items: g.Items, Rank: g.Rank, Score: g.Score, Others: g.Other,
			Overlap: g.means()})
	}
	return rows
}

// Sum adds up counts by code.
func Sum(codes map[string]int64) (sum int64) {
	for _, n := range codes {
		sum += n
	}
	return sum
}
