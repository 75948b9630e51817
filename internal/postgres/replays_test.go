package postgres

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"recstream/schemas"
)

// newReplay creates a replay of two partitions at noon, for the owner "me".
func newReplay(t *testing.T, db *Database) *Replay {
	t.Helper()
	r, err := db.CreateReplay(deadline(t), Replay{CreatedAt: noon, CreatedBy: "ada", Why: "to see", Topic: topic, Plan: []byte(`{"rate":1}`),
		Partitions: []ReplayPartition{{Partition: 0, From: 10, To: 30}, {Partition: 3, From: 0, To: 0}}}, "me")
	must(t, err)
	return r
}

// replayBatch moves partition 0 of a replay from 10 to 20.
func replayBatch(r *Replay, decisions ...*schemas.Decision) ReplayBatch {
	return ReplayBatch{RunID: r.RunID, Owner: "me", Partition: 0, From: 10, Next: 20, Figures: []byte(`{"read":10}`), Decisions: decisions}
}

// A replay's decisions are read as they were stored, and live ones do not see them.
func TestReplayKeepsDecisionsApart(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	r := newReplay(t, db)
	live, replayed := decision("a", noon.Add(-time.Hour)), newRandom(7).decision("a", noon, models(t, db))
	must(t, l.Record(deadline(t), batchOf(0, live)))
	b := replayBatch(r, replayed)
	b.Differences = []ReplayDifference{
		{Offset: 10, RequestID: "a", LiveScoredAt: live.ScoredAt, Causes: []string{"items", "rank"}, Reproducible: true, Compared: true, Overlap: 0.5, ScoreDifference: math.NaN()},
		{Offset: 11, RequestID: "b", Causes: []string{"no_live_decision"}}}
	must(t, db.RecordReplay(deadline(t), b))

	found, err := db.LiveDecisions(deadline(t), []string{"a", "b"}, beginning, end)
	must(t, err)
	if len(found) != 1 || describe(found[0]) != describe(live) {
		t.Errorf("live decisions %v", found)
	}
	again, err := db.ReplayedDecisions(deadline(t), r, []string{"a", "b"})
	must(t, err)
	if len(again) != 1 || describe(again[0]) != describe(replayed) {
		t.Errorf("replayed\n%v\nwant\n%v", describe(again[0]), describe(replayed))
	}
	if fence := fenceOf(t, l, 0); fence != 10 {
		t.Errorf("the live fence stands at %d", fence)
	}
	got := queryRows[string](t, db, `SELECT concat_ws('|', source_offset, request_id, live_scored_at IS NULL, causes, reproducible, overlap, score_difference)
		FROM replay_differences ORDER BY 1`)
	if want := []string{"10|a|f|{items,rank}|t|0.5", "11|b|t|{no_live_decision}|f"}; !slices.Equal(got, want) {
		t.Errorf("differences %q, want %q", got, want)
	}
}

// Who counts recommendations counts live traffic, and finds what a replay decided beside it, under the same columns.
func TestReplayStaysOutOfRecommendations(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	r := newReplay(t, db)
	live, replayed := decision("a", noon), decision("a", noon)
	live.Items, replayed.Items = []schemas.ScoredItem{{ItemID: "x"}, {ItemID: "y"}}, []schemas.ScoredItem{{ItemID: "y"}}
	must(t, l.Record(deadline(t), batchOf(0, live)))
	must(t, db.RecordReplay(deadline(t), replayBatch(r, replayed)))
	for view, want := range map[string][]string{"recommendations": {"0 a 1 x", "0 a 2 y"}, "replay_recommendations": {fmt.Sprintf("%d a 1 y", r.RunID)}} {
		got := queryRows[string](t, db, `SELECT concat_ws(' ', run_id, request_id, rank, item_id) FROM `+view+` ORDER BY rank`)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", view, got, want)
		}
	}
	_, err := db.Pool().Exec(deadline(t), `SELECT * FROM recommendations UNION ALL SELECT * FROM replay_recommendations`)
	must(t, err)
	// The view of the version before, which has the runs together, comes back and goes again.
	migrateDown(t, db, 10)
	if n := queryRows[int](t, db, `SELECT count(*) FROM recommendations`)[0]; n != 3 {
		t.Errorf("the version before has %d rows, want those of all runs", n)
	}
	_, err = db.Migrate(deadline(t))
	must(t, err)
}

func models(t *testing.T, db *Database) []schemas.ModelRef {
	t.Helper()
	ref := schemas.ModelRef{Name: "films", Version: "1", SHA256: "ab"}
	var err error
	ref.ID, err = db.RegisterModel(deadline(t), ref, ModelInfo{})
	must(t, err)
	return []schemas.ModelRef{ref}
}

