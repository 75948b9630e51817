package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"recstream/internal/devstack/devstacktest"
	"recstream/schemas"
)

// server has a database for each test.
var server devstacktest.Postgres

func TestMain(m *testing.M) { goleak.VerifyTestMain(server.Around(m)) }

// deadline is how long a test waits for the server: far more than it needs.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, o Options) *Database {
	t.Helper()
	db, err := Open(t.Context(), o)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

// newDatabase returns a database with the schema. The statements are run on it first.
func newDatabase(t testing.TB, statements ...string) *Database {
	t.Helper()
	url := server.Database(t)
	if len(statements) > 0 {
		first := open(t, Options{URL: url})
		for _, sql := range statements {
			execute(t, first, sql)
		}
	}
	db := open(t, Options{URL: url})
	_, err := db.Migrate(deadline(t))
	must(t, err)
	return db
}

func execute(t testing.TB, db *Database, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(deadline(t), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// queryRows returns the rows of a query with one column.
func queryRows[T any](t testing.TB, db *Database, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Pool().Query(deadline(t), sql, args...)
	must(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

func count(t testing.TB, db *Database) int {
	t.Helper()
	return queryRows[int](t, db, `SELECT count(*) FROM decisions`)[0]
}

// noon is a time that is nowhere near midnight.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

const (
	group  = "recstream"
	topic  = "recommendation.requests"
	twoDay = 48 * time.Hour
)

// newLedger returns a ledger whose fences of partitions 0 to 3 stand at 0. The days are given partitions.
func newLedger(t testing.TB, db *Database, days ...time.Time) *Ledger {
	t.Helper()
	l := NewLedger(db, group, twoDay)
	for partition := range 4 {
		execute(t, db, `DELETE FROM stream_offsets WHERE group_name = $1 AND topic = $2 AND partition = $3`, group, topic, partition)
		must(t, l.MoveFence(deadline(t), topic, partition, -1, 0))
	}
	for _, day := range days {
		_, err := db.createPartition(deadline(t), tableDecisions, day)
		must(t, err)
	}
	return l
}

func decision(id string, at time.Time) *schemas.Decision {
	return &schemas.Decision{
		RequestID: id, RequestedAt: at, ScoredAt: at, Tier: schemas.TierBasic, Degraded: []schemas.Reason{},
		ConfigVersion: "c", CatalogVersion: 1, Items: []schemas.ScoredItem{},
		Source: schemas.Source{Topic: topic},
	}
}

// batchOf moves the fence of a partition from 0 to 10.
func batchOf(partition int, decisions ...*schemas.Decision) schemas.Batch {
	return schemas.Batch{Topic: topic, Partition: partition, From: 0, Next: 10, Decisions: decisions}
}

func fenceOf(t testing.TB, l *Ledger, partition int) int64 {
	t.Helper()
	f, ok, err := l.Fence(deadline(t), topic, partition)
	must(t, err)
	if !ok {
		t.Fatalf("partition %d has no fence", partition)
	}
	return f
}

// describe writes a decision out, so that two can be compared, NaN and all.
func describe(d *schemas.Decision) string {
	flat := *d
	flat.Model, flat.Experiment, flat.Explanation = nil, nil, nil
	explanation, err := json.Marshal(d.Explanation)
	text := fmt.Sprintf("%+v %s %v", flat, explanation, err)
	if d.Model != nil {
		text += fmt.Sprintf("%+v", *d.Model)
	}
	if d.Experiment != nil {
		text += fmt.Sprintf("%+v", *d.Experiment)
	}
	return text
}

// random makes decisions with all that a column can hold.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 1))} }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

func (r random) text() string {
	return pick(r, "", "a", "Amélie", "七人の侍", "🎬 \"quoted\" \\N \t\n", "\u202eright to left", "{a,b}", "NULL",
		fmt.Sprintf("%x", r.Uint64()))
}

func (r random) float() float64 {
	return pick(r, 0, 1, -1, math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64, 0.1, r.NormFloat64(), r.Float64())
}

func (r random) time() time.Time {
	const from, to = 0, 253402300799_999999 // 1970 to 9999, in microseconds
	return time.UnixMicro(pick(r, from, to, r.Int64N(to))).UTC()
}

func (r random) decision(id string, scoredAt time.Time, models []schemas.ModelRef) *schemas.Decision {
	d := decision(id, scoredAt)
	d.UserID = r.text()
	d.Context = schemas.Context{
		Mood:          schemas.Mood(r.IntN(int(schemas.NumMoods))),
		GroupSize:     schemas.GroupSize(r.IntN(int(schemas.NumGroupSizes))),
		SessionLength: schemas.SessionLength(r.IntN(int(schemas.NumSessionLengths))),
	}
	d.RequestedAt = r.time()
	d.Tier = pick(r, schemas.TierModel, schemas.TierPopular, schemas.TierEditorial, schemas.TierBasic)
	d.Degraded = append(d.Degraded, []schemas.Reason{schemas.ReasonPanic, schemas.ReasonModelMissing}[:r.IntN(3)]...)
	if r.IntN(3) > 0 {
		d.Model = &models[r.IntN(len(models))]
	}
	d.ConfigVersion, d.CatalogVersion, d.Considered = r.text(), r.Int64(), int(r.Int32())
	for range r.IntN(4) {
		d.Items = append(d.Items, schemas.ScoredItem{ItemID: r.text(), Title: r.text(),
			Prediction: pick(r, math.NaN(), r.Float64()), Score: r.float()})
	}
	r.addTerms(d.Items)
	d.Pinned, d.Explain = r.IntN(4), r.IntN(2) == 0
	d.ProfileVersion = pick(r, 0, schemas.ProfileVersionUnknown, r.Int64())
	d.ColdStart = []schemas.ColdStart{schemas.ColdAnonymousUser, schemas.ColdEmptyContext}[:r.IntN(3)]
	if r.IntN(2) == 0 {
		d.Explanation = r.explanation()
	}
	if r.IntN(2) == 0 {
		d.Experiment = &schemas.ExperimentRef{Name: r.text(), Variant: r.text()}
		d.UserFeatures, d.PairFeatures = []float64{r.float(), math.NaN()}, []float64{r.float()}
	}
	d.QueueTime = time.Duration(r.Int64N(1<<50)) * time.Microsecond
	d.ScoreTime = time.Duration(r.Int64N(1<<30)) * time.Microsecond
	d.Source = schemas.Source{Topic: r.text(), Partition: int(r.Int32()), Offset: r.Int64()}
	return d
}

// addTerms gives the items the base alone, or anything.
func (r random) addTerms(items []schemas.ScoredItem) {
	baseAlone := r.IntN(2) == 0
	for i := range items {
		items[i].Terms[schemas.TermBase] = items[i].Score
		for term := range items[i].Terms {
			if !baseAlone {
				items[i].Terms[term] = r.float()
			}
		}
	}
}

func (r random) explanation() *schemas.Explanation {
	optional := func() *float64 {
		v := r.float()
		return pick(r, nil, &v)
	}
	x := new(schemas.Explanation)
	for range r.IntN(3) {
		it := schemas.ItemExplanation{Reason: r.text()}
		for range r.IntN(3) {
			it.Contributions = append(it.Contributions, schemas.Contribution{Feature: r.text(), Label: r.text(), Value: optional(), Contribution: r.float()})
		}
		x.Items = append(x.Items, it)
	}
	for range r.IntN(3) {
		x.Dropped = append(x.Dropped, schemas.Dropped{ItemID: r.text(), Title: r.text(), Reason: pick(r, schemas.DropSeen, schemas.DropCapYear), Score: optional()})
	}
	return x
}
