package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/internal/demo"
	"recstream/internal/postgres"
	"recstream/internal/replay"
	"recstream/schemas"
)

// replayed is how many requests TestReplayReproducesEveryDecision has; E2E_REPLAYED says otherwise.
func replayed(t *testing.T) int {
	t.Helper()
	text := os.Getenv("E2E_REPLAYED")
	if text == "" {
		return 6_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// replayTest is a stack whose requests were answered in several eras: by several models, parameters, catalogues and
// states of the profiles.
type replayTest struct {
	*stack
	n     int // requests that have a decision
	bad   int // events that are no request
	again int // events that repeat an id
	shop  *shop
}

// otherScoring are parameters under which answers differ, and some are explained that nobody asked to be.
const otherScoring = `max_items: 20
rank: {diversity: {strength: 0.4, pool: 50}}
explain: {keep: sampled, sample_rate: 0.3}
`

// newReplayTest answers the requests, and stops the instance.
func newReplayTest(t *testing.T, s *stack, n int) *replayTest {
	t.Helper()
	if err := demo.WriteStore(s.store().Dir); err != nil {
		t.Fatal(err)
	}
	s.withStore()
	r := &replayTest{stack: s, shop: newShop(t, s)}
	file := filepath.Join(s.dir, "scoring.yaml")
	write(t, file, "max_items: 50\n")
	s.env = append(s.env, "RECSTREAM_SCORING_FILE="+file, "RECSTREAM_SCORING_RELOAD_INTERVAL=100ms")
	s.command(t, "model", "activate", "films@3", "--why", "it knows the users")
	i := s.serve(t)
	eras := []struct {
		change func()
		state  bool // that decisions name is another one
	}{
		{func() {}, true},
		{func() { r.feedBack(t, 0) }, false},
		{func() { s.command(t, "model", "activate", "films@1", "--why", "another era") }, true},
		{func() {
			r.changeCatalog(t, `UPDATE items SET title = title || '!', duration_min = 90 WHERE id LIKE '%a%'`)
		}, true},
		{func() { write(t, file, otherScoring) }, true},
		{func() { r.startTrial(t) }, true},
		{func() { r.feedBack(t, 1) }, false},
		{func() { r.changeCatalog(t, `DELETE FROM items WHERE id LIKE '%b%'`) }, true},
		{func() { s.command(t, "model", "activate", "films@3", "--why", "another era") }, true},
		{func() { r.feedBack(t, 2) }, false},
	}
	before := ""
	for e, era := range eras {
		era.change()
		if era.state {
			before = r.awaitOther(t, before)
		}
		r.ask(t, n/len(eras), e)
	}
	i.stop(t)
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitOther asks until a request is decided with another state than that, and returns it.
func (r *replayTest) awaitOther(t *testing.T, before string) (now string) {
	t.Helper()
	eventually(t, "another state", func() (bool, string) {
		req := r.shop.request(8 * r.n) // of the plain kind, and of a user
		req.RequestID = fmt.Sprintf("r-%06d", r.n)
		r.n++
		r.publish(t, messagesOf([]schemas.Request{req})...)
		r.awaitCommitted(t)
		d, err := r.db.Decision(within(t), req.RequestID)
		if err != nil || d == nil || d.Model == nil {
			return false, fmt.Sprint(d, err)
		}
		now = fmt.Sprint(d.ConfigVersion, " ", d.CatalogVersion, " ", d.Model.Version, " ", d.Experiment != nil)
		return now != before, now
	})
	return now
}

// ask publishes requests of all kinds, with bad events and repeats among them, and waits until they are answered.
func (r *replayTest) ask(t *testing.T, n, era int) {
	t.Helper()
	var requests []schemas.Request
	for range n {
		req := r.shop.request(r.n)
		req.Explain = r.n%11 == 0
		if r.n%13 == 0 {
			req.Diversity = 0.7
		}
		requests = append(requests, req)
		r.n++
	}
	messages := messagesOf(requests)
	for k := 0; k < n; k += 97 {
		messages = append(messages, messages[k])
		r.again++
	}
	for k := range 10 {
		kind := badKinds[(era*10+k)%len(badKinds)]
		messages = append(messages, kafka.Message{Key: fmt.Appendf(nil, "bad-%d", k), Value: kind.value})
		r.bad++
	}
	r.publish(t, messages...)
	r.awaitCommitted(t)
}

// feedBack tells of the users what they did, and waits until it is stored.
func (r *replayTest) feedBack(t *testing.T, round int) {
	t.Helper()
	var messages []kafka.Message
	for u := range users {
		for k := range 3 {
			f := schemas.Feedback{RequestID: fmt.Sprintf("f-%d-%d-%d", round, u, k), UserID: fmt.Sprintf("u-%03d", u),
				ItemID: r.shop.good[(u*31+k*7+round*100)%500], Action: schemas.ActionComplete, Value: math.NaN(),
				At: time.Now().Add(-time.Duration(10-3*round) * time.Minute)}
			if u%3 != 0 {
				messages = append(messages, kafka.Message{Key: []byte(f.PartitionKey()), Value: schemas.AppendFeedback(nil, &f)})
			}
		}
	}
	r.publishTo(t, r.feedback(), messages...)
	r.awaitGroup(t, r.feedbackGroup(), r.feedback())
}

// changeCatalog changes items.
func (r *replayTest) changeCatalog(t *testing.T, statement string) {
	t.Helper()
	if _, err := r.db.Pool().Exec(within(t), statement); err != nil {
		t.Fatal(err)
	}
}

// startTrial starts an experiment with a model and parameters of its own.
func (r *replayTest) startTrial(t *testing.T) {
	t.Helper()
	file := filepath.Join(r.dir, "trial.yaml")
	write(t, file, trial)
	r.command(t, "experiment", "start", file, "--why", "another era")
}

// fingerprint is what a replay must not change: the live rows, the fences and the groups' offsets.
func (r *replayTest) fingerprint(t *testing.T) string {
	t.Helper()
	var rows, fences string
	err := r.db.Pool().QueryRow(within(t), `SELECT md5(string_agg(md5(d::text), '' ORDER BY request_id)) FROM decisions d WHERE run_id = 0`).Scan(&rows)
	if err == nil {
		err = r.db.Pool().QueryRow(within(t), `SELECT string_agg(o::text, ' ' ORDER BY o) FROM stream_offsets o`).Scan(&fences)
	}
	committed, ends, lookUp := r.progress(t, r.name, r.requests())
	_, results, lookUp2 := r.progress(t, r.name, r.results())
	if err := errors.Join(err, lookUp, lookUp2); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rows, fences, committed, ends, results)
}

// replay runs a replay command that prints a report, and returns it with the exit status.
func (s *stack) replay(t *testing.T, args ...string) (*replay.Report, int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"replay"}, append(args, "-o", "json")...)...)
	cmd.Env = s.env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	report := new(replay.Report)
	if out.Len() > 0 {
		mustDecode(t, out.Bytes(), report)
	}
	return report, cmd.ProcessState.ExitCode(), log.String()
}

