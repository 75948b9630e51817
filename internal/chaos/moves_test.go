package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLeadersMove has leaders and coordinators move among three brokers: by an election that is asked for, by a kill
// and by a pause of the broker that coordinates the group. Kafka goes on with the other two.
func TestLeadersMove(t *testing.T) {
	t.Parallel()
	onlyThorough(t, "three brokers")
	s := open(t, setup{cluster: true})
	r := s.begin(t, "4", "Kafka: leaders and coordinators move")
	r.read(t)
	s.serve(t)
	s.serve(t)
	r.publish(t, 200)
	r.advance(t, 25) // the internal topics are there now
	for moves := share(100); r.faults < moves; {
		before := r.leaders(t)
		switch n := r.faults % 10; n {
		case 1, 6:
			r.killBroker(t, r.coordinator(t, r.faults))
		case 3, 8:
			r.pauseBroker(t, r.coordinator(t, r.faults))
		default:
			r.elect(t, before)
		}
		r.advance(t, 25)
	}
	r.finish(t, share(50_000), share(100))
}

// The topics that Kafka itself keeps offsets and transactions in: who leads their partitions coordinates.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
)

// replicas are a partition's brokers, the preferred one first, and the one that leads.
type replicas struct {
	brokers []int32
	leader  int32
}

// leaders returns the replicas of all partitions that matter.
func (r *run) leaders(t *testing.T) map[string][]replicas {
	t.Helper()
	topics := r.topics()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range []string{topics.Requests, topics.Feedback, topics.Results, topics.DeadLetters, offsetsTopic, transactionsTopic} {
		one := kmsg.NewMetadataRequestTopic()
		one.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, one)
	}
	found := map[string][]replicas{}
	eventually(t, "all leaders to be known", patience, func() (bool, string) {
		res, err := req.RequestWith(t.Context(), r.client)
		if err != nil {
			return false, err.Error()
		}
		clear(found)
		for _, topic := range res.Topics {
			list := make([]replicas, len(topic.Partitions))
			for _, p := range topic.Partitions {
				if p.Leader < 0 {
					return false, fmt.Sprintf("%s/%d has no leader", *topic.Topic, p.Partition)
				}
				list[p.Partition] = replicas{p.Replicas, p.Leader}
			}
			found[*topic.Topic] = list
		}
		return len(found[offsetsTopic]) > 0 && len(found[transactionsTopic]) > 0, "no internal topics"
	})
	return found
}

// coordinator returns the broker that coordinates the group, or, every other time, the first transactions.
func (r *run) coordinator(t *testing.T, turn int) int {
	t.Helper()
	if turn%2 == 0 {
		return int(r.leaders(t)[transactionsTopic][0].leader)
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{r.groups().Requests}
	req.CoordinatorKey = r.groups().Requests
	broker := 0
	eventually(t, "a coordinator", patience, func() (bool, string) {
		res, err := req.RequestWith(t.Context(), r.client)
		if err != nil {
			return false, err.Error()
		}
		code, id := res.ErrorCode, res.NodeID
		if len(res.Coordinators) > 0 {
			code, id = res.Coordinators[0].ErrorCode, res.Coordinators[0].NodeID
		}
		broker = int(id)
		return code == 0, fmt.Sprint(kerr.ErrorForCode(code))
	})
	return broker
}

// elect moves the leader of every partition to the next of its replicas: they are put in another order, and the
// preferred ones elected. It is a fault once each of them has moved.
func (r *run) elect(t *testing.T, before map[string][]replicas) {
	t.Helper()
	order, election := kmsg.NewPtrAlterPartitionAssignmentsRequest(), kmsg.NewPtrElectLeadersRequest()
	order.TimeoutMillis, election.TimeoutMillis = 30_000, 30_000
	for topic, list := range before {
		o, e := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewElectLeadersRequestTopic()
		o.Topic, e.Topic = topic, topic
		for number, p := range list {
			next := (slices.Index(p.brokers, p.leader) + 1) % len(p.brokers)
			one := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			one.Partition, one.Replicas = int32(number), slices.Concat(p.brokers[next:], p.brokers[:next])
			o.Partitions, e.Partitions = append(o.Partitions, one), append(e.Partitions, int32(number))
		}
		order.Topics, election.Topics = append(order.Topics, o), append(election.Topics, e)
	}
	ctx := within(t, patience)
	_, err := order.RequestWith(ctx, r.client)
	need(t, err)
	eventually(t, "all leaders to move", patience, func() (bool, string) {
		_, err := election.RequestWith(ctx, r.client)
		stayed := unmoved(before, r.leaders(t))
		return len(stayed) == 0, fmt.Sprint(stayed, err)
	})
	r.struck("all leaders were moved by an election")
}

// unmoved names the partitions that have the same leader as before.
func unmoved(before, now map[string][]replicas) (list []string) {
	for topic, partitions := range before {
		for number, p := range partitions {
			if now[topic][number].leader == p.leader {
				list = append(list, fmt.Sprintf("%s/%d", topic, number))
			}
		}
	}
	return list
}

// killBroker kills a broker, waits until others lead in its place and the stream goes on, and starts it again.
func (r *run) killBroker(t *testing.T, id int) {
	t.Helper()
	need(t, r.cluster.Broker(id).Kill())
	r.replaced(t, id, "killed")
	need(t, r.cluster.Broker(id).Start(within(t, startTime)))
	need(t, r.cluster.InSync(within(t, patience)))
}

// pauseBroker does the same to a broker that only falls silent, and comes back with what it knew.
func (r *run) pauseBroker(t *testing.T, id int) {
	t.Helper()
	need(t, r.cluster.Broker(id).Pause())
	t.Cleanup(func() { _ = r.cluster.Broker(id).Resume() })
	r.replaced(t, id, "paused")
	need(t, r.cluster.Broker(id).Resume())
	need(t, r.cluster.InSync(within(t, patience)))
}

// replaced waits until a broker leads nothing any more, and the stream goes on without it.
func (r *run) replaced(t *testing.T, id int, how string) {
	t.Helper()
	eventually(t, fmt.Sprintf("broker %d to be replaced", id), patience, func() (bool, string) {
		leads, err := r.leads(t, id)
		return err == nil && leads == 0, fmt.Sprint(leads, err)
	})
	r.struck("broker %d was %s and replaced", id, how)
	r.advance(t, 25)
}

// leads returns how many partitions a broker leads. Another broker is asked.
func (r *run) leads(t *testing.T, id int) (n int, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	res, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, r.client.Broker(id%3+1))
	if err != nil {
		return 0, err
	}
	for _, topic := range res.Topics {
		for _, p := range topic.Partitions {
			if p.Leader == int32(id) {
				n++
			}
			if p.Leader < 0 {
				return n, errors.New("a partition has no leader")
			}
		}
	}
	return n, nil
}
