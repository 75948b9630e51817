package e2e

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"recstream/schemas"
)

// shop is a catalogue of which the most popular items may not be offered, and what is asked of it.
type shop struct {
	items           map[string]*schemas.Item
	hidden, expired []string
	good            []string // the others, the most popular first
	hit             string   // what everybody with a history has seen last
	seen            []string // what else they have seen
}

// forbidden is how many items are hidden, and how many have expired.
const forbidden = 10

// newShop hides and expires what all tiers would like to recommend.
func newShop(t *testing.T, s *stack) *shop {
	t.Helper()
	items, _, err := s.db.Catalog(within(t))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(items, func(a, b schemas.Item) int { return cmp.Compare(b.Popularity, a.Popularity) })
	x := &shop{items: map[string]*schemas.Item{}}
	for i := range items {
		x.items[items[i].ID] = &items[i]
		switch {
		case i < forbidden:
			x.hidden = append(x.hidden, items[i].ID)
		case i < 2*forbidden:
			x.expired = append(x.expired, items[i].ID)
		default:
			x.good = append(x.good, items[i].ID)
		}
	}
	x.hit, x.seen = x.good[500], x.good[:20]
	for statement, ids := range map[string][]string{`UPDATE items SET hidden = true WHERE id = ANY ($1)`: x.hidden,
		`UPDATE items SET expires_at = now() - interval '1 minute' WHERE id = ANY ($1)`: x.expired} {
		if _, err := s.db.Pool().Exec(within(t), statement, ids); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// request is the request r-<i>: one of eight kinds.
func (x *shop) request(i int) schemas.Request {
	r := schemas.Request{
		RequestID: fmt.Sprintf("r-%06d", i), UserID: fmt.Sprintf("u-%03d", i*7919%users), Limit: 5,
		Context: schemas.Context{Mood: schemas.Mood(i / 8 % int(schemas.NumMoods)), GroupSize: schemas.GroupSize(i / 40 % int(schemas.NumGroupSizes)),
			SessionLength: schemas.SessionLength(i / 160 % int(schemas.NumSessionLengths))},
		Diversity: math.NaN(), RequestedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	switch i % 8 {
	case 1:
		r.ExcludeSeen, r.Limit = true, 20
	case 2:
		r.Exclude = x.good[:40]
		r.Pins = []string{x.good[900], x.hidden[1], "no-such-item", x.good[3], x.expired[1], x.good[700], x.good[900]}
	case 3:
		r.SimilarTo = x.good[i%50]
	case 4:
		r.Candidates = []string{x.hidden[0], x.good[800], x.good[60], x.expired[0], "no-such-item", x.good[1200], x.good[60]}
	case 5:
		r.Limit = 100
	case 6:
		r.UserID = ""
	case 7:
		r.Context = schemas.Context{}
	}
	return r
}

// hasHistory reports whether a user is given a history.
func hasHistory(userID string) bool { return userID != "" && userID[len(userID)-1]%2 == 0 }

func messagesOf(requests []schemas.Request) (messages []kafka.Message) {
	for i := range requests {
		messages = append(messages, kafka.Message{Key: []byte(requests[i].PartitionKey()), Value: schemas.AppendRequest(nil, &requests[i])})
	}
	return messages
}

// giveHistory tells of half of the users what they have seen, and waits until that is stored.
func (l *ladderTest) giveHistory(t *testing.T) {
	t.Helper()
	var messages []kafka.Message
	at := time.Now().Add(-time.Hour)
	for u := range users {
		for n, item := range append(slices.Clone(l.shop.seen), l.shop.hit) {
			f := schemas.Feedback{RequestID: fmt.Sprintf("f-%d-%d", u, n), UserID: fmt.Sprintf("u-%03d", u), ItemID: item,
				Action: schemas.ActionComplete, Value: math.NaN(), At: at.Add(time.Duration(n) * time.Minute)}
			weight := n == len(l.shop.seen) || u < 20 // the hit has most of it
			if hasHistory(f.UserID) && weight {
				messages = append(messages, kafka.Message{Key: []byte(f.PartitionKey()), Value: schemas.AppendFeedback(nil, &f)})
			}
		}
	}
	l.publishTo(t, l.feedback(), messages...)
	l.awaitGroup(t, l.feedbackGroup(), l.feedback())
}

// importList imports a list of all items, the least popular first.
func (l *ladderTest) importList(t *testing.T) {
	t.Helper()
	list := schemas.EditorialList{Name: "all", ItemIDs: slices.Concat(l.shop.hidden, l.shop.expired)}
	for _, id := range slices.Backward(l.shop.good) {
		list.ItemIDs = append(list.ItemIDs, id)
	}
	if _, err := l.db.ImportEditorial(within(t), []schemas.EditorialList{list}, false, nil); err != nil {
		t.Error(err)
	}
}

// check looks at the result and the row of each request.
func (l *ladderTest) check(t *testing.T, requests []schemas.Request) {
	t.Helper()
	results := map[string]result{}
	for _, partition := range l.readResults(t) {
		for _, r := range partition {
			if _, again := results[r.RequestID]; again {
				t.Errorf("%s has two results", r.RequestID)
			}
			results[r.RequestID] = r
		}
	}
	rows := l.findRows(t, 0, len(requests))
	tiers := map[schemas.Tier]int{}
	for i := range requests {
		req := &requests[i]
		row, answer := rows[req.RequestID], results[req.RequestID]
		if problem := l.problem(req, row, &answer.Result); problem != "" {
			t.Errorf("%s, in phase %q: %s\nrequest %+v\nresult %s", req.RequestID, l.phaseOf(row).name, problem, *req, answer.value)
		}
		if tiers[row.Tier]++; t.Failed() {
			t.FailNow() // thousands may be wrong in the same way
		}
	}
	t.Logf("%d requests, by tier %v", len(requests), tiers)
	if len(results) != len(requests) || len(tiers) != 6 {
		t.Errorf("%d results of %d requests, of tiers %v", len(results), len(requests), tiers)
	}
}

func (l *ladderTest) phaseOf(row *schemas.Decision) *phase {
	if p := l.versions[row.ConfigVersion]; p != nil {
		return p
	}
	return &phase{name: "of unknown parameters " + row.ConfigVersion}
}

// problem says what is wrong with an answer, "" for nothing.
func (l *ladderTest) problem(req *schemas.Request, row *schemas.Decision, answer *schemas.Result) string {
	p := l.phaseOf(row)
	got := outcome{row.Tier, ""}
	for _, code := range row.Degraded {
		got.codes += string(code) + " "
	}
	if want := p.outcomes(req, hasHistory(req.UserID)); !slices.Contains(want, got) {
		return fmt.Sprintf("answered by %v, want one of %v", got, want)
	}
	ids := make([]string, len(row.Items))
	for n := range row.Items {
		ids[n] = row.Items[n].ItemID
	}
	if answer.Status != schemas.StatusOK || answer.Tier != row.Tier || !slices.Equal(answer.Degraded, row.Degraded) ||
		!slices.EqualFunc(answer.Items, ids, func(a schemas.ResultItem, id string) bool { return a.ItemID == id }) {
		return fmt.Sprintf("the result differs from the row %+v", *row)
	}
	byModel := row.Tier == schemas.TierModel || row.Tier == schemas.TierPrevious
	if byModel != (row.Model != nil) || byModel == math.IsNaN(row.Items[0].Prediction) {
		return "it does not say whether a model ranked"
	}
	return l.shop.forbidden(req, ids, p.history == known, row.Considered)
}

// forbidden says what in an answer the request or the catalogue forbid.
func (x *shop) forbidden(req *schemas.Request, ids []string, historyKnown bool, considered int) string {
	if len(ids) != min(req.Limit, considered) {
		return fmt.Sprintf("%d items of %d, limit %d", len(ids), considered, req.Limit)
	}
	if req.Pins != nil && !slices.Equal(ids[:2], []string{x.good[900], x.good[700]}) {
		return "the pins do not come first"
	}
	not := slices.Concat(x.hidden, x.expired, req.Exclude, []string{req.SimilarTo})
	if req.ExcludeSeen && historyKnown && hasHistory(req.UserID) {
		not = append(not, x.hit)
		if req.UserID < "u-020" {
			not = append(not, x.seen...)
		}
	}
	for n, id := range ids {
		switch {
		case x.items[id] == nil || slices.Contains(not, id):
			return id + " may not be offered"
		case slices.Contains(ids[:n], id):
			return id + " is there twice"
		case req.Candidates != nil && !slices.Contains(req.Candidates, id):
			return id + " is no candidate"
		case req.Candidates == nil && !slices.Contains(req.Pins, id) && req.Mood == schemas.MoodFunny &&
			!slices.Contains(x.items[id].Genres, "Comedy"):
			return fmt.Sprintf("%s is %s, not funny", id, strings.Join(x.items[id].Genres, ", "))
		}
	}
	return ""
}
