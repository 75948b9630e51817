package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/history/collect"
	"recstream/internal/chaos/workload"
)

// leastKinds is how many kinds of bad events a run of poison has at the least.
const leastKinds = 40

// TestPoison publishes bad events of every kind, none at first, and nothing else in the end.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := open(t, setup{})
	r := s.begin(t, "7", "poison, 0 to 100 %")
	r.read(t)
	s.serve(t)
	s.serve(t)
	densities := []float64{0, 0.01, 0.1, 0.5, 1}
	kinds := map[string]bool{}
	for i, density := range densities {
		r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
			Prefix: fmt.Sprintf("d%d-", i), Feedback: 0.2, Bad: density, Repeats: 0.02})
		bad := r.sendBad(t, share(10_000)+len(densities)*leastKinds, false)
		need(t, r.observer.AwaitEnd(within(t, patience)))
		for _, e := range bad {
			kinds[e.Topic+e.Fault] = true
		}
		r.faults += len(bad)
		r.note("%d bad events, %g of all", len(bad), density)
	}
	if len(kinds) < leastKinds {
		t.Errorf("%d kinds of bad events, want %d at the least", len(kinds), leastKinds)
	}
	r.report.name = fmt.Sprintf("poison, %d kinds, 0 to 100 %%", len(kinds))
	r.finish(t, 0, leastKinds)
}

// sendBad publishes the next n events of the workload and returns those that are bad. Their letters are allowed to
// leave out what is too large for the topic, where that is asked for.
func (r *run) sendBad(t *testing.T, n int, large bool) (bad []history.Published) {
	t.Helper()
	for left := n; left > 0; left -= batch {
		events := r.generator.Take(min(left, batch))
		for i := range events {
			e := &events[i]
			if e.Kind == history.Bad {
				e.Large = e.Large || large
				bad = append(bad, *e)
			}
			if e.Topic == r.topics().Requests {
				r.sent.Add(1)
			}
		}
		need(t, r.publisher.Publish(t.Context(), events...))
	}
	return bad
}

// TestDeadLettersCannotLeave takes the topic of dead letters away while there are bad events: its leader is down, it
// is deleted, or it takes nothing as large as a letter. Partitions with bad events wait, and go on when it is back.
func TestDeadLettersCannotLeave(t *testing.T) {
	t.Parallel()
	s := open(t, setup{cluster: thorough(), env: []string{"RECSTREAM_LOG_LEVEL=debug"}})
	r := s.begin(t, "7", "poison while dead letters cannot leave")
	r.generator = workload.New(workload.Options{Seed: r.rng.Uint64(), Topics: s.topics(), Items: s.items(t),
		Feedback: 0.3, Bad: 0.3, Repeats: 0.02, Heavy: -1})
	r.deleteDeadLetters(t)
	r.createDeadLetters(t)
	s.serve(t)
	s.serve(t)
	r.awaitMembers(t, 2)
	rounds := share(10)
	for range rounds {
		if s.cluster != nil { // a broker alone cannot go
			r.withhold(t, "its leader is down", false, r.leaderDown)
		}
		r.withhold(t, "deleted and made anew", false, r.recreated)
		r.withhold(t, "too small for any letter", true, r.tooSmall)
	}
	r.finish(t, share(20_000), 2*rounds)
}

// withhold takes the topic of dead letters away, publishes bad events among others, waits until an instance cannot get
// rid of a letter, and gives the topic back.
func (r *run) withhold(t *testing.T, how string, large bool, away func(*testing.T) (back func())) {
	t.Helper()
	r.sendBad(t, 4*batch, false)
	need(t, r.observer.AwaitEnd(within(t, patience)))
	back := away(t)
	before := r.waiting()
	bad := r.sendBad(t, share(5_000), large)
	eventually(t, "instances to wait with their letters", patience, func() (bool, string) {
		return r.waiting() > before+1, r.living()[0].tail(3)
	})
	back()
	need(t, r.observer.AwaitEnd(within(t, patience)))
	r.struck("dead letters of %d bad events could not leave: %s", len(bad), how)
}

// waiting counts the attempts to publish that failed.
func (r *run) waiting() (n int) {
	for _, i := range r.fleet {
		for line := range strings.Lines(i.log.String()) {
			if containsAll(line, []string{"trying again", "stage=publish"}) {
				n++
			}
		}
	}
	return n
}

// home is the one broker that has the topic of dead letters; nobody follows it. It is the last one.
func (r *run) home() int { return len(r.own()) }

