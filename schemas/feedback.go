package schemas

import "time"

// Action is what a user did with a recommended item; the zero value is unknown and no event can say it.
type Action uint8

// The actions.
const (
	ActionUnknown    Action = iota
	ActionImpression        // the item was shown
	ActionClick             // the item was opened
	ActionPlay              // the film was started
	ActionComplete          // the film was seen to its end
	ActionDismiss           // the item was sent away
	ActionRating            // the item was rated: Feedback.Value
	NumActions              // how many values there are, unknown included
)

var actionNames = [NumActions]string{"", "impression", "click", "play", "complete", "dismiss", "rating"}

// String returns the action's name in events, "" for unknown.
func (a Action) String() string { return actionNames[a] }

// ParseAction returns the action of that name; ok is false for a name that is none.
// The empty name is unknown.
func ParseAction(name string) (a Action, ok bool) {
	i, ok := indexOf(actionNames[:], name)
	return Action(i), ok
}

// Feedback is a decoded recommendation.feedback.v1 event: what became of one recommended item.
type Feedback struct {
	RequestID string    // required: the request whose result had the item
	UserID    string    // "" is an anonymous user
	ItemID    string    // required
	Action    Action    // required
	Value     float64   // the rating, required for ActionRating; else what the app measures; NaN where there is none
	At        time.Time // UTC, whole microseconds; zero where the event has none
}

// PartitionKey is the key that the feedback's events have in Kafka: the user id, else the request id.
func (f *Feedback) PartitionKey() string {
	if f.UserID != "" {
		return f.UserID
	}
	return f.RequestID
}
