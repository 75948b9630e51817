package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"recstream/internal/config"
	"recstream/schemas"
	"recstream/scoring/fallback"
)

// phase is a time in which an instance has one version of its parameters. While it lasts, a store may change.
type phase struct {
	name string
	off  []schemas.Tier
	// change, if not nil, happens once the parameters are in force.
	change func()
	// until is what so many rows of the phase have to be before the next one begins, in SQL; empty is any.
	until string

	model   []schemas.Reason // why the model tier may be left where it is on; "" is that it answers
	history knowledge        // of the users who have some at the end
	lists   knowledge        // of editorial lists
}

// knowledge is whether something is known in a phase.
type knowledge int

const (
	unknown  knowledge = iota
	changing           // either
	known
)

// rowsAPhase is how many rows a phase has at least, and after its change.
const rowsAPhase = 40

// ladderLoad is how many requests are published in each twentieth of a second.
const ladderLoad = 15

// ladderTest is an instance under load whose parameters and stores change.
type ladderTest struct {
	*stack
	file     string // of the parameters
	shop     *shop
	versions map[string]*phase
}

// TestEveryTierUnderLoad goes through all tiers while requests stream in: by switching tiers off, by what happens
// to the model's file, and by what is imported and told. Each request has one result and one row, of the tier and with
// the codes of its time, never empty, and nothing in it that the request or the catalogue forbids.
func TestEveryTierUnderLoad(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		l := &ladderTest{stack: s, file: filepath.Join(s.dir, "scoring.yaml"), shop: newShop(t, s), versions: map[string]*phase{}}
		phases := l.phases(t)
		first := l.put(t, 0, &phases[0])
		i := s.serve(t, "RECSTREAM_SCORING_FILE="+l.file, "RECSTREAM_SCORING_RELOAD_INTERVAL=100ms",
			"RECSTREAM_PROFILES_CACHE_TTL=20ms", "RECSTREAM_POPULARITY_REFRESH_INTERVAL=100ms")
		stop := l.load(t)
		for n := range phases {
			p, version := &phases[n], first
			if n > 0 {
				version = l.put(t, n, p)
			}
			l.awaitRows(t, p, version, "true", 1)
			if p.change != nil {
				p.change()
			}
			l.awaitRows(t, p, version, p.until, rowsAPhase)
		}
		requests := stop()
		s.awaitCommitted(t)
		i.stop(t)
		l.check(t, requests)
		s.checkLedger(t, &workload{good: len(requests)})
		if n := s.countRows(t, "tier_changes"); n != 0 {
			t.Errorf("%d breakers moved, and nothing failed", n)
		}
	})
}

// phases go down the ladder and up again.
func (l *ladderTest) phases(t *testing.T) []phase {
	t.Helper()
	model, err := os.ReadFile(l.modelPath())
	if err != nil {
		t.Fatal(err)
	}
	ladder := fallback.Ladder()
	remove := func() {
		if err := os.Remove(l.modelPath()); err != nil {
			t.Error(err)
		}
	}
	replace := func(text string) func() { return func() { l.putModel(t, []byte(text)) } }
	leaving := func(codes ...schemas.Reason) []schemas.Reason { return codes }
	return []phase{
		{name: "all is well", model: leaving("")},
		{name: "model removed", change: remove, until: `tier = 'previous_model'`, model: leaving("", schemas.ReasonModelMissing)},
		{name: "model cut short", change: replace(string(model[:len(model)/2])), until: `degraded = '{model_load_failed}'`,
			model: leaving(schemas.ReasonModelMissing, schemas.ReasonModelLoadFailed)},
		{name: "another model", change: replace(strings.Replace(string(model), "mood_funny", "mood_bored", 1)),
			until: `degraded = '{feature_mismatch}'`, model: leaving(schemas.ReasonModelLoadFailed, schemas.ReasonFeatureMismatch)},
		{name: "model restored", change: replace(string(model)), until: `tier = 'model'`, model: leaving(schemas.ReasonFeatureMismatch, "")},
		{name: "model off", off: ladder[:1]},
		{name: "models off, feedback comes", off: ladder[:2], change: func() { l.giveHistory(t) }, history: changing},
		{name: "models off, users have a history", off: ladder[:2], history: known},
		{name: "similar off", off: ladder[:3], history: known, until: `mood IS NULL AND item_ids[1] = '` + l.shop.hit + `'`},
		{name: "popular off, a list comes", off: ladder[:4], history: known, change: func() { l.importList(t) },
			until: `tier = 'editorial'`, lists: changing},
		{name: "popular off", off: ladder[:4], history: known, lists: known},
		{name: "all off", off: ladder[:5], history: known, lists: known},
		{name: "all on", model: leaving(""), history: known, lists: known},
	}
}

