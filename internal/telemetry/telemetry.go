package telemetry

import (
	"net/http"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Build is what the program was built from.
type Build struct {
	Version  string
	Revision string // "" where it is not known
}

// Metrics are those of one instance.
type Metrics struct {
	registry  *prometheus.Registry
	build     Build
	sources   Sources
	decisions *decisions
	http      requests

	mu      sync.Mutex
	streams []*Stream
}

// New returns the metrics of an instance, with those of the Go runtime and of the process.
func New(build Build, sources Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), build: build, sources: sources, decisions: newDecisions(sources.Models)}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Requests returns the observer of a topic of requests.
func (m *Metrics) Requests(topic string) *Stream { return m.stream(topic, m.decisions) }

// Feedback returns the observer of a topic of feedback. A topic is observed once.
func (m *Metrics) Feedback(topic string) *Stream { return m.stream(topic, nil) }

func (m *Metrics) stream(topic string, d *decisions) *Stream {
	s := newStream(topic, d)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams = append(m.streams, s)
	return s
}

// Scored counts what the decisions of a batch took. It keeps nothing of the list.
func (m *Metrics) Scored(list []Scored) { m.decisions.scored(list) }

// Gatherer gathers the metrics for whoever writes them out.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// maxScrapes is how many scrapes are answered at once; more are told to come again.
const maxScrapes = 4

// Handler answers scrapes, in the format that the scraper asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true})
}

// Describe is for the registry.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, one := range metrics {
		out <- one.desc
	}
}

// Collect is for the registry.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	buildInfo.emit(out, 1, m.build.Version, m.build.Revision, runtime.Version())
	m.sources.collect(out)
	m.decisions.collect(out)
	m.http.collect(out)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams {
		s.collect(out)
	}
}