// TestReplayReproducesEveryDecision answers requests in several eras, and replays them: every decision comes out to
// the byte, and nothing of live traffic is changed. Another replay is killed in the middle, again and again, and
// resumed: its rows are neither doubled nor lost, and its report is the same.
func TestReplayReproducesEveryDecision(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		r := newReplayTest(t, s, replayed(t))
		before := r.fingerprint(t)
		began := time.Now()
		report, status, log := r.stack.replay(t, "run", "--rate", "0", "--max-differing", "0", "--max-irreproducible", "0")
		took := time.Since(began)
		t.Logf("%d requests in %s, %.0f/s", report.Compared, took.Round(time.Millisecond), float64(report.Compared)/took.Seconds())
		if status != 0 || report.Identical != int64(r.n) || report.Compared != int64(r.n) || report.Repeated != int64(r.again) ||
			replay.Sum(report.Rejected) != int64(r.bad) || report.Read != int64(r.n+r.again+r.bad) {
			r.showDifferences(t, report.RunID)
			t.Fatalf("status %d of %d requests, %d repeats, %d bad events\n%+v\n%s", status, r.n, r.again, r.bad, report, log)
		}
		r.checkRun(t, report.RunID)

		killed := r.killed(t, report.RunID+1)
		killed.RunID, killed.CreatedAt, killed.FinishedAt, killed.Plan = report.RunID, report.CreatedAt, report.FinishedAt, report.Plan
		if got, want := asJSON(t, killed), asJSON(t, report); got != want {
			t.Errorf("the report of a replay that was killed is\n%s\nwant\n%s", got, want)
		}
		r.checkRun(t, report.RunID+1)
		if after := r.fingerprint(t); after != before {
			t.Errorf("live traffic was changed:\n%s\n%s", before, after)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// killed starts a replay of all, kills it a few times, and lets it come to its end.
func (r *replayTest) killed(t *testing.T, run int32) *replay.Report {
	t.Helper()
	args := []string{"run", "--rate", fmt.Sprint(r.n)}
	for range 3 {
		cmd := exec.Command(program, append([]string{"replay"}, args...)...)
		cmd.Env = r.env
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		done := r.doneOf(t, run)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "some of the replay", func() (bool, string) {
			now := r.doneOf(t, run)
			return now > done, fmt.Sprint(now)
		})
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		args = []string{"resume", fmt.Sprint(run)}
	}
	if now := r.doneOf(t, run); now >= int64(r.n) {
		t.Fatalf("the replay was done before it was killed: %d", now)
	}
	report, status, log := r.stack.replay(t, args...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, log)
	}
	return report
}

