package plant

import "slices"

// Bug is a way for the program to be wrong.
type Bug string

// The bugs.
const (
	// What is stored, and when.
	OffsetBeforeRows       Bug = "offset-before-rows"       // write behind: the offset is committed, then the batch is stored
	ResultsBeforeRows      Bug = "results-before-rows"      // results and offset are committed, then the batch is stored
	NoFence                Bug = "no-fence"                 // a fence that stands elsewhere is put back, and the batch stored
	FenceApart             Bug = "fence-apart"              // the fence moves in a transaction of its own, and what it says is believed
	LedgerErrorSwallowed   Bug = "ledger-error-swallowed"   // a batch that could not be stored counts as stored
	FeedbackErrorSwallowed Bug = "feedback-error-swallowed" // likewise, of feedback
	RedeliveredScoredAnew  Bug = "redelivered-scored-anew"  // what is stored is not looked up after a crash
	RepeatsDecidedAnew     Bug = "repeats-decided-anew"     // what is stored is not looked up for an id that comes again
	RepeatAnsweredAsOwn    Bug = "repeat-answered-as-own"   // the answer to a repeat names the repeat, not what was decided
	FeedbackAppliedTwice   Bug = "feedback-applied-twice"   // a feedback has one row, and counts twice for its user and its item

	// Where a partition is read from.
	PositionKept             Bug = "position-kept"               // after a rebalance reading goes on behind the batch that was given up
	PositionBeforeProducerID Bug = "position-before-producer-id" // the offset is read while the last owner may still commit
	OffsetPlusOne            Bug = "offset-plus-one"
	OffsetMinusOne           Bug = "offset-minus-one"
	OffsetBackwards          Bug = "offset-backwards" // a commit of long ago comes late
	OffsetApart              Bug = "offset-apart"     // the offset is committed after the transaction, not in it

	// How results and dead letters leave.
	NoIdempotence         Bug = "no-idempotence"          // record batches have no producer id, and are sent again
	NoFencing             Bug = "no-fencing"              // each instance has transactional ids of its own
	PublishErrorSwallowed Bug = "publish-error-swallowed" // a batch that could not be published is dropped
	AbortTakenForCommit   Bug = "abort-taken-for-commit"  // an aborted transaction counts as committed
	OutcomeNotReadBack    Bug = "outcome-not-read-back"   // after a lost answer the same records leave in a new transaction
	ResultsScattered      Bug = "results-scattered"       // a result goes to any partition
	ResultsReversed       Bug = "results-reversed"        // the last result of a batch is first
	DeadLetterDropped     Bug = "dead-letter-dropped"     // of events whose sender is not known
	DeadLetterAltered     Bug = "dead-letter-altered"     // cleaned up into text
	RejectionUnanswered   Bug = "rejection-unanswered"    // a rejected request has a dead letter and no result
)

var bugs = []Bug{
	OffsetBeforeRows, ResultsBeforeRows, NoFence, FenceApart, LedgerErrorSwallowed, FeedbackErrorSwallowed,
	RedeliveredScoredAnew, RepeatsDecidedAnew, RepeatAnsweredAsOwn, FeedbackAppliedTwice,
	PositionKept, PositionBeforeProducerID, OffsetPlusOne, OffsetMinusOne, OffsetBackwards, OffsetApart,
	NoIdempotence, NoFencing, PublishErrorSwallowed, AbortTakenForCommit, OutcomeNotReadBack,
	ResultsScattered, ResultsReversed, DeadLetterDropped, DeadLetterAltered, RejectionUnanswered,
}

// Bugs returns all bugs.
func Bugs() []Bug { return slices.Clone(bugs) }
