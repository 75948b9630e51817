package main

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/telemetry"
)

// newMetrics returns the instance's metrics. What is in force is asked of the parts at each scrape.
func (p *pipeline) newMetrics() *telemetry.Metrics {
	b := currentBuild()
	return telemetry.New(telemetry.Build{Version: b.Version, Revision: b.Revision}, telemetry.Sources{
		Tiers:  p.tierStates,
		Models: p.modelsInForce,
		Config: func() telemetry.Config {
			return telemetry.Config{Version: p.engine.ConfigVersion(), Refused: p.params.State().Refused != ""}
		},
		Catalog: func() telemetry.Catalog { return telemetry.Catalog(p.catalog.State()) },
		Caches: func() []telemetry.Cache {
			s := p.profiles.Stats()
			list := []telemetry.Cache{{Name: "profiles", Hits: s.Hits, Misses: s.Misses, Bytes: int64(s.Bytes)}}
			for _, c := range p.engine.Caches() {
				list = append(list, telemetry.Cache(c))
			}
			return list
		},
		Shadows: func() telemetry.Shadows {
			return telemetry.Shadows{Queued: p.shadows.Queued(), Stored: p.shadows.Scored(), Dropped: p.shadows.Dropped()}
		},
	})
}

func (p *pipeline) tierStates() (list []telemetry.Tier) {
	for _, t := range p.engine.Tiers() {
		list = append(list, telemetry.Tier{Tier: t.Tier, Model: t.Model, State: t.State, PSI: t.PSI})
	}
	return list
}

func (p *pipeline) modelsInForce() (list []telemetry.Model) {
	for _, e := range p.engine.Evaluators() {
		list = append(list, telemetry.Model{Ref: e.Model, Method: string(e.Method), Bytes: e.Bytes})
	}
	return list
}

// observed returns the observer of a topic, whose lag is watched from then on.
func (p *pipeline) observed(topic string, observer func(topic string) *telemetry.Stream) *telemetry.Stream {
	stream := observer(topic)
	p.lag.streams[topic] = stream
	return stream
}

// lagInterval is how often the ends of the topics are looked up.
const lagInterval = 5 * time.Second

// lagWatch tells streams where their topics end, by itself: the lag of a consumer that is stuck is to grow.
type lagWatch struct {
	client  *kafka.Client
	every   time.Duration
	streams map[string]*telemetry.Stream // by topic
}

// run looks until ctx ends. While the brokers do not answer, the ends of before stand.
func (w lagWatch) run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		for topic, stream := range w.streams {
			if ends, err := endOffsets(ctx, w.client, topic); err == nil {
				stream.SetEnds(ends)
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
