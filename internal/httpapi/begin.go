package httpapi

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// begin runs work in a goroutine of the server's, which brings it to its end although its request may be gone, and
// tells ended what went wrong, nil for nothing. Until ctx ends it waits for a place; where there is none, work is not
// run and ended is told that. The server's stop waits for what was begun, and cuts it off at the drain timeout.
func (s *Server) begin(ctx context.Context, work func(context.Context) *Problem, ended func(*Problem)) {
	if err := s.begun.take(ctx); err != nil {
		ended(problem(CodeOverloaded, fmt.Sprintf("%d events are on their way already; wait and try again", cap(s.begun))))
		return
	}
	go func() {
		defer s.begun.free()
		ended(s.safely(work))
	}()
}

// safely is work for a goroutine of its own, where a panic would end the process.
func (s *Server) safely(work func(context.Context) *Problem) (p *Problem) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Log.Error("publishing panicked and was stopped", "error", v, "stack", string(debug.Stack()))
			p = problem(CodeInternal, "the log of the instance has more")
		}
	}()
	return work(s.life)
}

// unpublished returns the problem of an event that was not acknowledged.
func unpublished(err error, detail string) *Problem {
	if errors.Is(err, ErrTooLarge) {
		return tooLarge("the topic takes no event so large: send a smaller one, or have the topic's max.message.bytes raised")
	}
	return problem(CodeBrokerUnavailable, detail)
}
