package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
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
}

func (s *demoStack) figures(ctx context.Context, requests int, elapsed time.Duration) (*demoFigures, error) {
	f := &demoFigures{Requests: requests, Tiers: map[string]int{},
		ElapsedS: elapsed.Seconds(), RequestsPerS: float64(requests) / elapsed.Seconds()}
	topics := s.cfg.Kafka.Topics
	counts, err := s.topicCounts(ctx, topics.Results, topics.DeadLetters)
	if err != nil {
		return nil, err
	}
	f.Results, f.DeadLetters = counts[topics.Results], counts[topics.DeadLetters]
	rows, err := s.pipeline.database.Pool().Query(ctx,
		`SELECT tier, count(*), coalesce(sum(cardinality(item_ids)), 0) FROM decisions GROUP BY tier`)
	if err != nil {
		return nil, err
	}
	var tier string
	var decisions, items int
	_, err = pgx.ForEachRow(rows, []any{&tier, &decisions, &items}, func() error {
		f.Tiers[tier] = decisions
		f.Decisions += decisions
		f.Recommendations += items
		return nil
	})
	return f, err
}

// demoQueries are shown with what they return.
var demoQueries = []struct{ question, sql string }{
	{"What is recommended most, and how sure is the model?", `SELECT title, count(*) AS times, round(avg(prediction)::numeric, 3) AS prediction
FROM recommendations
WHERE scored_at >= now() - interval '1 hour' AND rank <= 3
GROUP BY title ORDER BY times DESC, title LIMIT 5`},
	{"Which moods does the model serve best?", `SELECT coalesce(mood, 'unknown') AS mood, count(DISTINCT request_id) AS requests,
       round(avg(prediction)::numeric, 3) AS prediction
FROM recommendations
WHERE scored_at >= now() - interval '1 hour'
GROUP BY 1 ORDER BY 3 DESC`},
}

func (a *app) printDemo(ctx context.Context, s *demoStack, shown []*schemas.Result, f *demoFigures) error {
	w := a.stdout
	fmt.Fprintln(w, "Some of the results, as the app reads them from Kafka:")
	fmt.Fprintln(w)
	if err := s.printSamples(ctx, w, shown); err != nil {
		return err
	}
	for _, q := range demoQueries {
		fmt.Fprintf(w, "\n%s\n\n%s;\n\n", q.question, q.sql)
		if err := s.printQuery(ctx, w, q.sql); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%d requests, %d decisions with %d recommendations in Postgres, %d results and %d dead letters in Kafka\n",
		f.Requests, f.Decisions, f.Recommendations, f.Results, f.DeadLetters)
	fmt.Fprintf(w, "answered by %s; %.2f s, %.0f requests/s\n", tiersText(f.Tiers), f.ElapsedS, f.RequestsPerS)
	return nil
}

func tiersText(tiers map[string]int) string {
	var parts []string
	for _, t := range []schemas.Tier{schemas.TierModel, schemas.TierPopular, schemas.TierBasic} {
		if n := tiers[string(t)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", t, n))
		}
	}
	return strings.Join(parts, ", ")
}

// printSamples prints one result of each of some contexts.
func (s *demoStack) printSamples(ctx context.Context, w io.Writer, shown []*schemas.Result) error {
	contexts, err := s.contexts(ctx)
	if err != nil {
		return err
	}
	seen := map[[2]string]bool{} // a mood and a company are shown once
	var rows [][]string
	for _, r := range shown {
		c, known := contexts[r.RequestID]
		pair := [2]string{c[0], c[1]}
		if !known || seen[pair] || len(rows) == 12 || len(r.Items) == 0 {
			continue
		}
		seen[pair] = true
		rows = append(rows, []string{c[0], c[1], c[2], topThree(r), string(r.Tier)})
	}
	return printTable(w, []string{"MOOD", "COMPANY", "TIME", "FILMS WITH PREDICTIONS", "TIER"}, rows)
}

// contexts returns mood, company and time of the requests whose context is known in full.
func (s *demoStack) contexts(ctx context.Context) (map[string][3]string, error) {
	rows, err := s.pipeline.database.Pool().Query(ctx, `SELECT request_id, mood, group_size, session_length FROM decisions
		WHERE mood IS NOT NULL AND group_size IS NOT NULL AND session_length IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	contexts := map[string][3]string{}
	var id string
	var c [3]string
	_, err = pgx.ForEachRow(rows, []any{&id, &c[0], &c[1], &c[2]}, func() error {
		contexts[id] = c
		return nil
	})
	return contexts, err
}

func topThree(r *schemas.Result) string {
	var films []string
	for _, item := range r.Items[:min(3, len(r.Items))] {
		text := item.Title
		if item.Prediction != nil {
			text += fmt.Sprintf(" %.3f", *item.Prediction)
		}
		films = append(films, text)
	}
	return strings.Join(films, " · ")
}

// printQuery prints what a query returns. The simple protocol gives every value as text.
func (s *demoStack) printQuery(ctx context.Context, w io.Writer, sql string) error {
	rows, err := s.pipeline.database.Pool().Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	defer rows.Close()
	var header []string
	for _, f := range rows.FieldDescriptions() {
		header = append(header, f.Name)
	}
	var table [][]string
	for rows.Next() {
		var cells []string
		for _, value := range rows.RawValues() {
			cells = append(cells, string(value))
		}
		table = append(table, cells)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return printTable(w, header, table)
}

// stayDemo prints how to reach the demo's servers and waits for the end of ctx.
func (a *app) stayDemo(ctx context.Context, s *demoStack) {
	brokers := strings.Join(s.cfg.Kafka.Brokers, ",")
	fmt.Fprintf(a.stdout, `
Everything is left running until you press Ctrl-C.

  Kafka     %s
  Postgres  %s
  model     %s

In another terminal:

  export RECSTREAM_KAFKA_BROKERS=%s RECSTREAM_DATABASE_URL='%s' RECSTREAM_MODEL_PATH=%s
  bin/recstream publish --user ada --mood funny --group couple --session short --wait
  psql '%s' -c 'SELECT * FROM recommendations ORDER BY scored_at DESC, rank LIMIT 3'
`, brokers, s.database.url, s.cfg.Model.Path, brokers, s.database.url, s.cfg.Model.Path, s.database.url)
	<-ctx.Done()
}
