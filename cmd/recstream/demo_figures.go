package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// demoFigures is what the demo did, counted where it arrived: in the ledger and in the topics.
type demoFigures struct {
	Requests        int            `json:"requests"`
	Decisions       int            `json:"decisions"`
	Recommendations int            `json:"recommendations"`
	Results         int            `json:"results"`
	DeadLetters     int            `json:"dead_letters"`
	Tiers           map[string]int `json:"tiers"`
	ElapsedS        float64        `json:"elapsed_s"`
	RequestsPerS    float64        `json:"requests_per_s"`
	Feedback        int            `json:"feedback"` // events stored
	Profiles        int            `json:"profiles"`
	Shadows         int            `json:"shadow_decisions"`
	Variants        map[string]int `json:"variants"` // requests by variant; those outside of the experiment are left out
	Answers         []demoAnswer   `json:"answers"`

	arms map[demoArm]int
}

// demoAnswer is a question that an analyst would ask, with what Postgres says.
type demoAnswer struct {
	Question string     `json:"question"`
	SQL      string     `json:"sql"`
	Columns  []string   `json:"columns"`
	Rows     [][]string `json:"rows"`
}

// shadowPatience is how long the demo waits for a further shadow decision: under load some are left out.
const shadowPatience = 2 * time.Second

// figures counts what came of the traffic, once the shadows have had their time.
func (s *demoStack) figures(ctx context.Context, t *demoTraffic) (*demoFigures, error) {
	f := &demoFigures{Requests: len(t.requests), Tiers: map[string]int{}, Variants: map[string]int{}, arms: map[demoArm]int{},
		ElapsedS: t.elapsed.Seconds(), RequestsPerS: float64(len(t.requests)) / t.elapsed.Seconds()}
	topics := s.cfg.Kafka.Topics
	counts, err := s.topicCounts(ctx, topics.Results, topics.DeadLetters)
	if err != nil {
		return nil, err
	}
	f.Results, f.DeadLetters = counts[topics.Results], counts[topics.DeadLetters]
	if err := s.countDecisions(ctx, f); err != nil {
		return nil, err
	}
	if f.Shadows, err = s.await(ctx, `SELECT count(*) FROM shadow_decisions`, f.shadowed(), shadowPatience); err != nil {
		return nil, err
	}
	err = s.pipeline.database.Pool().QueryRow(ctx,
		`SELECT (SELECT count(*) FROM outcomes), (SELECT count(*) FROM profiles)`).Scan(&f.Feedback, &f.Profiles)
	if err != nil {
		return nil, err
	}
	for _, q := range demoQueries {
		answer, err := s.ask(ctx, q.question, q.sql)
		if err != nil {
			return nil, fmt.Errorf("%s %w", q.question, err)
		}
		f.Answers = append(f.Answers, answer)
	}
	return f, nil
}

// shadowed is how many shadow decisions there can be.
func (f *demoFigures) shadowed() (n int) {
	for _, count := range f.Variants {
		n += count
	}
	return n * len(demoExperiment.Shadows)
}

func (s *demoStack) countDecisions(ctx context.Context, f *demoFigures) error {
	rows, err := s.pipeline.database.Pool().Query(ctx, `
		SELECT tier, coalesce(variant, ''), coalesce(m.version, ''), count(*), coalesce(sum(cardinality(item_ids)), 0)
		FROM decisions d LEFT JOIN models m ON m.id = d.model_id GROUP BY 1, 2, 3`)
	if err != nil {
		return err
	}
	var tier string
	var arm demoArm
	var decisions, items int
	_, err = pgx.ForEachRow(rows, []any{&tier, &arm.Variant, &arm.Version, &decisions, &items}, func() error {
		f.Tiers[tier] += decisions
		f.Decisions += decisions
		f.Recommendations += items
		f.arms[arm] += decisions
		if arm.Variant != "" {
			f.Variants[arm.Variant] += decisions
		}
		return nil
	})
	return err
}

// check compares the figures with what was sent: nothing may be missing or too much, and each request was to be
// decided by the variant that its user's id says, with that variant's model.
func (f *demoFigures) check(t *demoTraffic) error {
	var errs []error
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"decisions", f.Decisions, len(t.requests)}, {"results", f.Results, len(t.requests)},
		{"dead letters", f.DeadLetters, 0}, {"feedback events stored", f.Feedback, t.feedback},
	} {
		if c.got != c.want {
			errs = append(errs, fmt.Errorf("the demo has %d %s, not %d", c.got, c.what, c.want))
		}
	}
	want := variantCounts(t.requests)
	for arm, n := range want {
		if f.arms[arm] != n {
			errs = append(errs, fmt.Errorf("%v decided %d requests, not %d", arm, f.arms[arm], n))
		}
	}
	for arm, n := range f.arms {
		if want[arm] == 0 {
			errs = append(errs, fmt.Errorf("%v decided %d requests, not 0", arm, n))
		}
	}
	if f.shadowed() > 0 && f.Shadows == 0 {
		errs = append(errs, errors.New("no shadow decision is stored"))
	}
	return errors.Join(errs...)
}

// ask asks Postgres. The simple protocol gives every value as text.
func (s *demoStack) ask(ctx context.Context, question, sql string) (demoAnswer, error) {
	answer := demoAnswer{Question: question, SQL: sql}
	rows, err := s.pipeline.database.Pool().Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return answer, err
	}
	defer rows.Close()
	for _, f := range rows.FieldDescriptions() {
		answer.Columns = append(answer.Columns, f.Name)
	}
	for rows.Next() {
		var cells []string
		for _, value := range rows.RawValues() {
			cells = append(cells, string(value))
		}
		answer.Rows = append(answer.Rows, cells)
	}
	return answer, rows.Err()
}
