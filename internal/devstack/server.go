package devstack

import (
	"context"
	"errors"
	"os"
	"sync"
)

// server is a process that can be stopped and started again. It keeps its port and its data.
type server struct {
	port  reservation
	inner []reservation // ports that servers of ours talk to each other on
	begin func() (*process, error)
	probe func(context.Context) error

	mu   sync.Mutex
	proc *process // nil while stopped
}

// Start starts a server that was stopped or killed, with the data and the port that it had, and
// waits until it answers or ctx ends. The port is free while the server is away, for clients to be
// refused; a stranger who took it meanwhile is an error. A server that runs is left as it is.
func (s *server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive() {
		return nil
	}
	if err := s.takePorts(); err != nil {
		return err
	}
	proc, err := s.begin()
	if err != nil {
		return err
	}
	s.proc = proc
	if err := proc.ready(ctx, s.probe); err != nil {
		return errors.Join(err, s.end(context.Background(), os.Kill))
	}
	return nil
}

// takePorts makes sure that the ports are free, and leaves them to the process.
func (s *server) takePorts() error {
	for _, port := range s.ports() {
		if err := port.hold(); err != nil {
			return err
		}
	}
	s.freePorts()
	return nil
}

func (s *server) freePorts() {
	for _, port := range s.ports() {
		port.release()
	}
}

func (s *server) ports() []*reservation {
	all := []*reservation{&s.port}
	for i := range s.inner {
		all = append(all, &s.inner[i])
	}
	return all
}

// Pause stops the server where it is, with all of its processes: it neither answers nor ends, and
// the system goes on to accept connections for it. A server that is away is left so. Only for Linux.
func (s *server) Pause() error { return s.freeze(true) }

// Resume has a paused server go on.
func (s *server) Resume() error { return s.freeze(false) }

func (s *server) freeze(paused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.alive() {
		return nil
	}
	return s.proc.freeze(paused)
}

// end stops the process, if there is one, even if it is paused. The caller holds mu.
func (s *server) end(ctx context.Context, signal os.Signal) error {
	if s.proc == nil {
		return nil
	}
	proc := s.proc
	s.proc = nil
	return proc.stop(ctx, signal)
}

func (s *server) stop(ctx context.Context, signal os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(ctx, signal)
}

// alive tells whether the process runs. The caller holds mu.
func (s *server) alive() bool {
	if s.proc == nil {
		return false
	}
	select {
	case <-s.proc.done:
		s.proc = nil
		return false
	default:
		return true
	}
}
