package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"recstream/internal/config"
	"recstream/internal/kafkaconn"
	"recstream/internal/replay"
	"recstream/scoring"
	"recstream/scoring/model"
)

// nameReplay is that of replayer.
const nameReplay = "replay"

// replayer decides again what recstream has decided in a round. It is no contender: it has no topic, no database and no
// round of its own.
var replayer = contender{name: nameReplay, about: "recstream replay of the same", run: runReplay}

// programNamed returns the contender of that name, or the replayer.
func programNamed(name string) (*contender, error) {
	if name == nameReplay {
		return &replayer, nil
	}
	return contenderNamed(name)
}

// replay has the requests of a round that is done decided again, over the round's ledger.
func (b *bench) replay(ctx context.Context, done job) (*measurement, error) {
	j := done
	j.Contender, j.Filled = nameReplay, true
	if done.CPUProfile != "" {
		j.CPUProfile = done.CPUProfile + ".replay"
	}
	m, err := spawn(ctx, j, b.stderr)
	return &m, err
}

// replays returns the lane of what was replayed of recstream's rounds, nil where there were none.
func (b *bench) replays() *lane {
	for _, l := range b.lanes {
		if l.name != nameRecstream {
			continue
		}
		again := &lane{contender: &replayer, requests: l.requests}
		for _, m := range l.measured {
			again.measured = append(again.measured, *m.Replay)
		}
		return again
	}
	return nil
}

// runReplay replays the whole topic as `recstream replay run --rate 0` does, from the plan to the report. What scores
// are remembered it makes itself: nothing is warm.
func runReplay(ctx context.Context, s *session) error {
	transport, err := kafkaconn.NewTransport(s.cfg.Kafka)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	params := scoring.DefaultParams()
	if err := s.database.SaveConfig(ctx, params.Version(), string(config.FormatScoring(params))); err != nil { // as the service does
		return err
	}
	o := s.replayOptions(kafkaconn.NewClient(s.cfg.Kafka, transport))
	plan := &replay.Plan{Topic: s.Topic, Features: replay.FeaturesStored, Catalog: replay.CatalogLive}
	s.watch.begin()
	created, err := replay.Create(ctx, plan, replay.Span{}, nameReplay, "", nameReplay, o)
	if err != nil {
		return err
	}
	report, err := replay.Run(ctx, created, nameReplay, o)
	if err != nil {
		return err
	}
	s.watch.end()
	return checkReplay(report, int64(s.Requests))
}

// replayOptions are those of the replay command, with default settings.
func (s *session) replayOptions(client *kafka.Client) replay.Options {
	return replay.Options{
		Client: client, Store: s.database, Log: s.log, FetchBytes: s.cfg.Consumer.BatchBytes, Timeout: client.Timeout,
		Scoring:   s.cfg.EngineOptions(),
		OpenModel: func(*replay.Model) (*model.Model, error) { return model.Load(s.ModelPath) },
	}
}

// checkReplay refuses a replay that has not reproduced every request to the byte.
func checkReplay(r *replay.Report, requests int64) error {
	var errs []error
	if r.Read != requests || r.Compared != requests {
		errs = append(errs, fmt.Errorf("%d events replayed and %d compared, not the %d that were sent %v", r.Read, r.Compared, requests, r.Irreproducible))
	}
	if r.Differing() != 0 {
		errs = append(errs, fmt.Errorf("%d requests are not reproduced to the byte", r.Differing()))
	}
	return errors.Join(errs...)
}