// leaderDown kills the broker that has the dead letters. All other topics have two more.
func (r *run) leaderDown(t *testing.T) (back func()) {
	t.Helper()
	need(t, r.cluster.Broker(r.home()).Kill())
	eventually(t, "dead letters without a leader", patience, func() (bool, string) {
		req, topic := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(r.topics().DeadLetters)
		req.Topics = append(req.Topics, topic)
		res, err := req.RequestWith(t.Context(), r.client.Broker(1))
		if err != nil {
			return false, err.Error()
		}
		p := res.Topics[0].Partitions
		return len(p) > 0 && p[0].Leader < 0, fmt.Sprint(p)
	})
	return func() {
		need(t, r.cluster.Broker(r.home()).Start(within(t, startTime)))
		need(t, r.cluster.InSync(within(t, patience)))
	}
}

// recreated deletes the topic, with all letters that it has, and makes it again. Those that it had are kept for the
// history.
func (r *run) recreated(t *testing.T) (back func()) {
	t.Helper()
	_, err := r.kafkaView.Read(within(t, patience), r.topics().DeadLetters, collect.Committed, func(rec *kgo.Record) {
		r.kept = append(r.kept, collect.Emitted(rec))
	})
	need(t, err)
	r.deleteDeadLetters(t)
	return func() { r.createDeadLetters(t) }
}

func (r *run) deleteDeadLetters(t *testing.T) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(r.topics().DeadLetters)
	req.Topics, req.TopicNames, req.TimeoutMillis = append(req.Topics, topic), []string{r.topics().DeadLetters}, 10_000
	r.ask(t, "the topic to be deleted", func(ctx context.Context) (int16, error) {
		res, err := req.RequestWith(ctx, r.client)
		if err != nil {
			return 0, err
		}
		if code := res.Topics[0].ErrorCode; code != kerr.UnknownTopicOrPartition.Code {
			return code, nil
		}
		return 0, nil
	})
}

// createDeadLetters makes the topic on its one broker.
func (r *run) createDeadLetters(t *testing.T) {
	t.Helper()
	req, topic := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = r.topics().DeadLetters, -1, -1
	for p := range r.partitions {
		one := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		one.Partition, one.Replicas = int32(p), []int32{int32(r.home())}
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, one)
	}
	config := kmsg.NewCreateTopicsRequestTopicConfig()
	config.Name, config.Value = "min.insync.replicas", kmsg.StringPtr("1")
	topic.Configs = append(topic.Configs, config)
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 10_000
	r.ask(t, "the topic to be made", func(ctx context.Context) (int16, error) {
		res, err := req.RequestWith(ctx, r.client)
		if err != nil {
			return 0, err
		}
		if code := res.Topics[0].ErrorCode; code != kerr.TopicAlreadyExists.Code {
			return code, nil
		}
		return 0, nil
	})
}

// Sizes of the topic of dead letters: no letter is as small as the first, but the markers of transactions are.
const (
	tooSmallForLetters = "150"
	largeEnough        = "1048588"
)

// tooSmall has the topic take nothing that is as large as a letter, not even one that has nothing but its reason.
func (r *run) tooSmall(t *testing.T) (back func()) {
	t.Helper()
	r.setMaxMessageBytes(t, tooSmallForLetters)
	return func() { r.setMaxMessageBytes(t, largeEnough) }
}

func (r *run) setMaxMessageBytes(t *testing.T, size string) {
	t.Helper()
	req, topic := kmsg.NewPtrIncrementalAlterConfigsRequest(), kmsg.NewIncrementalAlterConfigsRequestResource()
	topic.ResourceType, topic.ResourceName = kmsg.ConfigResourceTypeTopic, r.topics().DeadLetters
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "max.message.bytes", kmsg.StringPtr(size)
	topic.Configs = append(topic.Configs, config)
	req.Resources = append(req.Resources, topic)
	r.ask(t, "the size of messages to change", func(ctx context.Context) (int16, error) {
		res, err := req.RequestWith(ctx, r.client)
		if err != nil {
			return 0, err
		}
		return res.Resources[0].ErrorCode, nil
	})
}

// ask asks the brokers until they do what they are asked for.
func (r *run) ask(t *testing.T, what string, request func(context.Context) (code int16, err error)) {
	t.Helper()
	eventually(t, what, patience, func() (bool, string) {
		code, err := request(within(t, patience))
		if err == nil {
			err = kerr.ErrorForCode(code)
		}
		return err == nil, fmt.Sprint(err)
	})
}
