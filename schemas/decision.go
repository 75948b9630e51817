package schemas

import "time"

// Tier names the rung of the fallback ladder that answered a request.
type Tier string

// The tiers, best first.
const (
	TierModel     Tier = "model"          // ranked by the model's prediction
	TierPrevious  Tier = "previous_model" // ranked by the last model that served
	TierSimilar   Tier = "similar"        // ranked by similarity to the user's history, or to the request's item
	TierPopular   Tier = "popular"        // ranked by popularity within the context
	TierEditorial Tier = "editorial"      // in the order of a curated list
	TierBasic     Tier = "basic"          // the first eligible items in the catalogue's order
)

// Reason is a stable code that says why a tier was left.
type Reason string

// The reasons.
const (
	ReasonModelMissing       Reason = "model_missing"       // no model file where the configuration points
	ReasonModelLoadFailed    Reason = "model_load_failed"   // the file is there and is refused
	ReasonFeatureMismatch    Reason = "feature_mismatch"    // the model wants features that are not made
	ReasonPreviousMissing    Reason = "previous_missing"    // no model served before, or its bundle cannot be had
	ReasonNonFiniteScore     Reason = "non_finite_score"    // a prediction was NaN or infinite
	ReasonConstantScores     Reason = "constant_scores"     // many candidates, all with one prediction
	ReasonDriftExceeded      Reason = "drift_exceeded"      // the predictions of late are far from those of the training
	ReasonMissingFeatures    Reason = "missing_features"    // too much of what the model wants to know is not known
	ReasonEvaluatorsDisagree Reason = "evaluators_disagree" // two ways to evaluate the model gave two scores
	ReasonDeadlineExceeded   Reason = "deadline_exceeded"   // there was no time left
	ReasonPanic              Reason = "panic"               // the tier's code panicked and was stopped
	ReasonCircuitOpen        Reason = "circuit_open"        // the tier failed too often of late, and rests
	ReasonSwitchedOff        Reason = "switched_off"        // an operator wants it so
	ReasonNoHistory          Reason = "no_history"          // nothing to be similar to
	ReasonPopularityMissing  Reason = "popularity_missing"  // no candidate has a popularity
	ReasonNoEditorialList    Reason = "no_editorial_list"   // no list for this context and time has an eligible item
	ReasonNoEligibleItems    Reason = "no_eligible_items"   // nothing passed the filter: the answer is empty
)

// ColdStart is a stable code that says what a decision did not know. docs/fallback.md tells what is used instead.
type ColdStart string

// The kinds of cold start.
const (
	ColdAnonymousUser ColdStart = "anonymous_user" // the request names no user
	ColdUnknownUser   ColdStart = "unknown_user"   // nothing is known of the user yet
	ColdEmptyContext  ColdStart = "empty_context"  // neither mood nor company nor time is known
	ColdNewItem       ColdStart = "new_item"       // an item of the answer is too new for anybody to have seen it
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
	Score      float64 // what the items were ordered by: the sum of Terms, from the first to the last
	Terms      Terms
}

// Terms are the parts of a score, in the order in which they are summed.
type Terms [NumTerms]float64

// The terms. Package scoring/rank has their formulas.
const (
	TermBase       = iota // the tier's own: of a model the weighted, calibrated prediction; else similarity or popularity, 0..1
	TermBoost             // of business rules; a demotion is negative
	TermAffinity          // of the user's profile with the item
	TermFreshness         // of the item's age
	TermPopularity        // of the item's popularity in the catalogue
	TermSimilarity        // to the item that the request asks for the like of
	TermDiversity         // what likeness to the items before it takes away
	NumTerms
)

// TermNames are the names of the terms in results and in the ledger.
var TermNames = [NumTerms]string{"base", "boost", "affinity", "freshness", "popularity", "similarity", "diversity"}

// Sum returns the terms' sum, from the first to the last.
func (t *Terms) Sum() float64 {
	sum := 0.0
	for _, v := range t {
		sum += v
	}
	return sum
}

