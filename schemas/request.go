package schemas

import (
	"math"
	"time"
)

// Limits that DecodeRequest and DecodeFeedback enforce.
const (
	MaxMessageBytes = 256 << 10 // of one event's value
	MaxNesting      = 16        // of JSON objects and arrays
	MaxIDBytes      = 128       // of a request, user or item id, in UTF-8
	MaxCandidates   = 10_000    // entries of candidates, of exclude and of pins
	MaxLimit        = 100       // items that one request may ask for
	MaxDeadlineMS   = 86400_000 // milliseconds, a day; of a request's deadline
	DefaultLimit    = 3         // items returned where the request does not say
)

// Mood is the mood that the user is in; the zero value is unknown.
type Mood uint8

// The moods, in the order of the model's one-hot features.
const (
	MoodUnknown Mood = iota
	MoodFunny
	MoodAction
	MoodDramatic
	MoodRelaxing
	NumMoods // how many values there are, unknown included
)

// GroupSize is the company that the user is in; the zero value is unknown.
type GroupSize uint8

// The group sizes, in the order of the model's one-hot features.
const (
	GroupUnknown GroupSize = iota
	GroupSolo
	GroupCouple
	GroupGroup
	NumGroupSizes // how many values there are, unknown included
)

// SessionLength is the time that the user has; the zero value is unknown.
type SessionLength uint8

// The session lengths, in the order of the model's one-hot features.
const (
	SessionUnknown SessionLength = iota
	SessionShort
	SessionMedium
	SessionBinge
	NumSessionLengths // how many values there are, unknown included
)

var (
	moodNames    = [NumMoods]string{"", "funny", "action", "dramatic", "relaxing"}
	groupNames   = [NumGroupSizes]string{"", "solo", "couple", "group"}
	sessionNames = [NumSessionLengths]string{"", "short", "medium", "binge"}
)

// String returns the mood's name in events, "" for unknown.
func (m Mood) String() string { return moodNames[m] }

// String returns the group size's name in events, "" for unknown.
func (g GroupSize) String() string { return groupNames[g] }

// String returns the session length's name in events, "" for unknown.
func (s SessionLength) String() string { return sessionNames[s] }

// ParseMood returns the mood of that name; ok is false for a name that is none.
// The empty name is unknown.
func ParseMood(name string) (m Mood, ok bool) {
	i, ok := indexOf(moodNames[:], name)
	return Mood(i), ok
}

// ParseGroupSize returns the group size of that name; ok is false for a name that is none.
// The empty name is unknown.
func ParseGroupSize(name string) (g GroupSize, ok bool) {
	i, ok := indexOf(groupNames[:], name)
	return GroupSize(i), ok
}

// ParseSessionLength returns the session length of that name; ok is false for a name that is none.
// The empty name is unknown.
func ParseSessionLength(name string) (s SessionLength, ok bool) {
	i, ok := indexOf(sessionNames[:], name)
	return SessionLength(i), ok
}

func indexOf(names []string, name string) (int, bool) {
	for i, n := range names {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// Context is what a request says about the moment: who watches, in what mood, for how long.
type Context struct {
	Mood          Mood
	GroupSize     GroupSize
	SessionLength SessionLength
}

// NumContexts is the number of different contexts, unknown values included.
const NumContexts = int(NumMoods) * int(NumGroupSizes) * int(NumSessionLengths)

// Index numbers the contexts from 0 to NumContexts-1.
func (c Context) Index() int {
	return (int(c.Mood)*int(NumGroupSizes)+int(c.GroupSize))*int(NumSessionLengths) + int(c.SessionLength)
}

// Request is a decoded recommendation.request.v1 event.
type Request struct {
	RequestID string // required, unique within the look-back window
	UserID    string // "" is an anonymous user
	Context
	Limit       int      // items wanted; DefaultLimit where the event has none
	Candidates  []string // explicit item ids; nil is "choose from the catalogue", empty is "none"
	Exclude     []string // item ids never to be returned
	ExcludeSeen bool
	Pins        []string // item ids to come first
	SimilarTo   string   // item id
	Diversity   float64  // 0..1; NaN where the event has none
	Explain     bool
	DeadlineMS  int       // milliseconds from RequestedAt; 0 is none
	RequestedAt time.Time // UTC, whole microseconds; zero where the event has none

	// spare keeps the room of Candidates while an event has none; it is nil while Candidates is not.
	spare []string
}

// reset makes r an event without fields, and keeps the room of its lists.
func (r *Request) reset() {
	spare := room(r.takeSpare())
	*r = Request{
		Limit: DefaultLimit, Diversity: math.NaN(),
		Exclude: room(r.Exclude), Pins: room(r.Pins), spare: spare,
	}
}

// maxRoom is how long a list may be for its room to be kept: there can be thousands of events in hand, and one
// long list in each, once, must not hold memory for ever.
const maxRoom = 512

// room returns the list empty, to be filled again, or nil where it is too long to keep. It lets go of the
// strings: each of them holds the whole message that it was cut from.
func room(list []string) []string {
	if cap(list) > maxRoom {
		return nil
	}
	clear(list[:cap(list)])
	return list[:0]
}

// takeSpare returns the room for a list of candidates, empty, and leaves none.
func (r *Request) takeSpare() []string {
	room := r.spare
	if r.Candidates != nil {
		room = r.Candidates
	}
	r.spare, r.Candidates = nil, nil
	return room[:0]
}

// PartitionKey is the key that the request's events have in Kafka: the user id, else the request id.
// It keeps one user's events in order.
func (r *Request) PartitionKey() string {
	if r.UserID != "" {
		return r.UserID
	}
	return r.RequestID
}
