package telemetry

import (
	"slices"
	"strings"

	"recstream/consumer"
	"recstream/schemas"
)

// The values that labels can have. A series is there for each from the start, so that the first of anything is an
// increase from 0.
var (
	tiers = []schemas.Tier{schemas.TierModel, schemas.TierPrevious, schemas.TierSimilar, schemas.TierPopular,
		schemas.TierEditorial, schemas.TierBasic}

	reasons = []schemas.Reason{schemas.ReasonModelMissing, schemas.ReasonModelLoadFailed, schemas.ReasonFeatureMismatch,
		schemas.ReasonPreviousMissing, schemas.ReasonNonFiniteScore, schemas.ReasonConstantScores,
		schemas.ReasonDriftExceeded, schemas.ReasonMissingFeatures, schemas.ReasonEvaluatorsDisagree,
		schemas.ReasonDeadlineExceeded, schemas.ReasonPanic, schemas.ReasonCircuitOpen, schemas.ReasonSwitchedOff,
		schemas.ReasonNoHistory, schemas.ReasonPopularityMissing, schemas.ReasonNoEditorialList,
		schemas.ReasonNoEligibleItems}

	gapReasons = []schemas.GapReason{schemas.GapRetention, schemas.GapLedgerBehind}

	coldStarts = []schemas.ColdStart{schemas.ColdAnonymousUser, schemas.ColdUnknownUser, schemas.ColdEmptyContext,
		schemas.ColdNewItem}

	// codes are those of dead letters: the decoder's, then those of a value that the database refuses and of a
	// panic.
	codes = []string{schemas.CodeMessageTooLarge, schemas.CodeEmptyMessage, schemas.CodeInvalidJSON,
		schemas.CodeTrailingData, schemas.CodeInvalidUTF8, schemas.CodeNestingTooDeep, schemas.CodeDuplicateField,
		schemas.CodeUnknownField, schemas.CodeMissingField, schemas.CodeWrongType, schemas.CodeUnknownValue,
		schemas.CodeOutOfRange, schemas.CodeTooLong, schemas.CodeTooMany, schemas.CodeInvalidTime,
		schemas.CodeInvalidText, consumer.CodeRecordRefused, string(schemas.ReasonPanic)}

	stages = consumer.Stages()

	// states of a tier, the better first.
	states = []string{"closed", "drifted", "half_open", "open", "unavailable"}
)

// Values beside those of the lists.
const (
	other   = "other" // of a list that lacks the value
	noCause = "none"  // of an answer that is not degraded
)

// tally counts by the values of a list. What is not in the list is counted under other.
type tally[T ~string] struct {
	values []T
	counts []uint64 // one more than values
}

func newTally[T ~string](values []T) tally[T] {
	return tally[T]{values: values, counts: make([]uint64, len(values)+1)}
}

func (t *tally[T]) add(value T) { t.counts[t.place(value)]++ }

// place returns where a value is counted. The lists are short; most values are near the front.
func (t *tally[T]) place(value T) int {
	if i := slices.Index(t.values, value); i >= 0 {
		return i
	}
	return len(t.values)
}

// each calls do with every value and its count. Other is left out while it has none.
func (t *tally[T]) each(do func(value string, count uint64)) {
	for i, v := range t.values {
		do(string(v), t.counts[i])
	}
	if n := t.counts[len(t.values)]; n > 0 {
		do(other, n)
	}
}

// valid makes label values of any text, in place: Prometheus takes nothing but UTF-8.
func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}
