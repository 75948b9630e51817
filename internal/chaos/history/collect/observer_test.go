package collect_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/chaos/history"
	"recstream/internal/chaos/history/collect"
)

// commit commits an offset in a group's name.
func commit(t *testing.T, c *kgo.Client, group, topic string, partition int32, offset int64) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	one := kmsg.NewOffsetCommitRequestTopic()
	one.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	one.Partitions = append(one.Partitions, p)
	req.Topics = append(req.Topics, one)
	res, err := req.RequestWith(within(t), c)
	must(t, err)
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("commit: error code %d", code)
	}
}

const setFence = `INSERT INTO stream_offsets (group_name, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
	ON CONFLICT (group_name, topic, partition) DO UPDATE SET next_offset = excluded.next_offset`

// find returns what was observed of a partition of requests, as committed, fence and end.
func find(list []history.Progress, partition int) (found [][3]int64) {
	for _, p := range list {
		if p.Topic == topics.Requests && p.Partition == partition && p.Group == groups.Requests {
			found = append(found, [3]int64{p.Committed, p.Fence, p.End})
		}
	}
	return found
}

func TestProgressIsObserved(t *testing.T) {
	b, db := startBroker(t), openDatabase(t)
	c := client(t, b)
	o := collect.NewObserver(dial(t, b), db, history.Run{Topics: topics, Groups: groups})
	for range 4 {
		produce(t, c, &kgo.Record{Topic: topics.Requests, Partition: 1})
	}
	watch := o.Watch(time.Millisecond)
	steps := [][3]int64{{history.None, history.None, 4}, {history.None, 2, 4}, {2, 2, 4}, {2, 4, 4}, {4, 4, 4}}
	for i, step := range steps {
		if step[1] != history.None {
			execute(t, db, setFence, groups.Requests, topics.Requests, 1, step[1])
		}
		if step[0] != history.None {
			commit(t, c, groups.Requests, topics.Requests, 1, step[0])
		}
		seen, err := o.Observe(within(t))
		must(t, err)
		if got := find(seen, 1); len(got) != 1 || got[0] != step {
			t.Errorf("step %d: observed %v, want %v", i, got, step)
		}
		if len(seen) != 5 {
			t.Errorf("%d partitions observed, want all 5", len(seen))
		}
	}
	must(t, o.AwaitEnd(within(t)))
	before := [3]int64{history.None, history.None, 0}
	for _, p := range find(watch.Stop(), 1) {
		if p == before || p[0] > p[1] || p[1] > p[2] || p[0] < before[0] || p[1] < before[1] {
			t.Errorf("watched %v and then %v", before, p)
		}
		before = p
	}
}

func TestWatchKeepsChangesAlone(t *testing.T) {
	b, db := startBroker(t), openDatabase(t)
	produce(t, client(t, b), &kgo.Record{Topic: topics.Requests, Partition: 1})
	o := collect.NewObserver(dial(t, b), db, history.Run{Topics: topics, Groups: groups})
	var seen [][3]int64
	for ctx := within(t); len(seen) == 0; must(t, ctx.Err()) {
		watch := o.Watch(time.Microsecond)
		for range 10 {
			_, err := o.Observe(ctx)
			must(t, err)
		}
		seen = find(watch.Stop(), 1)
	}
	if !slices.Equal(seen, [][3]int64{{history.None, history.None, 1}}) {
		t.Errorf("watched %v, want what there was, once", seen)
	}
}

func TestWatchOutlivesItsServers(t *testing.T) {
	b, db := startBroker(t), openDatabase(t)
	o := collect.NewObserver(dial(t, b), db, history.Run{Topics: topics, Groups: groups})
	b.Close()
	watch := o.Watch(time.Millisecond)
	if seen, looks := watch.Stop(), watch.Looks(); len(seen) != 0 || looks != 0 {
		t.Errorf("observed %v in %d looks at a broker that is gone", seen, looks)
	}
}

