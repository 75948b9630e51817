package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"recstream/internal/config"
)

// Config is what a server works with. All fields are required unless it is said.
type Config struct {
	Settings config.HTTP
	Requests Publisher
	Feedback Publisher
	Results  Results
	Ledger   Ledger
	LookUps  int // in the database at the same time, at the most; further ones wait
	Items    Items
	Info     Info
	Metrics  http.Handler // nil is none
	// Observe, if not nil, is told of each request that was handled: its route as the document has it, or "" for none,
	// its method, the status and how long it took.
	Observe func(route, method string, status int, took time.Duration)
	Now     func() time.Time
	Log     *slog.Logger
}

// Server is the HTTP interface of an instance.
type Server struct {
	cfg     Config
	guard   *guard
	waiting *waiting
	begun   places // of what goes on without its request
	lookUps places
	handler http.Handler

	life   context.Context // of what was begun
	giveUp context.CancelFunc

	listener net.Listener
	open     atomic.Bool   // events can be decided
	draining atomic.Bool   // a stop was asked for
	hurry    chan struct{} // closed when those who wait are to be answered at once
}

// The times of the waits for the ledger.
const (
	pollInterval  = 250 * time.Millisecond // between looks for results that the topic did not bring
	pollPatience  = time.Second            // after which a result is looked for although the topic seems whole
	ledgerTimeout = 2 * time.Second        // of one look-up, its turn among others included
	repeatTimeout = 500 * time.Millisecond // of one that a request is published after: whoever decides looks again
	hurryBefore   = 250 * time.Millisecond // the end of the drain timeout
)

// The times of the publishing.
const (
	publishTimeout = 5 * time.Second // for an event to be safe in the topic, whether or not its client waits
	beginPatience  = time.Second     // that a client has to wait for it, where it prefers to wait less
)

// maxHeaderBytes is how large a request's header may be.
const maxHeaderBytes = 16 << 10

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, guard: newGuard(cfg.Settings), waiting: newWaiting(), hurry: make(chan struct{}),
		begun: make(places, cfg.Settings.MaxInFlight), lookUps: make(places, cfg.LookUps)}
	s.life, s.giveUp = context.WithCancel(context.Background())
	s.handler = s.routes()
	return s
}

// Listen takes the configured address. An error is about that.
func (s *Server) Listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Settings.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	s.listener = netutil.LimitListener(listener, s.cfg.Settings.MaxConnections)
	return nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Open says that events can be decided from now on. Before, only the instance's health is told.
func (s *Server) Open() { s.open.Store(true) }

// Run serves until ctx ends and then lets the requests in hand be answered, within the drain timeout. It is called
// once, after Listen.
func (s *Server) Run(ctx context.Context) error {
	settings := s.cfg.Settings
	web := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: settings.HeaderTimeout,
		ReadTimeout:       settings.ReadTimeout,
		WriteTimeout:      settings.ReadTimeout + settings.WaitMax + settings.WriteTimeout,
		IdleTimeout:       settings.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx)) // goes on while requests are answered
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { s.cfg.Results.Run(background, s.waiting.any, s.waiting.take) })
	running.Go(func() { s.poll(background) })

	served := make(chan error, 1)
	running.Go(func() { served <- web.Serve(s.listener) })
	select {
	case err := <-served:
		s.giveUp()
		s.begun.close()
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	s.drain(web)
	return nil
}

// drain stops to accept, answers what is in hand, and waits for what was begun.
func (s *Server) drain(web *http.Server) {
	s.draining.Store(true)
	limit := s.cfg.Settings.DrainTimeout
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	defer context.AfterFunc(ctx, s.giveUp)()
	hurry := time.AfterFunc(max(limit-hurryBefore, limit/2), func() { close(s.hurry) })
	defer hurry.Stop()
	if err := web.Shutdown(ctx); err != nil {
		s.cfg.Log.Warn("requests over HTTP were cut off at the stop", "error", err)
		_ = web.Close()
	}
	s.begun.close()
}

// poll looks in the ledger for results that the topic of results may not bring: all of them while it is not wholly
// read, and at any time those that take long.
func (s *Server) poll(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		then := s.cfg.Now()
		if s.cfg.Results.Whole() {
			then = then.Add(-pollPatience)
		}
		if ids := s.waiting.before(then); len(ids) > 0 {
			s.lookUp(ctx, ids)
		}
	}
}

// lookUp ends the wait of those ids that the ledger knows.
func (s *Server) lookUp(ctx context.Context, ids []string) {
	found, err := s.find(ctx, ids, false, ledgerTimeout)
	if err != nil {
		s.cfg.Log.Debug("results not looked up", "error", err)
		return
	}
	for id, d := range found {
		s.waiting.settle(id, resultEvent(d))
	}
}

// isTimeout reports whether a connection was too slow.
func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}
