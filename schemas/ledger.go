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
