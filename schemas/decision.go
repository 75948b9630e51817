package schemas

import "time"

// Tier names the rung of the fallback ladder that answered a request.
type Tier string

// The tiers, best first.
const (
	TierModel    Tier = "model"          // ranked by the model's prediction
	TierPrevious Tier = "previous_model" // ranked by the last model that served well
	TierPopular  Tier = "popular"        // ranked by the catalogue's popularity
	TierBasic    Tier = "basic"          // the first eligible items in the catalogue's order
)

// Reason is a stable code that says why a tier was left.
type Reason string

// The reasons.
const (
	ReasonModelMissing      Reason = "model_missing"      // no model file where the configuration points
	ReasonModelLoadFailed   Reason = "model_load_failed"  // the file is there and is refused
	ReasonFeatureMismatch   Reason = "feature_mismatch"   // the model wants features that are not made
	ReasonNonFiniteScore    Reason = "non_finite_score"   // a prediction was NaN or infinite
	ReasonConstantScores    Reason = "constant_scores"    // many candidates, all with one prediction
	ReasonPanic             Reason = "panic"              // the tier's code panicked and was stopped
	ReasonPopularityMissing Reason = "popularity_missing" // no candidate has a popularity
	ReasonNoEligibleItems   Reason = "no_eligible_items"  // nothing passed the filter: the answer is empty
)

// ModelRef names a model. ID is its row in the ledger's models table, 0 before it has one.
type ModelRef struct {
	ID      int32
	Name    string
	Version string
	SHA256  string // of the bundle's manifest, which has that of the model file; of the file where there is no bundle; 64 hexadecimal digits
}

// ExperimentRef names the variant of an experiment.
type ExperimentRef struct {
	Name    string
	Variant string
}

// ScoredItem is one recommended item; its rank is its place in Decision.Items, from 1.
type ScoredItem struct {
	ItemID     string
	Title      string
	Prediction float64 // of the model: the probability, 0..1, of a classifier's positive class; NaN where the tier makes none
	Score      float64 // what the items were ordered by
}

// Source is the place in Kafka that an event was read from.
type Source struct {
	Topic     string
	Partition int
	Offset    int64
}

// Decision is what was decided for one request. The ledger's row and the result event are two forms of it,
// and each can be made from the other's fields alone: a stored decision is emitted again to the byte.
type Decision struct {
	RequestID      string
	UserID         string
	Context        Context
	RequestedAt    time.Time // the event's time, else the Kafka record's; UTC, microseconds
	Tier           Tier
	Degraded       []Reason       // why better tiers were left, best first; empty when the model answered
	Model          *ModelRef      // nil unless a model ranked
	Experiment     *ExperimentRef // nil where no experiment took the user
	ConfigVersion  string
	CatalogVersion int64
	Considered     int // eligible candidates
	Items          []ScoredItem
	// UserFeatures are the model's features that were made from the user's profile and history, in the
	// model's order, and PairFeatures those of each item with the user, the items' rows one after the other:
	// what the decision knew of the user, at that time. Empty where the model has none.
	UserFeatures, PairFeatures []float64
	ScoredAt                   time.Time     // UTC, microseconds
	QueueTime                  time.Duration // from RequestedAt to the start of scoring, whole microseconds, never negative
	ScoreTime                  time.Duration // of scoring, whole microseconds
	Source                     Source
}

// Header is a Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Message is a Kafka record as it was read.
type Message struct {
	Source
	Key     []byte
	Value   []byte
	Headers []Header
	Time    time.Time
}

// Rejection says why an event could not be answered with a decision.
type Rejection struct {
	Code     string    // stable, such as CodeMissingField
	Field    string    // JSON name of the field at fault, "" where there is none
	Detail   string    // for people
	Stage    string    // where it was found: decode, score, record
	Attempts int       // how often it was tried
	At       time.Time // when it was given up
	// RequestID and UserID of a request, as far as they could be read: with a request id the app gets a rejected
	// result. Empty for a feedback, which nobody waits for.
	RequestID string
	UserID    string
}

// Outcome is what leaves for one event: the decision of a request; for a rejected event a dead letter and, if it
// was a request, its rejection; nothing for a feedback that was stored.
type Outcome struct {
	Message   *Message
	Decision  *Decision  // nil for a rejected event, and for feedback
	Rejection *Rejection // nil for an event that was decided or stored
}

// Item is a catalogue entry.
type Item struct {
	ID          string
	Title       string
	Genres      []string    // case-exact names, such as "Science Fiction"
	DurationMin float64     // minutes, 0 if missing
	Year        float64     // of release, 0 if missing
	Popularity  float64     // any scale, 0 if missing, larger is more popular
	AddedAt     time.Time   // when it came into the catalogue
	ExpiresAt   time.Time   // no longer recommended from then on; zero is never
	Hidden      bool        // never recommended
	Suitability []GroupSize // companies that it suits; empty is all
	Franchise   string
}
