package plant

import "slices"

// Point is a place in the program where a fault can happen. Those whose names begin with feedback are on the way of
// a batch of feedback, the others on that of a batch of requests.
type Point string

// The points of requests, in the order in which a partition that is taken over reaches them.
const (
	BeforeProducerID Point = "open.before_producer_id" // InitProducerID is about to be sent
	AfterProducerID  Point = "open.after_producer_id"
	MarkBegun        Point = "open.mark_begun"    // AddOffsetsToTxn is answered, for the mark
	BeforeOffset     Point = "open.before_offset" // the mark is about to be set, and the committed offset to be read
	AfterOffset      Point = "open.after_offset"
	MarkEnded        Point = "open.mark_ended"   // EndTxn is answered, which takes the mark back
	BeforeFence      Point = "open.before_fence" // the fence is about to be read
	AfterFence       Point = "open.after_fence"

	BeforeFetch Point = "fetch.before"
	AfterFetch  Point = "fetch.after" // with records
	BeforeFind  Point = "find.before" // the batch's ids are about to be looked up

	BeforeStore   Point = "store.before"
	Fenced        Point = "store.fenced"  // in the transaction: the fence is moved
	Copying       Point = "store.copying" // in the transaction: rows are on their way
	BeforeCommit  Point = "store.before_commit"
	AfterCommit   Point = "store.after_commit"
	BeforePublish Point = "publish.before" // the batch is stored

	PartitionsAdded Point = "publish.partitions_added" // AddPartitionsToTxn is answered
	BeforeProduce   Point = "publish.before_produce"   // to one broker
	AfterProduce    Point = "publish.after_produce"    // to one broker, beside others
	OffsetsAdded    Point = "publish.offsets_added"    // AddOffsetsToTxn is answered
	OffsetInTxn     Point = "publish.offset_in_txn"    // TxnOffsetCommit is answered
	BeforeEnd       Point = "publish.before_end"       // EndTxn is about to be sent
	AfterEnd        Point = "publish.after_end"
	AfterPublish    Point = "publish.after"
)

// The points of feedback: where its way is another, and where it is its own transaction.
const (
	FeedbackAfterFetch    Point = feedbackPrefix + AfterFetch
	FeedbackBeforeStore   Point = feedbackPrefix + BeforeStore
	FeedbackFenced        Point = feedbackPrefix + Fenced
	FeedbackWritten       Point = feedbackPrefix + written
	FeedbackBeforeCommit  Point = feedbackPrefix + BeforeCommit
	FeedbackAfterCommit   Point = feedbackPrefix + AfterCommit
	FeedbackBeforePublish Point = feedbackPrefix + BeforePublish
	FeedbackOffsetInTxn   Point = feedbackPrefix + OffsetInTxn
	FeedbackBeforeEnd     Point = feedbackPrefix + BeforeEnd
	FeedbackAfterEnd      Point = feedbackPrefix + AfterEnd
)

const (
	feedbackPrefix = "feedback."

	written Point = "store.written" // in the transaction: the rows of outcomes are inserted
)

var points = []Point{
	BeforeProducerID, AfterProducerID, MarkBegun, BeforeOffset, AfterOffset, MarkEnded, BeforeFence, AfterFence,
	BeforeFetch, AfterFetch, BeforeFind,
	BeforeStore, Fenced, Copying, BeforeCommit, AfterCommit, BeforePublish,
	PartitionsAdded, BeforeProduce, AfterProduce, OffsetsAdded, OffsetInTxn, BeforeEnd, AfterEnd, AfterPublish,
	FeedbackAfterFetch, FeedbackBeforeStore, FeedbackFenced, FeedbackWritten, FeedbackBeforeCommit, FeedbackAfterCommit,
	FeedbackBeforePublish, FeedbackOffsetInTxn, FeedbackBeforeEnd, FeedbackAfterEnd,
}

// Points returns all points.
func Points() []Point { return slices.Clone(points) }
