package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kgo"

	"recstream/schemas"
)

// instrumented is an instance with servers of its own, whose metrics are scraped over HTTP.
type instrumented struct {
	*demoStack
	url    string
	client *kgo.Client
}

func startInstrumented(t *testing.T) *instrumented {
	t.Helper()
	a := &app{stdout: io.Discard, stderr: io.Discard}
	s, err := a.startDemo(t.Context(), demoFlags{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.pipeline.lag.every = 20 * time.Millisecond
	stop, err := s.serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(s.pipeline.metrics.Handler())
	t.Cleanup(server.Close)
	return &instrumented{s, server.URL, newClient(t, s.broker.Addr()[0])}
}

// publish writes events to a topic.
func (i *instrumented) publish(t *testing.T, topic string, events ...string) {
	t.Helper()
	records := make([]*kgo.Record, len(events))
	for n, e := range events {
		records[n] = &kgo.Record{Topic: topic, Value: []byte(e)}
	}
	if err := i.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// scrape returns what the handler answers, as a Prometheus reads it.
func (i *instrumented) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	res, err := http.Get(i.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// sum adds the series of a metric that have the labels, given as name=value; of histograms it counts values.
func sum(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	total := 0.0
	for _, m := range families["recstream_"+name].GetMetric() {
		text := ""
		for _, l := range m.Label {
			text += " " + l.GetName() + "=" + l.GetValue() + " "
		}
		matches := true
		for _, l := range labels {
			matches = matches && strings.Contains(text, " "+l+" ")
		}
		if matches {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}

// await scrapes until a sum is as wanted, and returns that scrape.
func (i *instrumented) await(t *testing.T, want float64, name string, labels ...string) map[string]*dto.MetricFamily {
	t.Helper()
	deadline, tick := time.NewTimer(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		families := i.scrape(t)
		if sum(families, name, labels...) == want {
			return families
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s%v is %v, want %v", name, labels, sum(families, name, labels...), want)
		}
	}
}

func wantSums(t *testing.T, families map[string]*dto.MetricFamily, want map[string]float64) {
	t.Helper()
	for key, v := range want {
		words := strings.Fields(key)
		if got := sum(families, words[0], words[1:]...); math.Abs(got-v) > 1e-9 {
			t.Errorf("%s is %v, want %v", key, got, v)
		}
	}
}

// TestMetricsOfAKnownWorkload runs an instance on a broker and a database, and reads from its metrics what it did.
func TestMetricsOfAKnownWorkload(t *testing.T) {
	i := startInstrumented(t)
	var events []string
	for n := range 200 {
		events = append(events, fmt.Sprintf(`{"request_id":"r%d","user_id":"u%d","mood":"funny","group_size":"solo","session_length":"short"}`, n, n%20))
	}
	for n := range 30 {
		events = append(events, fmt.Sprintf(`{"request_id":"a%d","mood":"action"}`, n))
	}
	bad := []string{`{`, `{"mood":"funny"}`, `{"request_id":"x","mood":"hungry"}`, `{"request_id":"x","mood":"bored"}`}
	i.publish(t, schemas.DefaultRequestTopic, append(events, bad...)...)
	i.await(t, 234, "events_total", "topic="+schemas.DefaultRequestTopic)
	i.publish(t, schemas.DefaultRequestTopic, events[:15]...) // once more
	i.publish(t, schemas.DefaultFeedbackTopic, `{"request_id":"r1","item_id":"i","action":"click"}`, `{"request_id":"r1"}`)
	i.await(t, 2, "events_total", "topic="+schemas.DefaultFeedbackTopic)
	families := i.await(t, 249, "events_total", "topic="+schemas.DefaultRequestTopic)

	requests, feedback := "topic="+schemas.DefaultRequestTopic, "topic="+schemas.DefaultFeedbackTopic
	wantSums(t, families, map[string]float64{
		"events_total outcome=decided": 230, "events_total outcome=repeated": 15, "events_total outcome=rejected": 5,
		"events_total outcome=stored":                              1,
		"requests_total":                                           230,
		"requests_total tier=model reason=none":                    230,
		"degraded_total":                                           0,
		"cold_starts_total code=anonymous_user":                    30,
		"dead_letters_total code=unknown_value " + requests:        2,
		"dead_letters_total code=invalid_json " + requests:         1,
		"dead_letters_total code=missing_field " + requests:        1,
		"dead_letters_total code=missing_field " + feedback:        1,
		"dead_letters_total":                                       5,
		"request_duration_seconds":                                 245,
		"request_queue_duration_seconds":                           230,
		"decision_stage_duration_seconds stage=whole":              230,
		"decision_stage_duration_seconds stage=filter":             230,
		"decision_stage_duration_seconds stage=score":              230,
		"decision_stage_duration_seconds stage=rank":               230,
		"served_prediction":                                        690, // three items each
		"batch_stage_duration_seconds stage=decide " + feedback:    0,
		"assigned_partitions " + requests:                          float64(i.cfg.Kafka.Partitions),
		"tier_state state=open":                                    0,
		"tier_state state=closed tier=model version=2":             1,
		"config_info version=" + i.pipeline.engine.ConfigVersion(): 1,
		"config_refused":                                           0,
		"catalog_items":                                            float64(len(i.films)),
		"catalog_version":                                          float64(i.pipeline.engine.CatalogVersion()),
		"build_info":                                               1,
	})
	if n := sum(families, "rebalances_total", requests); n < 1 {
		t.Errorf("%v rebalances of a topic that is read", n)
	}
	if models := sum(families, "model_info"); models < 2 {
		t.Errorf("%v models in force, want those of the experiment's variants", models)
	}
	lint(t, families)
}

func lint(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	var list []*dto.MetricFamily
	for _, f := range families {
		list = append(list, f)
	}
	problems, err := promlint.NewWithMetricFamilies(list).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestLagGrowsWhileTheConsumerIsStuck keeps the ledger locked, and lets go of it.
func TestLagGrowsWhileTheConsumerIsStuck(t *testing.T) {
	i := startInstrumented(t)
	i.await(t, float64(i.cfg.Kafka.Partitions), "assigned_partitions", "topic="+schemas.DefaultRequestTopic)
	tx, err := i.pipeline.database.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `LOCK TABLE decisions IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		i.publish(t, schemas.DefaultRequestTopic, fmt.Sprintf(`{"request_id":"r%d"}`, n))
	}
	families := i.await(t, 60, "consumer_lag_events", "topic="+schemas.DefaultRequestTopic)
	wantSums(t, families, map[string]float64{"events_total": 0, "consumer_lag_events topic=" + schemas.DefaultFeedbackTopic: 0})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	families = i.await(t, 0, "consumer_lag_events")
	wantSums(t, families, map[string]float64{"events_total outcome=decided": 60})
}