// A checkpoint moves with its rows or not at all, and only for who the replay belongs to.
func TestReplayCheckpoint(t *testing.T) {
	tests := map[string]struct {
		before func(*Database, *Replay) error
		batch  func(*ReplayBatch)
		want   error
	}{
		"in order":         {nil, func(*ReplayBatch) {}, nil},
		"stands elsewhere": {nil, func(b *ReplayBatch) { b.From = 11 }, ErrReplayTaken},
		"another owner":    {nil, func(b *ReplayBatch) { b.Owner = "you" }, ErrReplayTaken},
		"taken over": {func(db *Database, r *Replay) error { _, err := db.ClaimReplay(t.Context(), r.RunID, "you"); return err },
			func(*ReplayBatch) {}, ErrReplayTaken},
		"paused":    {func(db *Database, r *Replay) error { return db.PauseReplay(t.Context(), r.RunID, "") }, func(*ReplayBatch) {}, ErrReplayTaken},
		"cancelled": {func(db *Database, r *Replay) error { return db.CancelReplay(t.Context(), r.RunID) }, func(*ReplayBatch) {}, ErrReplayTaken},
		"deleted": {func(db *Database, r *Replay) error {
			err := db.CancelReplay(t.Context(), r.RunID)
			_, err2 := db.DeleteReplay(t.Context(), r.RunID, func(int64) {})
			return errors.Join(err, err2)
		}, func(*ReplayBatch) {}, ErrReplayTaken},
		"an id twice": {nil, func(b *ReplayBatch) { b.Decisions = append(b.Decisions, b.Decisions[0]) }, ErrConflict},
	}
	db := newDatabase(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplay(t, db)
			if test.before != nil {
				must(t, test.before(db, r))
			}
			b := replayBatch(r, decision("a", noon))
			test.batch(&b)
			if err := db.RecordReplay(deadline(t), b); !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			now, err := db.Replay(deadline(t), r.RunID)
			if errors.Is(err, ErrNoReplay) && name == "deleted" {
				return
			}
			must(t, err)
			rows := queryRows[int](t, db, `SELECT count(*) FROM decisions WHERE run_id = $1`, r.RunID)[0]
			if stored := test.want == nil; stored != (now.Partitions[0].Next == 20) || stored != (rows == 1) || stored != (string(now.Partitions[0].Figures) == `{"read":10}`) {
				t.Errorf("checkpoint %+v, %d rows", now.Partitions[0], rows)
			}
		})
	}
}

// Many rows are deleted in several transactions, and no row of anybody else.
func TestReplayIsDeletedInParts(t *testing.T) {
	db := newDatabase(t)
	r, other := newReplay(t, db), newReplay(t, db)
	must(t, db.RecordReplay(deadline(t), replayBatch(r, decision("first", noon))))
	const n = 2*deletedTogether + 7
	execute(t, db, `INSERT INTO decisions SELECT (d).* FROM (
			SELECT jsonb_populate_record(d, jsonb_build_object('request_id', 'r-' || i, 'run_id', run)) AS d
			FROM decisions d, generate_series(2, $1::int) i, unnest($2::int[]) run WHERE request_id = 'first' AND (run = $3 OR i < 100)) x`,
		n, []int32{0, r.RunID, other.RunID}, r.RunID)
	execute(t, db, `INSERT INTO replay_differences SELECT run, 0, i, 'x', NULL, '{rank}', true, 0, 0
		FROM generate_series(1, $1::int) i, unnest($2::int[]) run`, n, []int32{r.RunID, other.RunID})
	must(t, db.CancelReplay(deadline(t), r.RunID))
	var told []int64
	gone, err := db.DeleteReplay(deadline(t), r.RunID, func(decisions int64) { told = append(told, decisions) })
	if want := []int64{deletedTogether, 2 * deletedTogether, n}; err != nil || gone != n || !slices.Equal(told, want) {
		t.Errorf("%d deleted, told %v (%v), want %v", gone, told, err, want)
	}
	left := queryRows[string](t, db, `SELECT concat(run_id, ': ', count(*)) FROM decisions GROUP BY run_id
		UNION ALL SELECT concat('differences of ', run_id, ': ', count(*)) FROM replay_differences GROUP BY run_id ORDER BY 1`)
	want := []string{"0: 98", fmt.Sprintf("%d: 98", other.RunID), fmt.Sprintf("differences of %d: %d", other.RunID, n)}
	if !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	if _, err := db.Replay(deadline(t), r.RunID); !errors.Is(err, ErrNoReplay) {
		t.Errorf("the replay is there still: %v", err)
	}
}

