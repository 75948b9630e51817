package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Code says what is wrong. Codes are stable.
type Code string

// The codes.
const (
	LostRow              Code = "lost_row"               // a good request has no row
	DoubledRow           Code = "doubled_row"            // a request has several rows of one run
	InventedRow          Code = "invented_row"           // a row of a request that nobody published
	WrongRow             Code = "row_differs_from_event" // a row does not say what its event said, or names another
	LostResult           Code = "lost_result"            // fewer results than events
	DoubledResult        Code = "doubled_result"         // more results than events
	InventedResult       Code = "invented_result"        // a result, in either view, of nothing that was published
	ResultDiffersFromRow Code = "result_differs_from_row"
	ResultsDiffer        Code = "results_differ"   // two results of one request have other bytes or another ce_id
	WrongID              Code = "wrong_ce_id"      // the ce_id does not name the event that was decided
	MalformedResult      Code = "malformed_result" // not to be read, without its headers, or under a wrong key
	ViewsDiffer          Code = "views_differ"     // a read_committed reader sees what a read_uncommitted one does not
	OrderBroken          Code = "order_broken"     // results of one key are in another order than their events
	KeyScattered         Code = "key_scattered"    // results of one key are in several partitions

	LostRejection      Code = "lost_rejection"      // a bad request with a readable id has no rejected result
	DoubledRejection   Code = "doubled_rejection"   // … or several
	WrongRejection     Code = "wrong_rejection"     // … or one with another code, id or user
	DeadLetterLost     Code = "dead_letter_lost"    // a bad event has no dead letter
	DeadLetterDoubled  Code = "dead_letter_doubled" // … or several
	DeadLetterWrong    Code = "dead_letter_wrong"   // … or one with another code, or not the event's bytes, key and headers
	InventedDeadLetter Code = "invented_dead_letter"

	LostOutcome     Code = "lost_outcome"    // a feedback has no row
	DoubledOutcome  Code = "doubled_outcome" // … or several
	WrongOutcome    Code = "outcome_differs_from_event"
	InventedOutcome Code = "invented_outcome"

	ProfileWrong    Code = "profile_wrong"    // a profile is not what its user's feedback comes to
	PopularityWrong Code = "popularity_wrong" // an item's popularity is not what feedback on it comes to

	OffsetBackwards    Code = "offset_backwards" // a committed offset went back, or vanished
	CommitLost         Code = "commit_lost"      // an offset was seen committed, and Kafka's log of commits has it not
	FenceBackwards     Code = "fence_backwards"
	OffsetBeyondEnd    Code = "offset_beyond_end" // a committed offset is more than the log has
	FenceBeyondEnd     Code = "fence_beyond_end"
	OffsetAheadOfFence Code = "offset_ahead_of_fence" // committed in Kafka before it was stored
	OffsetNotAtEnd     Code = "offset_not_at_end"     // the run ended with events unread
	FenceNotAtEnd      Code = "fence_not_at_end"

	WrongGap      Code = "wrong_gap"      // a gap names events that were answered or stored, or that retention has not deleted
	BrokenHistory Code = "broken_history" // the history itself cannot be: nothing can be concluded from it
)

// Codes returns all codes.
func Codes() []Code {
	return []Code{
		LostRow, DoubledRow, InventedRow, WrongRow,
		LostResult, DoubledResult, InventedResult, ResultDiffersFromRow, ResultsDiffer, WrongID, MalformedResult, ViewsDiffer,
		OrderBroken, KeyScattered,
		LostRejection, DoubledRejection, WrongRejection,
		DeadLetterLost, DeadLetterDoubled, DeadLetterWrong, InventedDeadLetter,
		LostOutcome, DoubledOutcome, WrongOutcome, InventedOutcome,
		ProfileWrong, PopularityWrong,
		OffsetBackwards, CommitLost, FenceBackwards, OffsetBeyondEnd, FenceBeyondEnd, OffsetAheadOfFence, OffsetNotAtEnd, FenceNotAtEnd,
		WrongGap, BrokenHistory,
	}
}

// Violation is one thing that is wrong.
type Violation struct {
	Code    Code
	Subject string // a request id or a place
	Detail  string
}

// String returns the violation in one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Code, v.Subject, v.Detail) }

// Report lists violations for people: how many there are of each code, and the first limit of each.
func Report(violations []Violation, limit int) string {
	byCode := map[Code][]Violation{}
	for _, v := range violations {
		byCode[v.Code] = append(byCode[v.Code], v)
	}
	var text strings.Builder
	for _, code := range sortedKeys(byCode) {
		list := byCode[code]
		fmt.Fprintf(&text, "%s: %d\n", code, len(list))
		for _, v := range list[:min(limit, len(list))] {
			fmt.Fprintf(&text, "  %s: %s\n", v.Subject, v.Detail)
		}
		if more := len(list) - limit; more > 0 {
			fmt.Fprintf(&text, "  and %d more\n", more)
		}
	}
	return text.String()
}

// sortedKeys returns a map's keys in order, so that a history is always judged in the same words.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