// put writes the parameters of a phase, which are like no other's, and returns their version.
func (l *ladderTest) put(t *testing.T, n int, p *phase) (version string) {
	t.Helper()
	off := strings.ReplaceAll(fmt.Sprint(p.off), " ", ", ")
	text := fmt.Appendf(nil, "# %s\nfallback: {switched_off: %s}\nexplain: {max_dropped: %d}\n", p.name, off, n)
	params, err := config.ParseScoring(l.file, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	version = params.Version()
	l.versions[version] = p
	return version
}

// awaitRows waits for n rows of a phase for which a condition holds.
func (l *ladderTest) awaitRows(t *testing.T, p *phase, version, condition string, n int) {
	t.Helper()
	if condition == "" {
		condition = "true"
	}
	eventually(t, fmt.Sprintf("%d rows of %q where %s", n, p.name, condition), func() (bool, string) {
		var rows int
		err := l.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM decisions WHERE config_version = $1 AND `+condition, version).Scan(&rows)
		return err == nil && rows >= n, fmt.Sprint(rows, err)
	})
}

// load publishes requests, some hundreds a second, until the function that it returns is called, which returns them.
func (l *ladderTest) load(t *testing.T) (stop func() []schemas.Request) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var requests []schemas.Request
	var running sync.WaitGroup
	running.Go(func() {
		w := l.writer()
		defer w.Close()
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			from := len(requests)
			for range ladderLoad {
				requests = append(requests, l.shop.request(len(requests)))
			}
			if err := w.WriteMessages(t.Context(), messagesOf(requests[from:])...); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	stopped := sync.OnceValue(func() []schemas.Request {
		cancel()
		running.Wait()
		return requests
	})
	t.Cleanup(func() { stopped() })
	return stopped
}

// outcome is what a request may be answered by.
type outcome struct {
	tier  schemas.Tier
	codes string
}

// outcomes are those that are right for a request in a phase.
func (p *phase) outcomes(req *schemas.Request, hasHistory bool) []outcome {
	ways := []outcome{{}}         // down the ladder, so far
	var answers []outcome         // the ways that have ended
	leave := func(codes ...any) { // for each of the codes; "" answers
		tier, before := codes[0].(schemas.Tier), ways
		ways = nil
		for _, code := range codes[1:] {
			for _, way := range before {
				if code == schemas.Reason("") {
					answers = append(answers, outcome{tier, way.codes})
				} else {
					ways = append(ways, outcome{"", way.codes + fmt.Sprint(code, " ")})
				}
			}
		}
	}
	either := func(k knowledge, tier schemas.Tier, code schemas.Reason) {
		leave(slices.Concat([]any{tier}, [][]any{{code}, {code, schemas.Reason("")}, {schemas.Reason("")}}[k])...)
	}
	for _, tier := range fallback.Ladder() {
		switch {
		case slices.Contains(p.off, tier):
			leave(tier, schemas.ReasonSwitchedOff)
		case tier == schemas.TierModel:
			codes := []any{tier}
			for _, code := range p.model {
				codes = append(codes, code)
			}
			leave(codes...)
		case tier == schemas.TierSimilar && req.SimilarTo == "" && !hasHistory:
			leave(tier, schemas.ReasonNoHistory)
		case tier == schemas.TierSimilar && req.SimilarTo == "":
			either(p.history, tier, schemas.ReasonNoHistory)
		case tier == schemas.TierEditorial:
			either(p.lists, tier, schemas.ReasonNoEditorialList)
		default:
			leave(tier, schemas.Reason(""))
		}
	}
	return answers
}
