package history

import (
	"fmt"
	"time"
)

// History is what one run came to. The order of its parts matters only where their comments say so.
type History struct {
	Run         Run
	Logs        []Log
	Published   []Published
	Decisions   []Decision
	Outcomes    []Outcome
	Profiles    []Profile
	Popularity  []Popularity
	Results     []Emitted // of the results topic, as a read_committed reader sees it
	Raw         []Emission
	DeadLetters []Emitted  // of the dead-letter topic, as a read_committed reader sees it
	Commits     []Commit   // of each partition in the order of Kafka's own log
	Progress    []Progress // of each partition in the order of observation
	Gaps        []Gap
	Notes       []Note
}

// Run says what was run and what it promised.
type Run struct {
	Name        string `json:"name"`          // of the scenario
	Seed        uint64 `json:"seed"`          // to run it again
	AtLeastOnce bool   `json:"at_least_once"` // results and dead letters may come again; false is exactly once
	ID          int    `json:"id"`            // run_id of the rows that are judged; rows of others are replays beside it
	Topics      Topics `json:"topics"`
	Groups      Groups `json:"groups"`

	// HalfLife is the time, of events, in which profiles and popularity lose half their weight; 0 leaves both unjudged.
	HalfLife time.Duration `json:"half_life"`
}

// Topics are the names of the topics of a run.
type Topics struct {
	Requests    string `json:"requests"`
	Feedback    string `json:"feedback"`
	Results     string `json:"results"`
	DeadLetters string `json:"dead_letters"`
}

// Groups are the consumer groups of a run, under which its fences stand too.
type Groups struct {
	Requests string `json:"requests"`
	Feedback string `json:"feedback"`
}

// Place is where a record stands in Kafka.
type Place struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}

// String returns topic/partition/offset, as a result's ce_id has it.
func (p Place) String() string { return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset) }

// before orders places by topic, partition and offset.
func (p Place) before(q Place) bool {
	if p.Topic != q.Topic {
		return p.Topic < q.Topic
	}
	if p.Partition != q.Partition {
		return p.Partition < q.Partition
	}
	return p.Offset < q.Offset
}

// Log is a partition of an input topic as it stood at the end of the run.
type Log struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	First     int64  `json:"first"` // offset of the first record that is left
	End       int64  `json:"end"`   // offset after the last one
}

// Kind says what is to become of a published event.
type Kind string

// The kinds of events.
const (
	// Good is a request to be answered. One that has the id of another is a repeat: it is answered with the decision
	// of the first.
	Good     Kind = "good"
	Bad      Kind = "bad"      // a request or a feedback that can only be rejected
	Feedback Kind = "feedback" // a feedback to be stored
)

// Header is a header of a record.
type Header struct {
	Key   string `json:"key"`
	Value Bytes  `json:"value"`
}

// Published is an event of an input topic.
type Published struct {
	Place
	Kind    Kind      `json:"kind"`
	Key     Bytes     `json:"key"` // nil is null; so is Value
	Value   Bytes     `json:"value"`
	Headers []Header  `json:"headers,omitempty"` // in their order
	Time    time.Time `json:"time"`              // of the record
	Fault   string    `json:"fault,omitempty"`   // of a bad event, for people

	// RequestID of a good event; of a bad request the id that its rejected result names, "" where it has none.
	// UserID goes with it.
	RequestID string `json:"request_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`

	// Only of a bad event: Codes are the reasons that its dead letter may give. Large says that its dead letter may
	// be more than the topic takes: then it may leave out its value, or its key and headers too, and must say so.
	Codes []string `json:"codes,omitempty"`
	Large bool     `json:"large,omitempty"`
}

