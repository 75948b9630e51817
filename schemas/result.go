package schemas

import "time"

// Status says whether a result answers its request.
type Status string

// The statuses.
const (
	StatusOK       Status = "ok"       // answered: the result has items, or says why it has none
	StatusRejected Status = "rejected" // not answered: the result has an error
)

// Result is a recommendation.result.v1 event for those who read it with encoding/json.
// recstream writes it with [AppendResult] and [AppendRejection].
type Result struct {
	RequestID string `json:"request_id"`
	UserID    string `json:"user_id,omitempty"` // "" is an anonymous user
	Status    Status `json:"status"`

	// Only where Status is StatusOK.
	Tier          Tier              `json:"tier,omitempty"`
	Degraded      []Reason          `json:"degraded,omitzero"`    // empty when the model answered
	ColdStart     []ColdStart       `json:"cold_start,omitempty"` // what was not known; nil where nothing that matters was missing
	Model         *ResultModel      `json:"model"`                // nil unless a model ranked
	Experiment    *ResultExperiment `json:"experiment,omitempty"` // nil where no experiment took the user
	ConfigVersion string            `json:"config_version,omitempty"`
	Items         []ResultItem      `json:"items,omitzero"` // best first
	ScoredAt      time.Time         `json:"scored_at,omitzero"`
	Timings       *Timings          `json:"timings_ms,omitempty"`

	// Only where Status is StatusRejected.
	Error *ResultError `json:"error,omitempty"`

	Source ResultSource `json:"source"`
}

// ResultModel names the model that a result was ranked by.
type ResultModel struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the bundle's manifest, which has that of the model file; of the file where there is no bundle; 64 hexadecimal digits
}

// ResultExperiment names the variant of an experiment that a result was decided by.
type ResultExperiment struct {
	Name    string `json:"name"`
	Variant string `json:"variant"`
}

// ResultItem is one recommended item.
type ResultItem struct {
	Rank       int      `json:"rank"` // from 1
	ItemID     string   `json:"item_id"`
	Title      string   `json:"title"`
	Prediction *float64 `json:"prediction"`       // of the model: a probability, 0..1, of a classifier; nil where the tier makes none
	Score      float64  `json:"score"`            // what the items were ordered by
	Pinned     bool     `json:"pinned,omitempty"` // it has this rank because the request pins it

	// Only where the request has explain.
	Reason      string             `json:"reason,omitempty"` // one line in plain words
	Explanation *ResultExplanation `json:"explanation,omitempty"`
}

// ResultExplanation says how an item came by its score.
type ResultExplanation struct {
	Terms         map[string]float64 `json:"terms"`                   // by TermNames; those that are 0 are left out, but for the base
	Contributions []Contribution     `json:"contributions,omitempty"` // the strongest first; none where no model ranked
}

// Timings are durations in milliseconds, exact to the microsecond.
type Timings struct {
	Queue float64 `json:"queue"` // from the request's time to the start of scoring
	Score float64 `json:"score"` // of scoring
}

// ResultError says why a request was rejected.
type ResultError struct {
	Code   string `json:"code"`            // stable, such as CodeMissingField
	Field  string `json:"field,omitempty"` // at fault, "" where there is none
	Detail string `json:"detail"`          // for people
}

// ResultSource is the place in Kafka that the request was read from.
type ResultSource struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
}