// doneOf is how many offsets of a replay are done, 0 of one that is not there.
func (r *replayTest) doneOf(t *testing.T, run int32) int64 {
	t.Helper()
	now, err := r.db.Replay(within(t), run)
	if errors.Is(err, postgres.ErrNoReplay) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	done, _ := replay.Progress(now)
	return done
}

// checkRun compares the rows of a replay with the live ones.
func (r *replayTest) checkRun(t *testing.T, run int32) {
	t.Helper()
	var rows, ids, same int
	err := r.db.Pool().QueryRow(within(t), `SELECT count(*), count(DISTINCT d.request_id),
			count(*) FILTER (WHERE d.item_ids = l.item_ids AND d.scores = l.scores AND d.tier = l.tier AND d.degraded = l.degraded
				AND d.model_id IS NOT DISTINCT FROM l.model_id AND d.catalog_version = l.catalog_version)
		FROM decisions d JOIN decisions l ON l.request_id = d.request_id AND l.run_id = 0 WHERE d.run_id = $1`, run).Scan(&rows, &ids, &same)
	if err != nil {
		t.Fatal(err)
	}
	if rows != r.n || ids != r.n || same != r.n {
		t.Errorf("replay %d has %d rows of %d ids, %d of them as live; want %d", run, rows, ids, same, r.n)
	}
}

// showDifferences logs the first requests that were not reproduced, with both decisions.
func (r *replayTest) showDifferences(t *testing.T, run int32) {
	t.Helper()
	rows, err := r.db.Pool().Query(within(t), `SELECT x.causes::text, d::text FROM
			(SELECT *, row_number() OVER (PARTITION BY causes) AS n FROM replay_differences WHERE run_id = $1) x
		JOIN decisions d USING (request_id) WHERE x.n <= 2 ORDER BY x.causes, request_id, d.run_id LIMIT 12`, run)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var causes, decision string
		if err := rows.Scan(&causes, &decision); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %.3000s", causes, strings.TrimSpace(decision))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestReplayForOperators tries a model on past requests, publishes what it says, pauses, resumes, cancels and deletes.
func TestReplayForOperators(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		r := newReplayTest(t, s, 1_000)
		before := r.fingerprint(t)
		r.tryModel(t)
		r.emit(t)
		r.filter(t)
		r.pauseAndDelete(t)
		r.refuse(t)
		if after := r.fingerprint(t); after != before {
			t.Errorf("live traffic was changed:\n%s\n%s", before, after)
		}
	})
}

