package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"recstream/schemas"
)

// Item is an item of the catalogue. What is not known is absent.
type Item struct {
	ItemID      string     `json:"item_id"`
	Title       string     `json:"title"`
	Genres      []string   `json:"genres"`
	DurationMin float64    `json:"duration_min,omitempty"`
	Year        float64    `json:"year,omitempty"`
	Popularity  float64    `json:"popularity,omitempty"`
	AddedAt     *time.Time `json:"added_at,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Hidden      bool       `json:"hidden"`
	Suitability []string   `json:"suitability"` // companies; empty is all
	Franchise   string     `json:"franchise,omitempty"`
	Tags        []string   `json:"tags"`
}

// item looks an item up in the catalogue in force.
func (s *Server) item(w http.ResponseWriter, r *http.Request) error {
	it := s.cfg.Items.Item(r.PathValue("item_id"))
	if it == nil {
		return problem(CodeUnknownItem, "the catalogue has no item with this id")
	}
	return writeJSON(w, http.StatusOK, itemOf(it))
}

func itemOf(it *schemas.Item) Item {
	out := Item{ItemID: it.ID, Title: it.Title, Genres: orEmpty(it.Genres), DurationMin: it.DurationMin, Year: it.Year,
		Popularity: it.Popularity, AddedAt: timeOrNil(it.AddedAt), ExpiresAt: timeOrNil(it.ExpiresAt), Hidden: it.Hidden,
		Suitability: []string{}, Franchise: it.Franchise, Tags: orEmpty(it.Tags)}
	for _, g := range it.Suitability {
		out.Suitability = append(out.Suitability, g.String())
	}
	return out
}

// feedback publishes a feedback event. It is not waited for: what became of it, the ledger knows.
func (s *Server) feedback(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var f schemas.Feedback
	if err := schemas.DecodeFeedback(body, &f); err != nil {
		return asRefusal(err)
	}
	e := Event{ID: newUUID(), Key: []byte(f.PartitionKey()), Value: body, TraceParent: r.Header.Get("traceparent")}
	if err := s.publishFeedback(r.Context(), e); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, accepted{"accepted"})
}

// publishFeedback returns when the event is published, its time is up, its client is gone, or the server is to end.
func (s *Server) publishFeedback(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	const unsure = "the feedback may have been published or not; sent again, it may count twice"
	ended := make(chan *Problem, 1)
	s.begin(ctx, func(ctx context.Context) *Problem {
		ctx, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		if err := s.cfg.Feedback.Publish(ctx, e); err != nil {
			s.cfg.Log.Warn("a feedback was not published", "error", err)
			return unpublished(err, unsure)
		}
		return nil
	}, func(p *Problem) { ended <- p })
	select {
	case p := <-ended:
		if p != nil {
			return p
		}
		return nil
	case <-ctx.Done():
	case <-s.hurry:
	}
	return problem(CodeBrokerUnavailable, unsure)
}

// accepted is the body of an answer to feedback.
type accepted struct {
	Status string `json:"status"`
}

func (s *Server) models(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), ledgerTimeout)
	defer cancel()
	m, err := s.lookModelsUp(ctx)
	if err != nil {
		s.cfg.Log.Warn("models were not looked up", "error", err)
		return problem(CodeLedgerUnavailable, "try again later")
	}
	m.Serving = orEmpty(m.Serving)
	return writeJSON(w, http.StatusOK, m)
}

// lookModelsUp takes its turn among the look-ups.
func (s *Server) lookModelsUp(ctx context.Context) (m Models, err error) {
	if err := s.lookUps.take(ctx); err != nil {
		return m, fmt.Errorf("wait for other look-ups: %w", err)
	}
	defer s.lookUps.free()
	return s.cfg.Info.Models(ctx)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), ledgerTimeout)
	defer cancel()
	st := s.cfg.Info.Status(ctx)
	st.Ready, st.Checks = s.readiness(ctx)
	st.Models, st.Tiers, st.Partitions = orEmpty(st.Models), orEmpty(st.Tiers), orEmpty(st.Partitions)
	return writeJSON(w, http.StatusOK, st)
}

// health says that the process is alive, and no more: what is away is not mended by a restart.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, health{"alive"})
}

// health is the body of an answer about the process.
type health struct {
	Status string `json:"status"`
}

// ready says whether requests should be sent to this instance.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), ledgerTimeout)
	defer cancel()
	var body readiness
	status := http.StatusOK
	if body.Ready, body.Checks = s.readiness(ctx); !body.Ready {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, body)
}

// readiness is the body of an answer about readiness.
type readiness struct {
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

// readiness adds the server's own state to the instance's checks.
func (s *Server) readiness(ctx context.Context) (ok bool, checks []Check) {
	started := Check{Name: "started", OK: s.open.Load()}
	if !started.OK {
		started.Detail = "the instance is starting"
	}
	if s.draining.Load() {
		started = Check{Name: "started", Detail: "the instance is stopping"}
	}
	checks = append([]Check{started}, s.cfg.Info.Checks(ctx)...)
	ok = true
	for _, c := range checks {
		ok = ok && c.OK
	}
	return ok, checks
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}

// document serves the OpenAPI document.
func (s *Server) document(w http.ResponseWriter, _ *http.Request) error {
	doc, err := Document()
	if err != nil {
		return err
	}
	writeBytes(w, http.StatusOK, doc)
	return nil
}

// orEmpty returns a list that is written as [], not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
