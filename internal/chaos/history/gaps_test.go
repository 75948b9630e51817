package history_test

import (
	"fmt"
	"slices"
	"testing"

	"recstream/internal/chaos/history"
)

// TestRowsInAGapEndAtAFence has four feedbacks in a gap. Rows are fine up to where a fence can have been.
func TestRowsInAGapEndAtAFence(t *testing.T) {
	for name, test := range map[string]struct {
		rows   []int64 // offsets that have one
		before int64   // where another gap ends; 0 is none
		wrong  bool
	}{
		"none":                       {},
		"the first":                  {rows: []int64{0}},
		"all":                        {rows: []int64{0, 1, 2, 3}},
		"not the first":              {rows: []int64{1}, wrong: true},
		"one left out":               {rows: []int64{0, 1, 3}, wrong: true},
		"from another gap's end":     {rows: []int64{2}, before: 2},
		"not from another gap's end": {rows: []int64{3}, before: 2, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			violations := history.Check(feedbackInGap(test.rows, test.before))
			wrong := slices.ContainsFunc(violations, func(v history.Violation) bool { return v.Code == history.WrongGap })
			if wrong != test.wrong || len(violations) > 0 && !wrong {
				t.Errorf("wrong is %t, want %t\n%s", wrong, test.wrong, history.Report(violations, 3))
			}
		})
	}
}

func feedbackInGap(rows []int64, before int64) *history.History {
	gap := history.Gap{Topic: topics.Feedback, To: 4, Reason: history.Retention}
	h := &history.History{Run: history.Run{Topics: topics, Groups: groups}, Gaps: []history.Gap{gap},
		Logs: []history.Log{{Topic: topics.Feedback, First: 4, End: 4}}}
	if gap.To = before; before > 0 {
		h.Gaps = append(h.Gaps, gap)
	}
	for offset := range int64(4) {
		p := history.Published{Place: history.Place{Topic: topics.Feedback, Offset: offset}, Kind: history.Feedback, Time: epoch,
			Value: history.Bytes(fmt.Sprintf(`{"request_id":"%d","item_id":"a","action":"click"}`, offset))}
		h.Published = append(h.Published, p)
		if slices.Contains(rows, offset) {
			h.Outcomes = append(h.Outcomes, history.Outcome{RequestID: fmt.Sprint(offset), ItemID: "a", Action: "click", At: epoch, Source: p.Place})
		}
	}
	return h
}