// tryModel evaluates another model: what differs is counted, and can be queried.
func (r *replayTest) tryModel(t *testing.T) {
	t.Helper()
	report, status, log := r.stack.replay(t, "run", "--model", "films@2", "--min-overlap", "0.999", "--rate", "0", "--why", "is it better?")
	if status != 3 || !strings.Contains(log, "the overlap is") {
		t.Errorf("status %d of a model that differs, want 3\n%s", status, log)
	}
	if report.Compared != int64(r.n) || report.Rank == 0 || report.Overlap >= 1 || report.Scores.Max == 0 || len(report.ByContext) < 40 {
		t.Errorf("report %+v", report)
	}
	for _, l := range report.ByModel {
		if l.ReplayModel != "films@2" && l.ReplayModel != "" {
			t.Errorf("decided by %s", l.ReplayModel)
		}
	}
	var compared, differences int
	var overlap float64
	err := r.db.Pool().QueryRow(within(t), `SELECT sum(compared), sum(overlap * compared) / sum(compared),
		(SELECT count(*) FROM replay_differences WHERE run_id = $1) FROM replay_figures WHERE run_id = $1`, report.RunID).
		Scan(&compared, &overlap, &differences)
	if err != nil || int64(compared) != report.Compared || math.Abs(overlap-float64(report.Overlap)) > 1e-9 || int64(differences) != report.Differing() {
		t.Errorf("rows say %d compared, overlap %v, %d differences (%v); the report %+v", compared, overlap, differences, err, report.Line)
	}
	again, _, _ := r.stack.replay(t, "show", fmt.Sprint(report.RunID))
	if got, want := asJSON(t, again), asJSON(t, report); got != want {
		t.Errorf("show prints\n%s\nwant\n%s", got, want)
	}
}

// emit publishes to a topic of its own, which is created: each decision once, where nothing is killed.
func (r *replayTest) emit(t *testing.T) {
	t.Helper()
	topic := r.name + ".replayed"
	report, status, log := r.stack.replay(t, "run", "--emit", topic, "--rate", "0")
	if !strings.Contains(log, "topic "+topic+" is created, with ") {
		t.Errorf("no word of a topic that was not there\n%s", log)
	}
	seen := map[string]bool{}
	for _, partition := range readTopic(t, r.stack, topic, func(m kafka.Message) string { return header(m, schemas.HeaderID) }) {
		for _, id := range partition {
			seen[id] = true
		}
	}
	if status != 0 || report.Identical != int64(r.n) || len(seen) != r.n {
		t.Errorf("status %d, %d reproduced, %d results of %d requests\n%s", status, report.Identical, len(seen), r.n, log)
	}
}

// filter takes some of the requests.
func (r *replayTest) filter(t *testing.T) {
	t.Helper()
	report, status, _ := r.stack.replay(t, "run", "--users", "u-001,u-002", "--tiers", "model", "--partitions", "0,1,2,3,4,5")
	var want int64
	err := r.db.Pool().QueryRow(within(t), `SELECT count(*) FROM decisions WHERE run_id = 0 AND user_id IN ('u-001', 'u-002') AND tier = 'model'`).Scan(&want)
	if err != nil || status != 0 || want == 0 || report.Compared != want || report.Identical != want {
		t.Errorf("status %d, %d of %d requests (%v)", status, report.Compared, want, err)
	}
	hence := time.Now().Add(time.Hour).Format(time.RFC3339)
	future, status, _ := r.stack.replay(t, "run", "--from", hence)
	if status != 0 || future.Read != 0 || future.Offsets != 0 {
		t.Errorf("status %d, %d events of the future", status, future.Read)
	}
	for _, none := range [][]string{{"--from", hence}, {"--users", "nobody", "--rate", "0"}} {
		_, status, log := r.stack.replay(t, append([]string{"run", "--max-differing", "0"}, none...)...)
		if status != 3 || !strings.Contains(log, "nothing was compared") {
			t.Errorf("%q: status %d of a replay of nothing, want 3\n%s", none, status, log)
		}
	}
	past, status, _ := r.stack.replay(t, "run", "--from", "-24h", "--to", time.Now().Format(time.RFC3339Nano), "--rate", "0")
	if status != 0 || past.Compared != int64(r.n) {
		t.Errorf("status %d, %d requests of the last day, want %d", status, past.Compared, r.n)
	}
}

