package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"recstream/internal/devstack/devstacktest"
	"recstream/internal/logbook"
	"recstream/internal/postgres"
)

// server has a database for each test.
var server devstacktest.Postgres

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Around(m)) }

// openDatabase returns a database with recstream's tables.
func openDatabase(t *testing.T) *postgres.Database {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: server.Database(t)})
	must(t, err)
	t.Cleanup(db.Close)
	_, err = db.Migrate(t.Context())
	must(t, err)
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLoopLogsTroubleWhenItBeginsAndChangesAndEnds(t *testing.T) {
	away, denied := errors.New("away"), errors.New("denied")
	answers := []error{nil, away, away, away, denied, denied, nil, nil, away, nil}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var book logbook.Book
	step := 0
	loop(ctx, time.Millisecond, nil, book.Logger(), "the thing", func(context.Context) error {
		if step == len(answers) {
			cancel()
			return errors.New("ended") // what ends by the context is not trouble
		}
		step++
		return answers[step-1]
	})
	for text, want := range map[string]int{"error=away": 2, "error=denied": 1, "works again": 2, "error=ended": 0} {
		if got := book.Count(text); got != want {
			t.Errorf("%q is logged %d times, want %d", text, got, want)
		}
	}
}

func TestLoopBeginsAtOnceAndEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		loop(ctx, time.Hour, nil, slog.New(slog.DiscardHandler), "the thing", func(context.Context) error {
			close(began)
			return nil
		})
	}()
	within(t, "the first step", began)
	cancel()
	within(t, "the end", ended)
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: not before the deadline", what)
	}
}
