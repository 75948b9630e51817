package main

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/consumer"
	"recstream/internal/telemetry"
)

func TestServiceThatFailsStopsTheOthers(t *testing.T) {
	cfg := consumer.Config{Brokers: []string{"127.0.0.1:1"}, Dialer: kafka.DefaultDialer, Group: "g", Topic: "t",
		SessionTimeout: time.Second, HeartbeatInterval: time.Second, StallWarning: time.Minute, RequestTimeout: time.Second}
	wrong := cfg
	wrong.Group = ""
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := runAll(ctx, []*consumer.Service{consumer.New(cfg), consumer.New(wrong)})
	if err == nil || ctx.Err() != nil {
		t.Errorf("error %v, context %v; want the wrong one's error before the deadline", err, ctx.Err())
	}
}

func TestServicesReadFeedbackWhereItIsOn(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		p := &pipeline{metrics: telemetry.New(telemetry.Build{}, telemetry.Sources{})}
		p.lag.streams = map[string]*telemetry.Stream{}
		p.cfg.Feedback.Enabled = enabled
		p.client = &kafka.Client{}
		want := 1
		if enabled {
			want = 2
		}
		if n := len(p.services()); n != want {
			t.Errorf("feedback enabled %t: %d services, want %d", enabled, n, want)
		}
	}
}