// pauseAndDelete stops a slow replay by a signal and by a command, and removes it.
func (r *replayTest) pauseAndDelete(t *testing.T) {
	t.Helper()
	list, err := r.db.Replays(within(t))
	if err != nil {
		t.Fatal(err)
	}
	run := list[0].RunID + 1
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(within(t), program, append([]string{"replay"}, args...)...)
		cmd.Env, cmd.SysProcAttr = r.env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		before := r.doneOf(t, run)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "some of the replay", func() (bool, string) {
			now := r.doneOf(t, run)
			return now > before, fmt.Sprint(now)
		})
		return cmd
	}
	paused := func(cmd *exec.Cmd) {
		t.Helper()
		_ = cmd.Wait()
		now, err := r.db.Replay(within(t), run)
		if err != nil || cmd.ProcessState.ExitCode() != 1 || now.State != postgres.ReplayPaused {
			t.Errorf("status %d, replay %+v (%v)", cmd.ProcessState.ExitCode(), now, err)
		}
	}
	first := start("run", "--rate", "100")
	r.stopInStore(t, first, run)
	paused(first)
	second := start("resume", fmt.Sprint(run))
	r.command(t, "replay", "pause", fmt.Sprint(run))
	paused(second)
	taken := start("resume", fmt.Sprint(run))
	other := start("resume", fmt.Sprint(run))
	if _ = taken.Wait(); taken.ProcessState.ExitCode() != 1 {
		t.Errorf("status %d of a process whose replay was taken over", taken.ProcessState.ExitCode())
	}
	if out := r.command(t, "replay", "cancel", fmt.Sprint(run), "--delete"); !strings.Contains(out, "is deleted") {
		t.Error(out)
	}
	if _ = other.Wait(); other.ProcessState.ExitCode() != 1 {
		t.Errorf("status %d of a process whose replay was deleted", other.ProcessState.ExitCode())
	}
	var rows int
	if err := r.db.Pool().QueryRow(within(t), `SELECT count(*) FROM decisions WHERE run_id = $1`, run).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows of a deleted replay (%v)", rows, err)
	}
}

// stopInStore signals a process of a replay whose batches cannot be stored in this moment: it keeps what it has in hand,
// and stores it before it ends.
func (r *replayTest) stopInStore(t *testing.T, cmd *exec.Cmd, run int32) {
	t.Helper()
	tx, err := r.db.Pool().Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(within(t)) }()
	if _, err := tx.Exec(within(t), `SELECT FROM replay_partitions WHERE run_id = $1 FOR UPDATE`, run); err != nil {
		t.Fatal(err)
	}
	waiting := func() (bool, string) {
		var n int
		err := r.db.Pool().QueryRow(within(t), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE 'UPDATE replay_partitions%'`).Scan(&n)
		return n > 0, fmt.Sprint(n, err)
	}
	eventually(t, "a batch that waits to be stored", waiting)
	before := r.doneOf(t, run)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // paused looks at the status
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(500 * time.Millisecond): // it has seen the signal by then
	}
	if err := tx.Rollback(within(t)); err != nil {
		t.Fatal(err)
	}
	<-ended
	if now := r.doneOf(t, run); now <= before {
		t.Errorf("the batch in hand is lost: %d offsets are done, %d were before the signal", now, before)
	}
}

// refuse is what no replay may do, or what is not there.
func (r *replayTest) refuse(t *testing.T) {
	t.Helper()
	for _, test := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "live traffic", []string{"run", "--emit", r.results()}},
		{2, "is after --to", []string{"run", "--from", "9", "--to", "8"}},
		{2, "is after --to", []string{"run", "--from", "-1h", "--to", "-2h"}},
		{2, "no offset and no time", []string{"run", "--from", "yesterday"}},
		{2, "no tier", []string{"run", "--tiers", "best"}},
		{2, "neither a file", []string{"run", "--scoring", "no-such-version"}},
		{2, "--model films@9", []string{"run", "--model", "films@9"}},
		{1, "no partition 9", []string{"run", "--partitions", "9"}},
		{1, "no-such-topic", []string{"run", "--topic", "no-such-topic"}},
		{1, "there is no replay 999", []string{"resume", "999"}},
		{1, "done or cancelled", []string{"resume", "1"}},
		{2, "not the number of a replay", []string{"show", "one"}},
	} {
		_, status, log := r.stack.replay(t, test.args...)
		if status != test.status || !strings.Contains(log, test.says) || !strings.Contains(log, "hint:") {
			t.Errorf("replay %v: status %d, want %d with %q and a hint\n%s", test.args, status, test.status, test.says, log)
		}
	}
}
