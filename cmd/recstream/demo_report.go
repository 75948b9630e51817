package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"recstream/schemas"
)

func (a *app) printDemo(ctx context.Context, s *demoStack, t *demoTraffic, f *demoFigures) error {
	w := a.stdout
	fmt.Fprintln(w, "Some of the results, as the app reads them from Kafka:")
	fmt.Fprintln(w)
	if err := s.printSamples(ctx, w, t.results); err != nil {
		return err
	}
	printReasons(w, t.results)
	for _, answer := range f.Answers {
		fmt.Fprintf(w, "\n%s\n\n%s;\n\n", answer.Question, answer.SQL)
		if err := printTable(w, answer.Columns, answer.Rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nThe households and what they watch are simulated: the figures show how it works, not what people like.\n"+
		"Where two shares differ by less than their ±, the experiment does not tell which is better.\n")
	fmt.Fprintf(w, "\n%d requests, %d decisions with %d recommendations in Postgres, %d results and %d dead letters in Kafka\n",
		f.Requests, f.Decisions, f.Recommendations, f.Results, f.DeadLetters)
	fmt.Fprintf(w, "%d feedback events made %d profiles; %d shadow decisions, which nobody was served\n", f.Feedback, f.Profiles, f.Shadows)
	fmt.Fprintf(w, "answered by %s; %.2f s, %.0f requests/s\n", tiersText(f.Tiers), f.ElapsedS, f.RequestsPerS)
	return nil
}

// printReasons prints why the items of the first result that explains itself were recommended.
func printReasons(w io.Writer, results []*schemas.Result) {
	i := slices.IndexFunc(results, func(r *schemas.Result) bool { return len(r.Items) > 0 && r.Items[0].Reason != "" })
	if i < 0 {
		return
	}
	fmt.Fprintf(w, "\nRequest %s asked why:\n\n", results[i].RequestID)
	for _, item := range results[i].Items {
		fmt.Fprintf(w, "  %s: %s\n", item.Title, item.Reason)
	}
}

func tiersText(tiers map[string]int) string {
	var parts []string
	for _, t := range []schemas.Tier{schemas.TierModel, schemas.TierPrevious, schemas.TierSimilar, schemas.TierPopular, schemas.TierEditorial, schemas.TierBasic} {
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
		variant := "none"
		if r.Experiment != nil {
			variant = r.Experiment.Variant
		}
		rows = append(rows, []string{c[0], c[1], c[2], topThree(r), string(r.Tier), variant})
	}
	return printTable(w, []string{"MOOD", "COMPANY", "TIME", "FILMS WITH PREDICTIONS", "TIER", "VARIANT"}, rows)
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

// stayDemo prints how to reach the demo's servers and waits for the end of ctx.
func (a *app) stayDemo(ctx context.Context, s *demoStack) {
	brokers := strings.Join(s.cfg.Kafka.Brokers, ",")
	fmt.Fprintf(a.stdout, `
Everything is left running until you press Ctrl-C.

  Kafka     %s
  Postgres  %s
  models    %s
  HTTP      http://%s

In another terminal:

  export RECSTREAM_KAFKA_BROKERS=%s RECSTREAM_DATABASE_URL='%s' RECSTREAM_MODEL_STORE=%s RECSTREAM_HTTP_LISTEN=%s
  bin/recstream publish --id why --user ada --mood funny --group couple --session short --explain --wait
  bin/recstream explain why
  bin/recstream simulate --fail model,previous_model --user household-00001 --mood funny
  bin/recstream status
  bin/recstream model list
  bin/recstream experiment show new-ranker
  curl -s -H 'Content-Type: application/json' -d '{"mood":"funny","limit":2}' http://%s/v1/recommendations
  psql '%s' -c 'SELECT * FROM recommendations ORDER BY scored_at DESC, rank LIMIT 3'
`, brokers, s.database.url, s.cfg.Model.Store, s.pipeline.address, brokers, s.database.url, s.cfg.Model.Store, s.pipeline.address, s.pipeline.address, s.database.url)
	<-ctx.Done()
}
