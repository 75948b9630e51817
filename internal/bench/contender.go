package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"recstream/consumer"
	"recstream/internal/config"
)

// contender is one program that answers requests.
type contender struct {
	name  string
	about string
	// first is the number of requests in its first, unmeasured round.
	first int
	// run answers all requests of the session's topic, starts the stopwatch when it begins to read and stops
	// it when the last offset is committed.
	run func(context.Context, *session) error
	// Queries on its tables, for the proof that nothing is missing.
	requestIDs      string // the ids of all stored requests
	recommendations string // how many recommendations are stored
}

// Names of the contenders.
const (
	nameRecstream = "recstream"
	nameAtLeast   = "at-least-once"
	nameIOOnly    = "io-only"
	nameNaive     = "naive"
	nameNaiveOwn  = "naive-own-scoring"
)

// Queries on the live rows of the ledger, and on the tables of the obvious program.
const (
	ledgerIDs   = `SELECT request_id FROM decisions WHERE run_id = 0`
	ledgerItems = `SELECT coalesce(sum(cardinality(item_ids)), 0) FROM decisions WHERE run_id = 0`
	keyedIDs    = `SELECT request_id FROM bench_requests`
	keyedItems  = `SELECT count(*) FROM bench_recommendations`
)

// contenders are all there are, in the order of a round.
var contenders = []contender{
	{nameRecstream, "recstream", 60_000, runRecstream, ledgerIDs, ledgerItems},
	{nameAtLeast, "the same, without transactions", 60_000, runAtLeastOnce, ledgerIDs, ledgerItems},
	{nameIOOnly, "recstream, scoring left out", 60_000, runIOOnly, ledgerIDs, ledgerItems},
	{nameNaive, "obvious program, same scorer", 10_000, runNaive, keyedIDs, keyedItems},
	{nameNaiveOwn, "obvious program, own scoring", 2_000, runNaiveOwn, keyedIDs, keyedItems},
}

// contenderNamed returns the contender of that name.
func contenderNamed(name string) (*contender, error) {
	i := slices.IndexFunc(contenders, func(c contender) bool { return c.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no contender %q", name)
	}
	return &contenders[i], nil
}

// chosen returns the contenders that a comma-separated list names, all for an empty one.
func chosen(list string) ([]*contender, error) {
	var all []*contender
	for i := range contenders {
		all = append(all, &contenders[i])
	}
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if _, err := contenderNamed(name); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(c *contender) bool { return !slices.Contains(names, c.name) }), nil
}

// runRecstream is the service: a scorer of its own for each partition, all on one engine.
func runRecstream(ctx context.Context, s *session) error {
	if err := s.warm(); err != nil {
		return err
	}
	return s.stream(ctx, func() consumer.Scorer { return s.engine.NewScorer() })
}

// runAtLeastOnce is the service with delivery at_least_once.
func runAtLeastOnce(ctx context.Context, s *session) error {
	s.cfg.Delivery = config.AtLeastOnce
	return runRecstream(ctx, s)
}

// runIOOnly is the service but for the scorer. One serves all partitions: it remembers nothing.
func runIOOnly(ctx context.Context, s *session) error {
	answers := plainAnswers(s)
	return s.stream(ctx, func() consumer.Scorer { return answers })
}

// runNaive is the obvious program with recstream's scorer, so that the difference is all in the rest.
func runNaive(ctx context.Context, s *session) error {
	if err := s.warm(); err != nil {
		return err
	}
	return s.obvious(ctx, s.engine.NewScorer())
}

// runNaiveOwn is the obvious program as a whole.
func runNaiveOwn(ctx context.Context, s *session) error {
	scorer, err := newOwnScorer(s)
	if err != nil {
		return err
	}
	return s.obvious(ctx, scorer)
}
