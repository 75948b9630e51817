package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"recstream/internal/replay"
)

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

// planText says what was tried, on what, and within which limits.
func planText(p *replay.Plan) string {
	text := "reproduces the live decisions"
	if tried := triedText(p); tried != "" {
		text = "tries " + tried
	}
	text += fmt.Sprintf("; features %s, catalogue %s", p.Features, p.Catalog)
	if chosen := filterText(&p.Filter); chosen != "" {
		text += "; only of " + chosen
	}
	if limits := limitsText(p.Limits); limits != "" {
		text += "; limits: " + limits
	}
	return text
}

// triedText names the model and the parameters that are tried, "" where live decisions are reproduced.
func triedText(p *replay.Plan) string {
	var tried []string
	if p.Model != nil {
		tried = append(tried, "model "+p.Model.Name+"@"+p.Model.Version)
	}
	if p.Config != "" {
		tried = append(tried, "scoring "+p.Config)
	}
	return strings.Join(tried, ", ")
}

// briefly says what was tried in a cell of a table.
func briefly(p *replay.Plan) string {
	text := cmp.Or(triedText(p), "as live")
	if p.Features == replay.FeaturesFresh {
		text += ", features fresh"
	}
	if p.Catalog == replay.CatalogPresent {
		text += ", catalogue present"
	}
	return text
}

// filterText names what a filter takes, "" where it takes all.
func filterText(f *replay.Filter) string {
	tiers := make([]string, len(f.Tiers))
	for i, t := range f.Tiers {
		tiers[i] = string(t)
	}
	const named = 3 // longer lists are counted
	var parts []string
	for _, one := range []struct {
		what string
		list []string
	}{{"ids", f.RequestIDs}, {"users", f.Users}, {"tiers", tiers}, {"models", f.Models}} {
		switch n := len(one.list); {
		case n > named:
			parts = append(parts, fmt.Sprintf("%d %s", n, one.what))
		case n > 0:
			parts = append(parts, one.what+" "+strings.Join(one.list, ","))
		}
	}
	return strings.Join(parts, ", ")
}

// limitsText names the limits, "" for none.
func limitsText(l replay.Limits) string {
	var parts []string
	if l.Differing != nil {
		parts = append(parts, fmt.Sprintf("%d differing", *l.Differing))
	}
	if l.Irreproducible != nil {
		parts = append(parts, fmt.Sprintf("%d irreproducible", *l.Irreproducible))
	}
	if l.Overlap != nil {
		parts = append(parts, fmt.Sprintf("overlap %v", *l.Overlap))
	}
	return strings.Join(parts, ", ")
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
