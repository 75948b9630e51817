package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// access says who may use a route, and when.
type access int

const (
	public   access = iota // anybody, at any time: for probes
	watching               // clients, however many requests are in hand: for those who watch over the instance
	known                  // clients, within the limits
	serving                // clients, within the limits, once events can be decided
)

// handler answers a request, or returns what is to be answered instead: a *Problem, or a fault of this program.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is a path with its methods. A method GET answers HEAD too.
type route struct {
	path    string // as the document has it
	access  access
	methods map[string]handler
}

// routes plugs the routes together.
func (s *Server) routes() http.Handler {
	list := []route{
		{"/v1/recommendations", serving, map[string]handler{"POST": s.recommend}},
		{"/v1/recommendations/{request_id}", serving, map[string]handler{"GET": s.recommendation}},
		{"/v1/items/{item_id}", serving, map[string]handler{"GET": s.item}},
		{"/v1/feedback", serving, map[string]handler{"POST": s.feedback}},
		{"/v1/models", known, map[string]handler{"GET": s.models}},
		{"/v1/status", watching, map[string]handler{"GET": s.status}},
		{"/openapi.json", known, map[string]handler{"GET": s.document}},
		{"/healthz", public, map[string]handler{"GET": s.health}},
		{"/readyz", public, map[string]handler{"GET": s.ready}},
	}
	if s.cfg.Metrics != nil {
		metrics := route{"/metrics", watching, map[string]handler{"GET": s.metrics}}
		if s.cfg.Settings.OpenMetrics {
			metrics.access = public
		}
		list = append(list, metrics)
	}
	mux := http.NewServeMux()
	for _, r := range list {
		mux.Handle(r.path, s.handle(r))
	}
	nowhere := s.handle(route{"", known, nil})
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isClean(r.URL.EscapedPath()) {
			nowhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isClean reports whether a path has no empty segments and none of dots. The mux would redirect others before it asks
// who calls.
func isClean(escaped string) bool {
	clean := path.Clean(escaped)
	return strings.HasPrefix(escaped, "/") && (escaped == clean || clean != "/" && escaped == clean+"/")
}

// handle makes a route's handler.
func (s *Server) handle(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.cfg.Now()
		answer := &recorder{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				s.panicked(answer, r, v)
			}
			s.observe(rt.path, r.Method, answer.status, s.cfg.Now().Sub(began))
		}()
		if err := s.dispatch(rt, answer, r); err != nil {
			s.problemOf(err, rt).write(answer, r)
		}
	})
}

// dispatch lets a request in, and calls the method's handler.
func (s *Server) dispatch(rt route, w http.ResponseWriter, r *http.Request) error {
	client, ok := s.guard.client(r)
	if !ok && rt.access != public {
		w.Header().Set("WWW-Authenticate", `Bearer realm="recstream"`)
		return problem(CodeUnauthorized, "send the header Authorization: Bearer TOKEN, with a token of http.tokens")
	}
	if rt.access >= known {
		if !s.guard.allow(client) {
			return problem(CodeRateLimited, fmt.Sprintf("at most %d requests a second are taken; wait and try again", s.cfg.Settings.Rate))
		}
		if !s.guard.inFlight.tryTake() {
			return problem(CodeOverloaded, fmt.Sprintf("%d requests are in hand already; wait and try again", s.cfg.Settings.MaxInFlight))
		}
		defer s.guard.inFlight.free()
	}
	do, err := rt.method(w, r)
	if err != nil {
		return err
	}
	if rt.access == serving && !s.open.Load() {
		return problem(CodeNotReady, "the instance is starting; GET /readyz says what it waits for")
	}
	return do(w, r)
}

// method finds the handler of the request's method.
func (rt *route) method(w http.ResponseWriter, r *http.Request) (handler, error) {
	if rt.methods == nil {
		return nil, problem(CodeNotFound, "there is nothing here; GET /openapi.json lists the paths")
	}
	name := r.Method
	if name == http.MethodHead {
		name = http.MethodGet
	}
	do := rt.methods[name]
	if do == nil {
		allowed := slices.Sorted(maps.Keys(rt.methods))
		if rt.methods[http.MethodGet] != nil {
			allowed = append(allowed, http.MethodHead)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return nil, problem(CodeMethodNotAllowed, "the path takes "+strings.Join(allowed, ", "))
	}
	return do, nil
}

// problemOf returns what is answered for an error. What is no problem of the client's is logged, and not shown.
func (s *Server) problemOf(err error, rt route) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	s.cfg.Log.Error("a request over HTTP was not answered", "route", rt.path, "error", err)
	return problem(CodeInternal, "the log of the instance has more")
}

// panicked answers a request whose handler panicked, unless an answer has begun.
func (s *Server) panicked(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // it is this very value that is panicked with
		panic(v)
	}
	s.cfg.Log.Error("a request over HTTP panicked and was stopped", "error", v, "stack", string(debug.Stack()))
	if w.status == 0 {
		problem(CodeInternal, "the log of the instance has more").write(w, r)
	}
}

func (s *Server) observe(path, method string, status int, took time.Duration) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(path, method, status, took)
	}
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int // 0 before it is sent
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController what it needs.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
