package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"recstream/internal/postgres"
	"recstream/internal/replay"
)

// listedReplay is a replay as replay list prints it.
type listedReplay struct {
	RunID     int32                `json:"run_id"`
	State     postgres.ReplayState `json:"state"`
	CreatedAt string               `json:"created_at"`
	StoredAt  string               `json:"stored_at"` // when the last batch was
	CreatedBy string               `json:"created_by"`
	Why       string               `json:"why"`
	Topic     string               `json:"topic"`
	Offsets   int64                `json:"offsets"`
	Done      int64                `json:"offsets_done"`
}

func printReplays(w io.Writer, list []postgres.Replay, output string) error {
	shown := make([]listedReplay, len(list))
	rows := make([][]string, len(list))
	for i := range list {
		r := &list[i]
		var stored time.Time
		for _, p := range r.Partitions {
			if p.UpdatedAt.After(stored) {
				stored = p.UpdatedAt
			}
		}
		s := listedReplay{RunID: r.RunID, State: r.State, CreatedAt: r.CreatedAt.Format(timeFormat), StoredAt: stored.Format(timeFormat),
			CreatedBy: r.CreatedBy, Why: r.Why, Topic: r.Topic}
		s.Done, s.Offsets = replay.Progress(r)
		shown[i] = s
		rows[i] = []string{fmt.Sprint(s.RunID), string(s.State), s.CreatedAt, s.StoredAt, fmt.Sprintf("%d/%d", s.Done, s.Offsets), s.CreatedBy, s.Why}
	}
	if output == "json" {
		return printJSON(w, shown)
	}
	return printTable(w, []string{"RUN", "STATE", "CREATED", "STORED", "OFFSETS", "BY", "WHY"}, rows)
}

func printReport(w io.Writer, r *replay.Report, output string) error {
	if output == "json" {
		return printJSON(w, r)
	}
	fmt.Fprintf(w, "replay %d of %s is %s, %d of %d offsets\n", r.RunID, r.Plan.Topic, r.State, r.Done, r.Offsets)
	fmt.Fprintf(w, "%s\n\n", planText(r.Plan))
	if err := printTable(w, []string{"EVENTS", strconv.FormatInt(r.Read, 10)}, eventRows(r)); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printTable(w, []string{"COMPARED", strconv.FormatInt(r.Compared, 10), ""}, comparedRows(r)); err != nil {
		return err
	}
	for _, table := range []struct {
		header []string
		rows   [][]string
	}{{[]string{"LIVE MODEL", "REPLAY MODEL"}, modelRows(r)}, {[]string{"MOOD", "GROUP", "SESSION"}, contextRows(r)}} {
		if len(table.rows) == 0 {
			continue
		}
		fmt.Fprintln(w)
		header := append(table.header, "COMPARED", "IDENTICAL", "TIER", "ITEMS", "RANK", "SCORE", "OTHER", "OVERLAP", "@1", "@3", "@10")
		if err := printTable(w, header, table.rows); err != nil {
			return err
		}
	}
	return nil
}

// planText says what was tried.
func planText(p *replay.Plan) string {
	if !p.Evaluates() {
		return fmt.Sprintf("reproduces the live decisions; features %s, catalogue %s", p.Features, p.Catalog)
	}
	var tried []string
	if p.Model != nil {
		tried = append(tried, "model "+p.Model.Name+"@"+p.Model.Version)
	}
	if p.Config != "" {
		tried = append(tried, "scoring parameters "+p.Config)
	}
	return fmt.Sprintf("tries %s; features %s, catalogue %s", strings.Join(tried, " and "), p.Features, p.Catalog)
}

// eventRows say what became of the events that were not compared.
func eventRows(r *replay.Report) (rows [][]string) {
	add := func(what string, n int64) {
		if n > 0 {
			rows = append(rows, []string{what, strconv.FormatInt(n, 10)})
		}
	}
	add("left out by the filter", r.Filtered)
	add("repeats of an id", r.Repeated)
	for _, code := range slices.Sorted(maps.Keys(r.Rejected)) {
		add("rejected: "+code, r.Rejected[code])
	}
	for _, code := range slices.Sorted(maps.Keys(r.Irreproducible)) {
		add("irreproducible: "+code, r.Irreproducible[code])
	}
	add("decided, without a live decision", r.Alone)
	add("compared", r.Compared)
	add("lost before they were read", r.Lost)
	return rows
}

func comparedRows(r *replay.Report) [][]string {
	row := func(what string, n int64) []string {
		return []string{what, strconv.FormatInt(n, 10), share(n, r.Compared)}
	}
	d := &r.Scores
	return [][]string{
		row("reproduced to the byte", r.Identical), row("another tier", r.Tier), row("other items", r.Items),
		row("other items or order", r.Rank), row("other scores", r.Score), row("something else only", r.Other),
		{"overlap", overlap(r.Overlap), fmt.Sprintf("@1 %s  @3 %s  @10 %s", overlap(r.Overlap1), overlap(r.Overlap3), overlap(r.Overlap10))},
		{"score difference", fmt.Sprintf("max %.3g", d.Max), fmt.Sprintf("p50 %.3g  p90 %.3g  p99 %.3g  of %d items", d.P50, d.P90, d.P99, d.Items)},
	}
}

func share(n, of int64) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(max(of, 1))) }

func overlap(m replay.Mean) string {
	if math.IsNaN(float64(m)) {
		return "-"
	}
	return strconv.FormatFloat(float64(m), 'f', 4, 64)
}

func modelRows(r *replay.Report) (rows [][]string) {
	for i := range r.ByModel {
		l := &r.ByModel[i]
		rows = append(rows, append([]string{orDash(l.LiveModel), orDash(l.ReplayModel)}, cells(&l.Line)...))
	}
	return rows
}

func contextRows(r *replay.Report) (rows [][]string) {
	for i := range r.ByContext {
		l := &r.ByContext[i]
		rows = append(rows, append([]string{orDash(l.Mood), orDash(l.GroupSize), orDash(l.SessionLength)}, cells(&l.Line)...))
	}
	return rows
}

func cells(l *replay.Line) (cells []string) {
	for _, n := range []int64{l.Compared, l.Identical, l.Tier, l.Items, l.Rank, l.Score, l.Other} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	for _, v := range []replay.Mean{l.Overlap, l.Overlap1, l.Overlap3, l.Overlap10} {
		cells = append(cells, overlap(v))
	}
	return cells
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
