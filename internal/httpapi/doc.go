// Package httpapi is the HTTP bridge: it lets apps that do not speak Kafka ask for recommendations, look them up and
// send feedback. It owns the routes, their limits and errors, who may call, and the waiting for results; what it
// needs of the rest stands in the small interfaces of this file.
//
// It decides nothing by itself. A request is validated as the consumer would, published to the topic of requests,
// and answered with the bytes of its result event: so everything that was asked is in the topic, and can be
// replayed. Any instance may decide it: each follows the whole topic of results, and asks the ledger where that is
// not to be relied on. A request id that was answered before gets the same decision again.
//
// It promises: every error is an RFC 9457 problem with a stable code, those of events the codes of the dead letters;
// once a request has arrived, nobody waits for its result longer than is preferred and allowed, or a second where that
// is less, since it has to be published at least, whatever brokers and database do. A client that goes frees its
// place, and what it began is finished all the same, by as many goroutines as there are places at the most: memory is
// bounded by the configured limits. A request is called pending once it is in the topic, and not before. Of the
// database's connections only a few are used at the same time. No user's data is logged. The OpenAPI document, served
// at /openapi.json, says the rest.
package httpapi

import (
	"context"
	"errors"
	"time"

	"recstream/schemas"
)

// Event is an event to publish.
type Event struct {
	ID          string // of the event
	Key, Value  []byte
	TraceParent string // "" is none
}

// ErrTooLarge says that a topic takes no event so large: it is not published, and trying again does not help.
var ErrTooLarge = errors.New("the event is too large for the topic")

// Publisher publishes events to a topic. It returns when the event is safe; after an error, that of ctx too, it may
// be all the same, unless the error is ErrTooLarge.
type Publisher interface {
	Publish(ctx context.Context, e Event) error
}

// Results are the result events of all instances, as they come.
type Results interface {
	// Run hands each result's value to take, by several goroutines, until ctx ends; while wanted returns false it
	// need not. A value is valid during the call.
	Run(ctx context.Context, wanted func() bool, take func(value []byte))
	// Whole reports whether all results that are written from now on will be seen.
	Whole() bool
}

// Ledger finds stored decisions by request id: within the look-back window before now, or ever.
type Ledger interface {
	Find(ctx context.Context, ids []string, now time.Time, ever bool) (map[string]*schemas.Decision, error)
}

// Items looks an item of the catalogue in force up, nil if there is none. It must not be changed.
type Items interface {
	Item(id string) *schemas.Item
}

// Info says how the instance is.
type Info interface {
	Status(ctx context.Context) Status
	Models(ctx context.Context) (Models, error)
	// Checks says what an instance that is ready has. It does not take long: it is called by every probe.
	Checks(ctx context.Context) []Check
}

// Status is how an instance is.
type Status struct {
	Instance       string         `json:"instance"` // host and process id
	Version        string         `json:"version"`
	StartedAt      time.Time      `json:"started_at"`
	Delivery       string         `json:"delivery"` // exactly_once or at_least_once
	Ready          bool           `json:"ready"`
	Checks         []Check        `json:"checks"`
	ConfigVersion  string         `json:"config_version"`
	CatalogVersion int64          `json:"catalog_version"` // 0 before there is one
	Items          int            `json:"items"`           // of the catalogue
	Models         []ServingModel `json:"models"`
	Tiers          []Tier         `json:"tiers"`      // best first
	Partitions     []Partition    `json:"partitions"` // of the topics that the instance's group reads; empty where that is not known
}

// Check is one thing that an instance needs to be ready.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // why not
}

// ModelRef names a model.
type ModelRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// ServingModel is a model that the instance scores with.
type ServingModel struct {
	ModelRef
	Method     string `json:"method"`     // how it is evaluated
	Bytes      int64  `json:"bytes"`      // of memory that takes
	Remembered bool   `json:"remembered"` // scores are remembered by context and item
}

// Tier is a rung of the fallback ladder.
type Tier struct {
	Tier     string     `json:"tier"`
	Model    *ModelRef  `json:"model"`             // nil where it has none
	Variant  string     `json:"variant,omitempty"` // experiment/variant of one with a ladder of its own
	State    string     `json:"state"`             // closed, open or half_open as of its breaker; drifted; unavailable
	Since    *time.Time `json:"since,omitempty"`   // of a state of the breaker that is not closed
	Reason   string     `json:"reason,omitempty"`  // why it is not closed
	Failures int        `json:"failures"`          // among the requests of late
	PSI      *float64   `json:"psi,omitempty"`     // of the predictions of late against those of the training
}

// Partition is how far the instance's group has come in a partition.
type Partition struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	Committed int64  `json:"committed"` // offset of the next event
	End       int64  `json:"end"`       // offset after the last event
	Lag       int64  `json:"lag"`       // events to come
}

// Models are the models that answer, and may answer.
type Models struct {
	Active   *ActiveModel   `json:"active"`   // as the database has it; nil is none
	Previous *ModelRef      `json:"previous"` // that a rollback would return to; nil is none
	Serving  []ServingModel `json:"serving"`  // in this instance
}

// ActiveModel is the model that instances with a store are to serve with.
type ActiveModel struct {
	ModelRef
	Since    time.Time  `json:"since"`
	ServedAt *time.Time `json:"served_at,omitempty"` // when an instance first answered with it
}
