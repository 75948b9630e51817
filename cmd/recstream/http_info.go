package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/internal/httpapi"
	"recstream/internal/postgres"
	"recstream/schemas"
	"recstream/scoring"
)

// instanceInfo says over HTTP how the instance is.
type instanceInfo struct {
	*pipeline
	services                   []*consumer.Service
	started                    time.Time
	databaseProbe, brokerProbe *probe
}

func newInstanceInfo(p *pipeline, services []*consumer.Service) *instanceInfo {
	return &instanceInfo{pipeline: p, services: services, started: time.Now().UTC().Truncate(time.Second),
		databaseProbe: &probe{ask: p.database.Ping},
		brokerProbe: &probe{ask: func(ctx context.Context) error {
			_, err := p.client.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
			return err
		}}}
}

// Checks says what a ready instance has: a catalogue, its place in the consumer groups, and servers that have answered
// of late.
func (i *instanceInfo) Checks(ctx context.Context) []httpapi.Check {
	catalogue := httpapi.Check{Name: "catalogue", OK: i.engine.CatalogVersion() > 0}
	if !catalogue.OK {
		catalogue.Detail = "no catalogue is loaded yet"
	}
	return []httpapi.Check{catalogue, i.consumers(), i.databaseProbe.check(ctx, "database"), i.brokerProbe.check(ctx, "broker")}
}

// consumers says whether all services have joined their groups since the start. One that loses its group later joins
// it again by itself; until then the others decide what is asked here.
func (i *instanceInfo) consumers() httpapi.Check {
	for _, s := range i.services {
		if !s.Joined() {
			return httpapi.Check{Name: "consumers", Detail: "a consumer group is not joined yet"}
		}
	}
	return httpapi.Check{Name: "consumers", OK: true}
}

// Status says how the instance is. What the brokers do not tell is left out.
func (i *instanceInfo) Status(ctx context.Context) httpapi.Status {
	state := i.catalog.State()
	return httpapi.Status{
		Instance:       instanceName(),
		Version:        currentBuild().Version,
		StartedAt:      i.started,
		Delivery:       i.cfg.Delivery,
		ConfigVersion:  i.engine.ConfigVersion(),
		CatalogVersion: i.engine.CatalogVersion(),
		Items:          state.Items,
		Models:         servingModels(i.engine.Evaluators()),
		Tiers:          tierList(i.engine.Tiers()),
		Partitions:     i.partitions(ctx),
	}
}

// Models says which models answer, and may answer.
func (i *instanceInfo) Models(ctx context.Context) (m httpapi.Models, err error) {
	m.Serving = servingModels(i.engine.Evaluators())
	active, err := i.database.ActiveModel(ctx)
	if err != nil {
		return m, err
	}
	if active != nil {
		m.Active = activeModel(active)
	}
	previous, err := i.database.PreviousModel(ctx)
	if previous != nil {
		m.Previous = modelRef(previous)
	}
	return m, err
}

func activeModel(c *postgres.ModelChange) *httpapi.ActiveModel {
	active := &httpapi.ActiveModel{ModelRef: *modelRef(c.To), Since: c.At}
	if !c.ServedAt.IsZero() {
		active.ServedAt = &c.ServedAt
	}
	return active
}

func modelRef(m *schemas.ModelRef) *httpapi.ModelRef {
	return &httpapi.ModelRef{Name: m.Name, Version: m.Version, SHA256: m.SHA256}
}

func servingModels(evaluators []scoring.Evaluator) (list []httpapi.ServingModel) {
	for _, e := range evaluators {
		list = append(list, httpapi.ServingModel{ModelRef: *modelRef(&e.Model), Method: string(e.Method), Bytes: e.Bytes, Remembered: e.Remembered})
	}
	return list
}

func tierList(tiers []scoring.TierStatus) (list []httpapi.Tier) {
	for _, t := range tiers {
		one := httpapi.Tier{Tier: string(t.Tier), Variant: t.Variant, State: t.State, Reason: string(t.Reason), Failures: t.Failures}
		if t.Model != nil {
			one.Model = modelRef(t.Model)
		}
		if !t.Since.IsZero() {
			since := t.Since.UTC()
			one.Since = &since
		}
		if t.PSI == t.PSI { // NaN is not known
			one.PSI = &t.PSI
		}
		list = append(list, one)
	}
	return list
}

// partitions says how far the group has come in its topics.
func (i *instanceInfo) partitions(ctx context.Context) (list []httpapi.Partition) {
	k := i.cfg.Kafka
	list = i.progress(ctx, k.Group, k.Topics.Requests)
	if i.cfg.Feedback.Enabled {
		list = append(list, i.progress(ctx, k.Group+feedbackSuffix, k.Topics.Feedback)...)
	}
	return list
}

// progress returns how far a group has come in a topic, nil where the brokers do not tell. Of a partition of which
// nothing was committed all events are to come.
func (i *instanceInfo) progress(ctx context.Context, group, topic string) (list []httpapi.Partition) {
	bounds, err := logBounds(ctx, i.client, topic)
	if err != nil {
		return nil
	}
	numbers := make([]int, len(bounds))
	for n := range bounds {
		numbers[n] = bounds[n].Partition
	}
	res, err := i.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: numbers}})
	if err != nil || res.Error != nil {
		return nil
	}
	committed := map[int]int64{}
	for _, p := range res.Topics[topic] {
		committed[p.Partition] = p.CommittedOffset
	}
	for _, b := range bounds {
		next := max(committed[b.Partition], b.FirstOffset)
		list = append(list, httpapi.Partition{Topic: topic, Partition: b.Partition, Committed: next, End: b.LastOffset, Lag: b.LastOffset - next})
	}
	return list
}

// logBounds returns the first and the last offset of each partition, in order.
func logBounds(ctx context.Context, client *kafka.Client, topic string) ([]kafka.PartitionOffsets, error) {
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	var wanted []kafka.OffsetRequest
	for _, p := range found.Topics[0].Partitions {
		wanted = append(wanted, kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
	}
	answer, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: wanted}})
	if err != nil {
		return nil, err
	}
	bounds := answer.Topics[topic]
	slices.SortFunc(bounds, func(a, b kafka.PartitionOffsets) int { return cmp.Compare(a.Partition, b.Partition) })
	for _, p := range bounds {
		if p.Error != nil {
			return nil, p.Error
		}
	}
	return bounds, nil
}

// How long a probe's answer holds, and how long it is waited for.
const (
	probeTTL     = 2 * time.Second
	probeTimeout = time.Second
)

// probe asks a server whether it is there, however often it is asked itself.
type probe struct {
	ask func(context.Context) error

	mu    sync.Mutex
	asked time.Time
	err   error
}

// check returns what the server has said of late.
func (p *probe) check(ctx context.Context, name string) httpapi.Check {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.asked) > probeTTL {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		p.err = p.ask(ctx)
		p.asked = time.Now()
		cancel()
	}
	if p.err != nil {
		// The error itself has addresses and names, and a probe is public.
		return httpapi.Check{Name: name, Detail: "does not answer; the instance's log has more"}
	}
	return httpapi.Check{Name: name, OK: true}
}
