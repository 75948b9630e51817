package chaos

import (
	"testing"
	"time"

	"recstream/internal/chaos/proxy"
)

// TestBrokerKilled ends the only broker with kill -9 and starts it again: what it had in its log it has again.
func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	s := open(t, setup{ownKafka: true})
	r := s.begin(t, "4", "Kafka: broker kill -9 and restart")
	r.read(t)
	s.serve(t)
	s.serve(t)
	r.publish(t, 300)
	for kills := share(50); r.faults < kills; {
		r.advance(t, 25)
		r.pause(300 * time.Millisecond)
		need(t, s.kafka.Kill())
		if err := s.client.Ping(within(t, time.Second)); err == nil {
			t.Fatal("the broker answers although it was killed")
		}
		r.struck("the broker was killed")
		need(t, s.kafka.Start(within(t, startTime)))
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), share(50))
}

// The api keys of Kafka's requests that write.
const (
	apiProduce            = 0
	apiInitProducerID     = 22
	apiAddPartitionsToTxn = 24
	apiAddOffsetsToTxn    = 25
	apiEndTxn             = 26
	apiTxnOffsetCommit    = 28
)

// TestAppliedAndUnanswered has the broker do what an instance asks for, and its answer lost: the instance cannot know
// what became of it. One kind of request comes after the other.
func TestAppliedAndUnanswered(t *testing.T) {
	t.Parallel()
	s := open(t, setup{proxyKafka: true, partitions: 8})
	r := s.begin(t, "4", "Kafka: five requests applied, answers lost")
	r.read(t)
	s.serve(t)
	s.serve(t)
	r.publish(t, 500)
	losses := share(500)
	requests := []int16{apiProduce, apiAddPartitionsToTxn, apiTxnOffsetCommit, apiEndTxn, apiInitProducerID}
	for _, api := range requests {
		r.advance(t, 25)
		failing := func() {}
		if api == apiInitProducerID { // it is asked for where a transaction has failed: many are made to
			failing = s.kafkaProxies[0].Arm(proxy.Trigger{Match: proxy.API(apiAddOffsetsToTxn), Times: 10 * losses}).Disarm
		}
		r.trigger(t, s.kafkaProxies[0], losses, func() proxy.Trigger { return r.lostAnswer(api) })
		failing()
	}
	r.advance(t, 25)
	r.finish(t, share(50_000), losses*len(requests))
}

// lostAnswer draws how an answer is lost: mostly with its connection; once in ten times nothing is heard any more,
// and the instance has to wait until its own deadline.
func (r *run) lostAnswer(api int16) proxy.Trigger {
	tr := proxy.Trigger{Match: proxy.API(api), Skip: r.rng.IntN(10), When: proxy.AfterResponse}
	if r.faults%10 == 0 {
		tr.Do = proxy.Silence
	}
	return tr
}