// Decision is a row of the ledger.
type Decision struct {
	Run           int        `json:"run"`
	RequestID     string     `json:"request_id"`
	UserID        string     `json:"user_id,omitempty"` // "" is null; so are the next three
	Mood          string     `json:"mood,omitempty"`
	GroupSize     string     `json:"group_size,omitempty"`
	SessionLength string     `json:"session_length,omitempty"`
	RequestedAt   time.Time  `json:"requested_at"`
	ScoredAt      time.Time  `json:"scored_at"`
	Tier          string     `json:"tier"`
	Degraded      []string   `json:"degraded"`
	ColdStart     []string   `json:"cold_start,omitempty"`
	Model         *Model     `json:"model,omitempty"`
	Experiment    string     `json:"experiment,omitempty"` // "" is null; so is Variant
	Variant       string     `json:"variant,omitempty"`
	ConfigVersion string     `json:"config_version"`
	ItemIDs       []string   `json:"item_ids"` // best first; the next three are in its order
	Titles        []string   `json:"titles"`
	Predictions   []*float64 `json:"predictions"` // nil is null
	Scores        []float64  `json:"scores"`
	Pinned        int        `json:"pinned,omitempty"` // that many items come first because the request pins them
	Explain       bool       `json:"explain,omitempty"`
	Reasons       []string   `json:"reasons,omitempty"` // of the explanation, in the order of ItemIDs; nil is none
	QueueMicros   int64      `json:"queue_us"`
	ScoreMicros   int64      `json:"score_us"`
	Source        Place      `json:"source"`
}

// Model names the model of a decision.
type Model struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Outcome is a row of outcomes: one feedback.
type Outcome struct {
	RequestID string    `json:"request_id"`
	UserID    string    `json:"user_id,omitempty"` // "" is null
	ItemID    string    `json:"item_id"`
	Action    string    `json:"action"`
	Value     *float64  `json:"value,omitempty"` // nil is null
	At        time.Time `json:"at"`
	Source    Place     `json:"source"`
}

// Profile is what is judged of a row of profiles: what feedback came to, of one user.
type Profile struct {
	UserID   string    `json:"user_id"`
	AsOf     time.Time `json:"as_of"`    // of the user's latest feedback
	Activity float64   `json:"activity"` // faded number of feedbacks, without impressions
}

// Popularity is how much an item was watched in one context. An item of the catalogue that has none is there with
// weight 0: items that are not there are not in the catalogue, and have none.
type Popularity struct {
	ItemID string    `json:"item_id"`
	AsOf   time.Time `json:"as_of"`
	Weight float64   `json:"weight"` // faded sum of what feedbacks count
}

// Emitted is a record that recstream wrote.
type Emitted struct {
	Place
	Key     Bytes    `json:"key"`
	Value   Bytes    `json:"value"`
	Headers []Header `json:"headers"`
}

// header returns the last header of that name; a dead letter's own stand behind those of its event.
func (e *Emitted) header(name string) (value string, ok bool) {
	for i := len(e.Headers) - 1; i >= 0; i-- {
		if e.Headers[i].Key == name {
			return string(e.Headers[i].Value), true
		}
	}
	return "", false
}

// Emission is a record of the results topic as a read_uncommitted reader sees it. What it says is told by its digest:
// all but a few are in the committed view too.
type Emission struct {
	Place
	ID     string `json:"ce_id"`
	Digest string `json:"digest"` // DigestOf the value
}

// Progress is one observation of a partition. The committed offset was read first, then the fence, then the log's
// end, so each is to be at most the next.
type Progress struct {
	At        time.Time `json:"at"`
	Group     string    `json:"group"`
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Committed int64     `json:"committed"` // None where there is none yet; so is Fence
	Fence     int64     `json:"fence"`
	End       int64     `json:"end"`
}

// Commit is an offset that a group committed, by the log that Kafka keeps of that. What a broker answers when it is
// asked may be of the past: one that was frozen does not know at first that it coordinates no longer.
type Commit struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"` // None where it was deleted
}

// None stands for an offset or a fence that is not there yet.
const None int64 = -1

// Gap is a run of events that the service says it has passed over: the offsets from From up to To, To not among them.
//
// A gap of retention begins at the committed offset, even where the fence is beyond that. What lies below the fence
// of that moment was read and stored, so it may have rows; but it was not published, and never will be.
type Gap struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Reason    string `json:"reason"` // Retention, or what else the service says
}

// Retention is the reason of a gap of events that were deleted before they could be read. It is the only good one: a
// ledger that is behind the committed offset is one that was lost, and no run takes that from the service.
const Retention = "retention"

// Note says for people what happened, such as a fault that was injected.
type Note struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// String says in one line how much the history holds.
func (h *History) String() string {
	return fmt.Sprintf("%s, seed %d: %d events, %d decisions, %d outcomes, %d results (%d with what was aborted), %d dead letters, %d commits, %d observations, %d gaps",
		h.Run.Name, h.Run.Seed, len(h.Published), len(h.Decisions), len(h.Outcomes), len(h.Results), len(h.Raw),
		len(h.DeadLetters), len(h.Commits), len(h.Progress), len(h.Gaps))
}
