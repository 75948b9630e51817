package upkeep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logbook is a log that a test can read while it is written.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// count returns how many lines have the text.
func (l *logbook) count(text string) int { return strings.Count(l.text(), text) }

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

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
	var book logbook
	step := 0
	loop(ctx, time.Millisecond, nil, book.logger(), "the thing", func(context.Context) error {
		if step == len(answers) {
			cancel()
			return errors.New("ended") // what ends by the context is not trouble
		}
		step++
		return answers[step-1]
	})
	for text, want := range map[string]int{"error=away": 2, "error=denied": 1, "works again": 2, "error=ended": 0} {
		if got := book.count(text); got != want {
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
