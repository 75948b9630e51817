package telemetry

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requests counts those of the HTTP interface.
type requests struct {
	mu       sync.Mutex
	answered map[answer]uint64
	times    map[string]*histogram // by route
}

type answer struct {
	route, method string
	status        int
}

// methods are those that HTTP has for an interface; others are up to the client.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions}

// HTTP counts a request to the HTTP interface. The route is the interface's own name for it, "" for none, and never the
// path that the client sent.
func (m *Metrics) HTTP(route, method string, status int, took time.Duration) {
	if route == "" {
		route = other
	}
	if !slices.Contains(methods, method) {
		method = other
	}
	r := &m.http
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.times[route] == nil {
		if r.answered == nil {
			r.answered, r.times = map[answer]uint64{}, map[string]*histogram{}
		}
		h := newHistogram(requestBuckets)
		r.times[route] = &h
	}
	r.answered[answer{route, method, status}]++
	r.times[route].took(took)
}

func (r *requests) collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a, n := range r.answered {
		httpTotal.emit(out, float64(n), a.route, a.method, strconv.Itoa(a.status))
	}
	for route, h := range r.times {
		h.emit(out, httpDuration, route)
	}
}
