package consumer

import (
	"time"

	"recstream/schemas"
)

// Observer is told how a service fares, so that it can be measured. The calls come from several goroutines and
// have to be quick; those about one partition come one after the other.
type Observer interface {
	// Joined says that the group has dealt its partitions out anew, and how many are the service's.
	Joined(partitions int)
	// Opened says that a partition is taken up at an offset, Closed that it is no longer in hand.
	Opened(partition int, offset int64)
	Closed(partition int)
	// Finished says that a batch is stored, published and committed. What the report refers to is the caller's
	// again after the call.
	Finished(*Report)
	// Retried says that something failed at a stage and is tried again.
	Retried(stage string)
	// Stalled says that a worker has made no progress at a stage for Config.StallWarning.
	Stalled(stage string)
	// Lost says that so many events were passed over, and why: they have no outcome.
	Lost(reason schemas.GapReason, events int64)
}

// Report is what became of a batch.
//
// A batch is reported by the instance that commits it. An event whose batch was stored by one instance and
// committed by the next is thus reported once; one whose commit fails is reported with its next delivery.
type Report struct {
	Partition int
	Next      int64             // committed offset: that after the batch's last event
	Outcomes  []schemas.Outcome // one an event, in order; none where the log had only markers of transactions
	Published time.Time         // when the outcomes had left
	Times     Times
}

// Decided reports whether a decision of the report was made for that event. If not, the event repeats the
// request id of another, and was answered with its decision.
func Decided(out *schemas.Outcome) bool {
	return out.Decision != nil && out.Decision.Source == out.Message.Source
}

// Times say what a batch took at each stage, all attempts together; 0 is a stage that it did not need. The waits
// between attempts are in Whole alone.
type Times struct {
	Decode  time.Duration
	Lookup  time.Duration // of request ids in the ledger, and of profiles
	Decide  time.Duration
	Store   time.Duration
	Publish time.Duration // the offset's commit included
	Whole   time.Duration // from when a worker took the batch up
}

// spend adds the time since a moment; with defer it measures a function.
func spend(on *time.Duration, since time.Time) { *on += time.Since(since) }

// Stages returns the names of the stages that an observer can be told of.
func Stages() []string {
	return []string{stageOpen, stageFetch, stageSettle, stageStore, stagePublish}
}

// unobserved is the observer of a service that has none.
type unobserved struct{}

func (unobserved) Joined(int)                    {}
func (unobserved) Opened(int, int64)             {}
func (unobserved) Closed(int)                    {}
func (unobserved) Finished(*Report)              {}
func (unobserved) Retried(string)                {}
func (unobserved) Stalled(string)                {}
func (unobserved) Lost(schemas.GapReason, int64) {}

// observer returns the configured observer, or one that does nothing.
func (c *Config) observer() Observer {
	if c.Observer == nil {
		return unobserved{}
	}
	return c.Observer
}
