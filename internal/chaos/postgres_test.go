package chaos

import (
	"fmt"
	"testing"
	"time"

	"recstream/internal/chaos/proxy"
)

// TestPostgresStopsImmediately ends Postgres unclean, in the middle of work, and starts it again after a while.
func TestPostgresStopsImmediately(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownPostgres: true})
	r := s.begin(t, "3", "Postgres: immediate stop")
	r.read(t)
	s.serve(t)
	s.serve(t)
	r.publish(t, 300)
	for stops := share(50); r.faults < stops; {
		r.advance(t, 25)
		r.pause(300 * time.Millisecond)
		need(t, s.postgres.Kill())
		if err := s.db.Ping(within(t, time.Second)); err == nil {
			t.Fatal("Postgres answers although it was stopped")
		}
		r.struck("Postgres was stopped")
		r.pause(2 * time.Second)
		need(t, s.postgres.Start(within(t, startTime)))
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), share(50))
}

// TestPostgresTerminatesBackends ends sessions of instances at random, those in a transaction first.
func TestPostgresTerminatesBackends(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	r := s.begin(t, "3", "Postgres: pg_terminate_backend")
	s.serve(t)
	s.serve(t)
	r.publish(t, 500)
	for sessions := share(200); r.faults < sessions; {
		r.advance(t, 1)
		r.pause(100 * time.Millisecond)
		r.terminate(t)
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), share(200))
}

// terminate ends one session of an instance in the middle of its work. It looks for one that is, again and again:
// most of the time a session is idle.
func (r *run) terminate(t *testing.T) {
	t.Helper()
	eventually(t, "a session in a transaction", patience, func() (bool, string) {
		var query string
		var ended bool
		err := r.db.QueryRow(t.Context(), `SELECT query, pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'recstream' AND xact_start IS NOT NULL
			ORDER BY random() LIMIT 1`).Scan(&query, &ended)
		if err == nil && ended {
			r.struck("session ended at %.40q", query)
		}
		return err == nil && ended, fmt.Sprint(err)
	})
}

// TestPostgresCutAtCommit cuts the connection when a COMMIT was sent, with and without Postgres having answered: the
// instance cannot know whether its batch is stored.
func TestPostgresCutAtCommit(t *testing.T) {
	t.Parallel()
	s := open(t, setup{proxyPostgres: true})
	r := s.begin(t, "3", "Postgres: cut after COMMIT was sent")
	s.serve(t)
	s.serve(t)
	r.publish(t, 500)
	commit := proxy.Statement(`(?i)^\s*commit`)
	r.trigger(t, s.postgresProxy, share(100), func() proxy.Trigger {
		return proxy.Trigger{Match: commit, Skip: r.rng.IntN(20), When: proxy.AfterRequest + proxy.Stage(r.rng.IntN(2))}
	})
	r.advance(t, 25)
	r.finish(t, share(50_000), share(100))
}

// trigger arms one trigger after the other until so many have fired.
func (r *run) trigger(t *testing.T, p *proxy.Proxy, times int, draw func() proxy.Trigger) {
	t.Helper()
	for range times {
		r.mustLive(t)
		armed := p.Arm(draw())
		select {
		case <-armed.Done():
			r.struck("%s", describe(armed.Trigger))
		case <-within(t, patience).Done():
			t.Fatalf("not fired within %s: %s", patience, describe(armed.Trigger))
		}
		armed.Disarm()
	}
}

func describe(tr proxy.Trigger) string {
	when := map[proxy.Stage]string{proxy.BeforeRequest: "before the request", proxy.AfterRequest: "after the request",
		proxy.AfterResponse: "after the answer"}[tr.When]
	if tr.Do == proxy.Silence {
		return "silence " + when
	}
	return "cut " + when
}
