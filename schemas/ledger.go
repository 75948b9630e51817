package schemas

import "time"

// Batch is what the ledger stores at once: new decisions of one partition and the move of its fence.
type Batch struct {
	Topic     string
	Partition int
	From      int64       // where the fence stands
	Next      int64       // where it goes; not below From
	Decisions []*Decision // all with the same ScoredAt; none where only the fence moves
}

// FeedbackBatch is what is stored at once of one partition's feedback: the events, what they change in the
// profiles of their users, and the move of the fence.
type FeedbackBatch struct {
	Topic      string
	Partition  int
	From       int64           // where the fence stands
	Next       int64           // where it goes; not below From
	Events     []FeedbackEvent // in the order of their offsets; none where only the fence moves
	Repeated   bool            // some of them may be stored already: those are left out
	ReceivedAt time.Time       // UTC, whole microseconds
}

// FeedbackEvent is a feedback with its place in its partition. Its time is filled in.
type FeedbackEvent struct {
	*Feedback
	Offset int64
}

// Gap is a run of a partition's offsets that was passed over: what was there has no outcome.
type Gap struct {
	Topic     string
	Partition int
	From, To  int64 // from the first offset up to that after the last
	Reason    GapReason
}

// GapReason is a stable code that says why a gap is there.
type GapReason string

// The reasons.
const (
	GapRetention    GapReason = "retention"     // the topic's retention deleted the events before they were read
	GapLedgerBehind GapReason = "ledger_behind" // the committed offset was ahead of the ledger: set forward by hand, or the ledger lost rows
)
