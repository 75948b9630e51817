// Package logbook keeps a log in memory, for tests and benchmarks that read it while it is written.
package logbook

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Book is a log. The zero Book is empty; any number of goroutines may write and read it.
type Book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the log.
func (b *Book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns the log until now.
func (b *Book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Count returns how often a text stands in the log.
func (b *Book) Count(text string) int { return strings.Count(b.String(), text) }

// Logger returns a logger that writes to the log.
func (b *Book) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