// Explanation is what was kept of how a decision came about.
type Explanation struct {
	Items   []ItemExplanation `json:"items"`             // by item of the decision
	Dropped []Dropped         `json:"dropped,omitempty"` // the nearest misses first; empty where they were not kept
}

// ItemExplanation says why an item was recommended.
type ItemExplanation struct {
	Reason        string         `json:"reason"`                  // one line in plain words
	Contributions []Contribution `json:"contributions,omitempty"` // the strongest first; none where no model ranked
}

// Contribution is what a feature adds to a model's raw score of an item: a SHAP value.
type Contribution struct {
	Feature      string   `json:"feature"`      // name in the model's manifest
	Label        string   `json:"label"`        // for people
	Value        *float64 `json:"value"`        // of the feature; nil is missing
	Contribution float64  `json:"contribution"` // to the raw score
}

// Dropped is an item that could have been recommended and was not.
type Dropped struct {
	ItemID string   `json:"item_id"`
	Title  string   `json:"title"`
	Reason DropCode `json:"reason"`
	Score  *float64 `json:"score,omitempty"` // without the diversity term; nil where none was made
}

// DropCode is a stable code that says why an item was dropped.
type DropCode string

// The reasons to drop an item.
const (
	DropBelowLimit    DropCode = "below_limit"    // others score higher
	DropCapGenre      DropCode = "cap_genre"      // enough of one of its genres come before it
	DropCapFranchise  DropCode = "cap_franchise"  // enough of its franchise come before it
	DropCapYear       DropCode = "cap_year"       // enough of its years come before it
	DropNearIdentical DropCode = "near_identical" // almost the same item comes before it on the first page
	DropExcluded      DropCode = "excluded"       // the request excludes it
	DropSeen          DropCode = "seen"           // the user has seen it, and the request excludes what was seen
	DropHidden        DropCode = "hidden"         // hidden in the catalogue
	DropExpired       DropCode = "expired"        // no longer to be recommended
	DropUnknown       DropCode = "unknown_item"   // the catalogue has no such item
)

// Source is the place in Kafka that an event was read from.
type Source struct {
	Topic     string
	Partition int
	Offset    int64
}

// Assignment is a partition that a consumer group has dealt to one of its members, for one generation of the group.
type Assignment struct {
	Group      string
	Generation int
	Member     string
	Topic      string
	Partition  int
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
	// ProfileVersion is that of the user's profile that the decision was given, 0 for none. ProfileVersionUnknown is
	// that of a decision which was stored before versions of profiles were kept.
	ProfileVersion int64
	Considered     int // eligible candidates
	Items          []ScoredItem
	Pinned         int         // that many items come first because the request pins them
	ColdStart      []ColdStart // what was not known; empty where nothing that matters was missing
	// UserFeatures are the model's features that were made from the user's profile and history, in the
	// model's order, and PairFeatures those of each item with the user, the items' rows one after the other:
	// what the decision knew of the user, at that time. Empty where the model has none.
	UserFeatures, PairFeatures []float64
	// Explain says that the request asked for the explanation: then the result has it. Explanation is what was
	// kept, nil for nothing; it can be there without having been asked for.
	Explain     bool
	Explanation *Explanation
	ScoredAt    time.Time     // UTC, microseconds
	QueueTime   time.Duration // from RequestedAt to the start of scoring, whole microseconds, never negative
	ScoreTime   time.Duration // of scoring, whole microseconds
	Source      Source
}

// ProfileVersionUnknown stands for a version of a profile that was not noted.
const ProfileVersionUnknown = -1

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
	Tags        []string // anything else that items have in common, such as directors
}

// EditorialList is a list that people made, for a context and a time.
type EditorialList struct {
	Name     string
	Context            // a value that is unknown holds for all
	StartsAt time.Time // zero is always
	EndsAt   time.Time // no longer used from then on; zero is never
	Priority int       // the larger comes first; among equals the name decides
	ItemIDs  []string  // best first
}

// ItemPopularity is how much one item was watched in one context, by outcomes.
type ItemPopularity struct {
	Context
	ItemID string
	Weight float64   // decayed sum of what its outcomes count, as of AsOf; never negative
	AsOf   time.Time // the latest outcome's time
}
