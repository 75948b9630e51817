package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"recstream/internal/logbook"
)

// past is how many requests there are to replay: more than a replay without a limit works off in a round.
const past = 150_000

// besideReplay is a path beside which a process replays the past, at a rate as `recstream replay run` takes it.
func (s *stack) besideReplay(p path, rate string) trial {
	label := p.name() + "_replay_" + rate
	if rate == "0" {
		label = p.name() + "_replay_unlimited"
	}
	return trial{path: p, label: label, beside: func(ctx context.Context) (func() error, error) { return s.replay(ctx, rate) }}
}

// replay has the past replayed, again and again, until end, which wants it to have got on.
func (s *stack) replay(ctx context.Context, rate string) (end func() error, err error) {
	before, err := s.replayed(ctx)
	if err != nil {
		return nil, err
	}
	replaying, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error
	running.Go(func() {
		for failed == nil && replaying.Err() == nil {
			failed = s.replayOnce(replaying, rate)
		}
	})
	return func() error {
		cancel()
		running.Wait()
		after, err := s.replayed(ctx)
		if err == nil && after == before {
			err = errors.New("nothing was replayed meanwhile")
		}
		return errors.Join(failed, err)
	}, nil
}

// replayOnce replays the past once, until ctx ends.
func (s *stack) replayOnce(ctx context.Context, rate string) error {
	cmd := exec.CommandContext(ctx, s.program, "replay", "run", "--rate", rate, "--max-differing", "0") //nolint:gosec // our own words
	var log logbook.Book
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("replay: %w\n%s", err, &log)
	}
	return nil
}

// replayed returns how many offsets have been replayed so far, over all replays.
func (s *stack) replayed(ctx context.Context) (offsets int64, err error) {
	out, err := s.output(ctx, s.program, "replay", "list", "-o", "json")
	if err != nil {
		return 0, err
	}
	var replays []struct {
		Done int64 `json:"offsets_done"`
	}
	if err := json.Unmarshal(out, &replays); err != nil {
		return 0, fmt.Errorf("replay list: %w", err)
	}
	for _, r := range replays {
		offsets += r.Done
	}
	return offsets, nil
}