func TestHistoryIsComplete(t *testing.T) {
	b, db := startBroker(t), openDatabase(t)
	c := client(t, b)
	run := history.Run{Name: "complete", Seed: 1, Topics: topics, Groups: groups}
	o := collect.NewObserver(dial(t, b), db, run)
	at := time.Now().UTC().Truncate(time.Microsecond)
	produce(t, c,
		&kgo.Record{Topic: topics.Requests, Partition: 2, Value: []byte("{}")},
		&kgo.Record{Topic: topics.Results, Partition: 1, Key: []byte("u"), Value: []byte("result"), Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("id")}}},
		&kgo.Record{Topic: topics.DeadLetters, Value: []byte{0xff}},
		committing(groups.Requests, topics.Requests, 2, 7), &kgo.Record{Topic: offsetsTopic, Key: []byte{0, 2, 0, 1, 'g'}, Value: []byte("of members")},
		committing(groups.Requests, topics.Feedback, 0, 7), committing(groups.Requests, topics.Requests, 2, history.None))
	execute(t, db, `INSERT INTO models (name, version, sha256) VALUES ('m', '1', 'ab')`)
	const row = `INSERT INTO decisions (run_id, request_id, user_id, mood, requested_at, scored_at, tier, degraded, model_id, config_version,
		catalog_version, considered, item_ids, titles, predictions, scores, queue_us, score_us, source_topic, source_partition, source_offset,
		pinned, cold_start, explain, explanation, experiment, variant)
		VALUES ($1, 'r', $2, $3, $4, $4, 'model', '{}', $5, 'c', 1, 2, '{a,b}', '{A,B}', '{0.5,null}', '{1,2}', 7, 8, 'requests', 2, 0,
		1, $6, true, $7, $8, $9)`
	execute(t, db, row, 0, "u", "funny", at, 1, []string{"new_item"}, `{"items":[{"reason":"x"},{"reason":"y"}]}`, "e", "v")
	execute(t, db, row, 3, nil, nil, at, nil, nil, nil, nil, nil)
	execute(t, db, `INSERT INTO outcomes (request_id, item_id, action, value, at, received_at, source_topic, source_partition, source_offset)
		VALUES ('r', 'a', 'rating', 4.5, $1, $1, 'feedback', 1, 9)`, at)
	execute(t, db, `INSERT INTO profiles (user_id, as_of, activity) VALUES ('u', $1, 1.5)`, at)
	execute(t, db, `INSERT INTO items (id, title) VALUES ('a', 'A'), ('b', 'B')`)
	execute(t, db, `INSERT INTO popularity (mood, group_size, session_length, item_id, weight, as_of) VALUES ('', '', '', 'a', 2.5, $1)`, at)
	h := &history.History{Progress: []history.Progress{{Group: "before"}}}
	must(t, o.Complete(within(t), h))

	half := 0.5
	first := history.Decision{Run: 0, RequestID: "r", UserID: "u", Mood: "funny", RequestedAt: at, ScoredAt: at, Tier: "model", Degraded: []string{},
		ColdStart: []string{"new_item"}, Model: &history.Model{Name: "m", Version: "1", SHA256: "ab"}, Experiment: "e", Variant: "v", ConfigVersion: "c",
		ItemIDs: []string{"a", "b"}, Titles: []string{"A", "B"}, Predictions: []*float64{&half, nil}, Scores: []float64{1, 2}, Pinned: 1,
		Explain: true, Reasons: []string{"x", "y"}, QueueMicros: 7, ScoreMicros: 8, Source: history.Place{Topic: "requests", Partition: 2, Offset: 0}}
	second := first
	second.Run, second.UserID, second.Mood, second.ColdStart, second.Model, second.Experiment, second.Variant, second.Reasons = 3, "", "", nil, nil, "", "", nil
	rating := 4.5
	want := &history.History{
		Run:       run,
		Decisions: []history.Decision{first, second},
		Outcomes:  []history.Outcome{{RequestID: "r", ItemID: "a", Action: "rating", Value: &rating, At: at, Source: history.Place{Topic: "feedback", Partition: 1, Offset: 9}}},
		Results: []history.Emitted{{Place: history.Place{Topic: "results", Partition: 1}, Key: history.Bytes("u"), Value: history.Bytes("result"),
			Headers: []history.Header{{Key: "ce_id", Value: history.Bytes("id")}}}},
		Raw:         []history.Emission{{Place: history.Place{Topic: "results", Partition: 1}, ID: "id", Digest: history.DigestOf([]byte("result"))}},
		DeadLetters: []history.Emitted{{Place: history.Place{Topic: "dead-letters"}, Value: history.Bytes{0xff}}},
		Commits: []history.Commit{{Group: groups.Requests, Topic: topics.Requests, Partition: 2, Offset: 7},
			{Group: groups.Requests, Topic: topics.Requests, Partition: 2, Offset: history.None}},
	}
	if len(h.Logs) != 5 || h.Logs[2] != (history.Log{Topic: "requests", Partition: 2, End: 1}) || len(h.Progress) != 6 || h.Progress[0].Group != "before" {
		t.Errorf("logs %v, progress %v", h.Logs, h.Progress)
	}
	want.Profiles = []history.Profile{{UserID: "u", AsOf: at, Activity: 1.5}}
	want.Popularity = []history.Popularity{{ItemID: "a", AsOf: at, Weight: 2.5}, {ItemID: "b"}}
	slices.SortFunc(h.Popularity, func(a, b history.Popularity) int { return strings.Compare(a.ItemID, b.ItemID) })
	h.Logs, h.Progress = nil, nil
	if !reflect.DeepEqual(h, want) {
		t.Errorf("history\n%s\nwant\n%s", dump(h), dump(want))
	}
}

// committing is a record of a commit as Kafka writes it, of an offset that is None of its deletion.
func committing(group, topic string, partition int32, offset int64) *kgo.Record {
	key := kmsg.NewOffsetCommitKey()
	key.Version, key.Group, key.Topic, key.Partition = 1, group, topic, partition
	r := &kgo.Record{Topic: offsetsTopic, Key: key.AppendTo(nil)}
	if offset != history.None {
		value := kmsg.NewOffsetCommitValue()
		value.Version, value.Offset = 3, offset
		r.Value = value.AppendTo(nil)
	}
	return r
}

func dump(h *history.History) string {
	return fmt.Sprintf("%+v %+v %+v %+v %+v %+v %+v %+v %+v", h.Run, h.Decisions, h.Outcomes, h.Profiles, h.Popularity, h.Results, h.Raw, h.DeadLetters, h.Commits)
}