// Replays go when they are old and nobody works on them: those that are done, paused, cancelled or were killed.
func TestOldReplaysAreDropped(t *testing.T) {
	db := newDatabase(t)
	l := newLedger(t, db, noon)
	ctx := deadline(t)
	must(t, l.Record(ctx, batchOf(0, decision("a", noon))))
	runs := map[string]*Replay{}
	for _, name := range []string{"done", "paused", "cancelled", "killed", "running", "young"} {
		r := newReplay(t, db)
		runs[name] = r
		must(t, db.RecordReplay(ctx, replayBatch(r, decision("a", noon))))
		execute(t, db, `UPDATE replay_partitions SET updated_at = $2 WHERE run_id = $1`, r.RunID, noon)
	}
	must(t, db.FinishReplay(ctx, runs["done"].RunID, "me", []byte(`{}`), nil))
	must(t, db.PauseReplay(ctx, runs["paused"].RunID, ""))
	must(t, db.CancelReplay(ctx, runs["cancelled"].RunID))
	must(t, db.PauseReplay(ctx, runs["young"].RunID, ""))
	execute(t, db, `UPDATE replay_partitions SET updated_at = $2 WHERE run_id = $1 AND partition = 0`, runs["running"].RunID, noon.Add(2*time.Hour))
	execute(t, db, `UPDATE replays SET created_at = $2 WHERE run_id = $1`, runs["young"].RunID, noon.Add(2*time.Hour))

	if dropped, err := db.DropReplays(ctx, noon); err != nil || dropped != nil {
		t.Errorf("dropped %v (%v) of those that are not older", dropped, err)
	}
	dropped, err := db.DropReplays(ctx, noon.Add(time.Hour))
	want := []int32{runs["done"].RunID, runs["paused"].RunID, runs["cancelled"].RunID, runs["killed"].RunID}
	if err != nil || !slices.Equal(dropped, want) {
		t.Errorf("dropped %v (%v), want %v", dropped, err, want)
	}
	left := queryRows[int32](t, db, `SELECT run_id FROM decisions ORDER BY run_id`)
	if want := []int32{LiveRun, runs["running"].RunID, runs["young"].RunID}; !slices.Equal(left, want) {
		t.Errorf("rows of %v are left, want those of %v", left, want)
	}
	if again, err := db.DropReplays(ctx, noon.Add(time.Hour)); err != nil || again != nil {
		t.Errorf("dropped %v (%v) once more", again, err)
	}
}

// The states that a replay goes through, and what each refuses.
func TestReplayStates(t *testing.T) {
	db := newDatabase(t)
	ctx := deadline(t)
	r := newReplay(t, db)
	if r.RunID < 1 || r.State != ReplayRunning || !r.CreatedAt.Equal(noon) || r.Owner != "me" || len(r.Partitions) != 2 || r.Partitions[0].Next != 10 {
		t.Errorf("created %+v", r)
	}
	must(t, db.PauseReplay(ctx, r.RunID, "me"))
	claimed, err := db.ClaimReplay(ctx, r.RunID, "you")
	must(t, err)
	if claimed.State != ReplayRunning || claimed.Owner != "you" {
		t.Errorf("claimed %+v", claimed)
	}
	if err := db.FinishReplay(ctx, r.RunID, "me", []byte(`{}`), nil); !errors.Is(err, ErrReplayTaken) {
		t.Errorf("finished by another: %v", err)
	}
	if _, err := db.DeleteReplay(ctx, r.RunID, func(int64) {}); !errors.Is(err, ErrReplayNotOver) {
		t.Errorf("a running one is deleted: %v", err)
	}
	figure := ReplayFigure{LiveModel: "films@1", Context: schemas.Context{Mood: schemas.MoodFunny}, Compared: 4, Identical: 3, Rank: 1, Overlap: [4]float64{0.9, 1, 0.8, 0.9}}
	must(t, db.FinishReplay(ctx, r.RunID, "you", []byte(`{"a":1}`), []ReplayFigure{figure}))
	done, err := db.Replay(ctx, r.RunID)
	must(t, err)
	if done.State != ReplayDone || string(done.Report) != `{"a":1}` || done.FinishedAt.IsZero() {
		t.Errorf("finished %+v", done)
	}
	got := queryRows[string](t, db, `SELECT f::text FROM replay_figures f`)
	if want := []string{fmt.Sprintf(`(%d,films@1,"",funny,"","",4,3,0,0,1,0,0,0.9,1,0.8,0.9)`, r.RunID)}; !slices.Equal(got, want) {
		t.Errorf("figures %q, want %q", got, want)
	}
	for what, err := range map[string]error{"pause": db.PauseReplay(ctx, r.RunID, ""), "cancel": db.CancelReplay(ctx, r.RunID)} {
		if !errors.Is(err, ErrReplayOver) {
			t.Errorf("%s of a finished one: %v", what, err)
		}
	}
	if err := db.PauseReplay(ctx, 999, ""); !errors.Is(err, ErrNoReplay) {
		t.Errorf("pause of none: %v", err)
	}
	if _, err := db.DeleteReplay(ctx, r.RunID, func(int64) {}); err != nil {
		t.Error(err)
	}
	if list, err := db.Replays(ctx); err != nil || len(list) != 0 {
		t.Errorf("%d replays left (%v)", len(list), err)
	}
}
