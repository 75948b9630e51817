package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"recstream/schemas"
)

func (s *shownDecision) print(w io.Writer) error {
	for _, part := range []func(io.Writer) error{s.printHead, s.printItems, s.printReasons, s.printDropped} {
		if err := part(w); err != nil {
			return err
		}
	}
	return nil
}

// printHead prints what holds for the decision as a whole.
func (s *shownDecision) printHead(w io.Writer) error {
	scored := fmt.Sprintf("%s, in %.3f ms, after %.3f ms in the queue", s.ScoredAt, s.Timings.Score, s.Timings.Queue)
	if s.RequestedAt == "" { // then nobody knows how long it waited
		scored = fmt.Sprintf("%s, in %.3f ms", s.ScoredAt, s.Timings.Score)
	}
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s  %s\n", name, text)
		}
	}
	request := s.RequestID
	if s.Source.Topic != "" { // of a simulation there is none
		request += fmt.Sprintf(", read from %s/%d/%d", s.Source.Topic, s.Source.Partition, s.Source.Offset)
	}
	line("request", request)
	line("requested", s.RequestedAt)
	line("scored", scored)
	line("user", orElse(s.UserID, "anonymous"))
	line("context", orElse(s.context(), "nothing was said"))
	line("tier", string(s.Tier)+": "+s.Tier.Meaning())
	for i := range s.Degraded {
		line("degraded", s.Degraded[i].String())
	}
	for _, c := range s.ColdStart {
		line("cold start", c.Code+": "+c.Meaning)
	}
	if s.Model != nil {
		line("model", s.Model.Name+"@"+s.Model.Version+", SHA-256 "+s.Model.SHA256)
	}
	if s.Experiment != nil {
		line("experiment", s.Experiment.Name+", variant "+s.Experiment.Variant)
	}
	line("config", s.Config)
	line("catalogue", fmt.Sprintf("version %d; %s could be chosen", s.Catalog, counted(s.Considered, "item")))
	_, err := io.WriteString(w, b.String())
	return err
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (s *shownDecision) context() string {
	var known []string
	for _, c := range [][2]string{{"mood", s.Mood}, {"company", s.GroupSize}, {"time", s.SessionLength}} {
		if c[1] != "" {
			known = append(known, c[0]+" "+c[1])
		}
	}
	return strings.Join(known, ", ")
}

// printItems prints the items with the terms that any of them has.
func (s *shownDecision) printItems(w io.Writer) error {
	if len(s.Items) == 0 {
		_, err := io.WriteString(w, "\nThe answer has no items.\n")
		return err
	}
	fmt.Fprintln(w)
	header := []string{"RANK", "ITEM", "TITLE", "SCORE"}
	var terms []int
	for t := range schemas.NumTerms {
		if s.hasTerm(t) {
			terms = append(terms, t)
			header = append(header, strings.ToUpper(schemas.TermNames[t]))
		}
	}
	header = append(header, "PREDICTION")
	rows := make([][]string, len(s.Items))
	for i := range s.Items {
		rows[i] = s.Items[i].cells(terms)
	}
	return printTable(w, header, rows)
}

func (s *shownDecision) hasTerm(t int) bool {
	for i := range s.Items {
		if s.Items[i].terms[t] != 0 {
			return true
		}
	}
	return t == schemas.TermBase
}

func (it *shownItem) cells(terms []int) []string {
	rank, prediction := strconv.Itoa(it.Rank), ""
	if it.Pinned {
		rank += " pinned"
	}
	if it.Prediction != nil {
		prediction = shortNumber(*it.Prediction)
	}
	cells := []string{rank, it.ItemID, it.Title, shortNumber(it.Score)}
	for _, t := range terms {
		text := shortNumber(it.terms[t])
		if t != schemas.TermBase {
			text = signed(it.terms[t])
		}
		cells = append(cells, text)
	}
	return append(cells, prediction)
}

// shortNumber writes a number for people; JSON has all of its digits.
func shortNumber(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// signed writes what is added to something else, nothing for 0.
func signed(v float64) string {
	switch {
	case v == 0:
		return ""
	case v > 0:
		return "+" + shortNumber(v)
	}
	return shortNumber(v)
}

const notKept = `
Reasons, contributions and dropped items were not kept. They are kept for a request with explain: true, and, of
others, as the scoring parameter explain.keep says: sampled or always.
`

// printReasons prints for each item its reason and what its features contribute.
func (s *shownDecision) printReasons(w io.Writer) error {
	if !s.Kept {
		_, err := io.WriteString(w, notKept)
		return err
	}
	for i := range s.Items {
		it := &s.Items[i]
		fmt.Fprintf(w, "\n%d. %s: %s\n", it.Rank, orElse(it.Title, it.ItemID), orElse(it.Reason, "no reason was kept"))
		if len(it.Explanation.Contributions) == 0 {
			continue
		}
		rows := make([][]string, len(it.Explanation.Contributions))
		for k, c := range it.Explanation.Contributions {
			rows[k] = []string{"  ", signed(c.Contribution), c.Label, valueText(c.Value), c.Feature}
		}
		if err := printTable(w, []string{"  ", "ADDS", "WHAT", "VALUE", "FEATURE"}, rows); err != nil {
			return err
		}
	}
	return nil
}

func valueText(v *float64) string {
	if v == nil {
		return "missing"
	}
	return shortNumber(*v)
}

// printDropped prints what was not recommended.
func (s *shownDecision) printDropped(w io.Writer) error {
	if !s.Kept {
		return nil
	}
	if len(s.Dropped) == 0 {
		_, err := io.WriteString(w, "\nNo dropped items were kept: there were none, or the scoring parameter explain.max_dropped is 0.\n")
		return err
	}
	fmt.Fprintf(w, "\nDropped, the nearest misses first:\n\n")
	rows := make([][]string, len(s.Dropped))
	for i, d := range s.Dropped {
		score := ""
		if d.Score != nil {
			score = shortNumber(*d.Score)
		}
		rows[i] = []string{d.ItemID, d.Title, score, string(d.Reason), d.Meaning}
	}
	return printTable(w, []string{"ITEM", "TITLE", "SCORE", "REASON", "MEANING"}, rows)
}
