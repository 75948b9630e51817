package e2e

import (
	"encoding/json"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"recstream/internal/replay"
)

// TestReplayGoesOnWhatIsKept has Kafka and the ledger drop in the middle of a replay what it has not come to: it comes
// to its end, says how much it could not see, and reproduces the rest.
func TestReplayGoesOnWhatIsKept(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		i := s.serve(t)
		published := 0
		for published < 1200 { // in small batches of records, so that the replay cannot read all at once
			published += s.publishGood(t, published, 60)
		}
		s.awaitCommitted(t)
		i.stop(t)

		s.env = append(s.env, "RECSTREAM_CONSUMER_BATCH_BYTES=1024")
		running := s.startReplay(t, "run", "--rate", "200", "--max-irreproducible", "0")
		eventually(t, "some of the replay", func() (bool, string) { return s.replayed(t) > 0, "none of it" })
		ends, err := s.endOffsets(t, s.requests())
		if err != nil {
			t.Fatal(err)
		}
		for partition, end := range ends {
			if partition%2 == 0 {
				s.deleteRecords(t, partition, end-20)
			}
		}
		gone, err := s.db.Pool().Exec(within(t), `DELETE FROM decisions WHERE run_id = 0 AND source_partition = 1 AND source_offset >= $1`, ends[1]-20)
		if err != nil || gone.RowsAffected() != 20 {
			t.Fatalf("%d rows deleted (%v)", gone.RowsAffected(), err)
		}
		_ = running.Wait()
		s.checkKept(t, running.ProcessState.ExitCode())
	})
}

// checkKept checks the report and the rows of a replay under which events and decisions were deleted.
func (s *stack) checkKept(t *testing.T, status int) {
	t.Helper()
	now, err := s.db.Replay(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	var r replay.Report
	if err := json.Unmarshal(now.Report, &r); err != nil {
		t.Fatalf("replay %+v: %v", now, err)
	}
	var rows int64
	if err := s.db.Pool().QueryRow(within(t), `SELECT count(*) FROM decisions WHERE run_id = 1`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	missing := r.Irreproducible[replay.CauseNoLiveDecision]
	if status != 3 || r.Done != r.Offsets || r.Lost == 0 || r.Read+r.Lost != r.Offsets || missing != 20 ||
		r.Identical != r.Compared || r.Compared+missing != r.Read || rows != r.Compared {
		t.Errorf("status %d, %d rows, report %+v", status, rows, r)
	}
	t.Logf("%d offsets: %d lost, %d without a live decision, %d reproduced", r.Offsets, r.Lost, missing, r.Identical)
}

// replayed is how many offsets of the first replay are done.
func (s *stack) replayed(t *testing.T) int64 {
	t.Helper()
	now, err := s.db.Replay(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	done, _ := replay.Progress(now)
	return done
}

// deleteRecords has Kafka delete a partition's requests before an offset, as retention does.
func (s *stack) deleteRecords(t *testing.T, partition int, before int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.client.Addr.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	of, one := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = int32(partition), before
	of.Topic, of.Partitions = s.requests(), append(of.Partitions, one)
	req.Topics, req.TimeoutMillis = append(req.Topics, of), 10_000
	res, err := req.RequestWith(within(t), client)
	if err == nil {
		err = kerr.ErrorForCode(res.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
