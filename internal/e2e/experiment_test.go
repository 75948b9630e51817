package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"

	"recstream/internal/demo"
	"recstream/schemas"
	"recstream/scoring/catalog"
	"recstream/scoring/experiment"
	"recstream/scoring/feature"
)

// trial is the experiment of TestExperimentOfPersonalModels, as a file.
const trial = `name: trial
variants:
  - name: control
    weight: 0.5
  - name: candidate
    weight: 0.5
    model: films@2
    params: "max_items: 2"
shadows:
  - name: quiet
    model: films@1
`

// TestExperimentOfPersonalModels activates a model that knows the users, runs an experiment against another one,
// with a shadow, and feeds back what users did. Each user gets the variant that the hash says, in rows and results;
// each prediction of the personal model is the one that the stored features of the user give; each shadow decides
// as its model does.
func TestExperimentOfPersonalModels(t *testing.T) {
	onEachKafka(t, func(t *testing.T, s *stack) {
		const requests = 2_000
		if err := demo.WriteStore(s.store().Dir); err != nil {
			t.Fatal(err)
		}
		s.withStore()
		file := filepath.Join(s.dir, "trial.yaml")
		if err := os.WriteFile(file, []byte(trial), 0o600); err != nil {
			t.Fatal(err)
		}
		s.command(t, "model", "activate", "films@3", "--why", "it knows the users")
		s.command(t, "experiment", "start", file, "--why", "is it better?")
		i := s.serve(t)

		items, version, err := s.db.Catalog(within(t))
		if err != nil {
			t.Fatal(err)
		}
		events, _, _ := newFeedback(4_000, items)
		s.publishTo(t, s.feedback(), events...)
		s.awaitGroup(t, s.feedbackGroup(), s.feedback())
		var asked []kafka.Message
		for n := range requests {
			asked = append(asked, goodMessage(n))
		}
		s.publish(t, asked...)
		s.awaitCommitted(t)
		eventually(t, "shadow decisions", func() (bool, string) {
			n := s.countRows(t, "shadow_decisions")
			return n == requests, fmt.Sprint(n)
		})
		i.stop(t)

		snapshot, err := catalog.New(items, version, catalog.DefaultRules())
		if err != nil {
			t.Fatal(err)
		}
		rows := s.checkVariants(t, requests)
		personal := s.checkPersonal(t, snapshot, rows)
		s.checkShadows(t, requests)
		t.Logf("%d decisions, %d of the personal model with something known of the user", len(rows), personal)
	})
}

// checkVariants compares rows and results with what the hash says, and returns the rows.
func (s *stack) checkVariants(t *testing.T, requests int) map[string]*schemas.Decision {
	t.Helper()
	rows := s.findRows(t, 0, requests)
	split := experiment.Experiment{Name: "trial", Variants: []experiment.Variant{{Name: "control"}, {Name: "candidate"}}}
	seen := 0
	for _, partition := range s.readResults(t) {
		for _, r := range partition {
			seen++
			variant, _ := split.Assign(r.UserID)
			want := fmt.Sprint("trial", split.Variants[variant].Name, []string{"3", "2"}[variant])
			row := rows[r.RequestID]
			if r.Experiment == nil || r.Model == nil || row == nil || row.Experiment == nil || row.Model == nil {
				t.Fatalf("%s: result %s, row %+v", r.RequestID, r.value, row)
			}
			if is := fmt.Sprint(r.Experiment.Name, r.Experiment.Variant, r.Model.Version); is != want {
				t.Fatalf("%s: result of %s, want %s", r.RequestID, is, want)
			}
			if is := fmt.Sprint(row.Experiment.Name, row.Experiment.Variant, row.Model.Version); is != want {
				t.Fatalf("%s: row of %s, want %s", r.RequestID, is, want)
			}
			if variant == 1 && len(row.Items) > 2 {
				t.Fatalf("%s: %d items, the variant's parameters say 2", r.RequestID, len(row.Items))
			}
		}
	}
	if seen != requests {
		t.Errorf("%d results, want %d", seen, requests)
	}
	return rows
}

// checkPersonal predicts again from what the rows keep of the user, and returns in how many something was known.
func (s *stack) checkPersonal(t *testing.T, c *catalog.Snapshot, rows map[string]*schemas.Decision) (known int) {
	t.Helper()
	m, err := s.store().Open("films", "3")
	if err != nil {
		t.Fatal(err)
	}
	f := m.Features()
	var pairs []int
	for i, part := range f.Parts() {
		if part == feature.PartPair {
			pairs = append(pairs, i)
		}
	}
	x := make([]float64, len(f.Names()))
	for id, row := range rows {
		if row.Model.Version != "3" {
			continue
		}
		if len(row.UserFeatures) != len(f.UserFeatures()) || len(row.PairFeatures) != len(row.Items)*len(pairs) {
			t.Fatalf("%s: %d features of the user, %d of pairs", id, len(row.UserFeatures), len(row.PairFeatures))
		}
		if slices.ContainsFunc(row.UserFeatures, func(v float64) bool { return v != 0 && !math.IsNaN(v) }) {
			known++
		}
		for n, item := range row.Items {
			place, _ := c.Lookup(item.ItemID)
			var in feature.Inputs
			f.Prepare(&in, &schemas.Request{Context: row.Context, RequestedAt: row.RequestedAt}, nil)
			f.Vector(x, &in, c.Item(place))
			for i, at := range f.UserFeatures() {
				x[at] = row.UserFeatures[i]
			}
			for i, at := range pairs {
				x[at] = row.PairFeatures[n*len(pairs)+i]
			}
			if p := m.Prediction(m.Raw(x)); p != item.Prediction {
				t.Fatalf("%s: %s is predicted as %v, the stored features give %v", id, item.ItemID, item.Prediction, p)
			}
		}
	}
	if known == 0 {
		t.Error("nothing was known of any user: the test shows nothing")
	}
	return known
}

// checkShadows decides each request again with the shadow's model.
func (s *stack) checkShadows(t *testing.T, requests int) {
	t.Helper()
	scorer := s.scorer(t, "1")
	shadows := map[string]string{}
	list, err := s.db.Pool().Query(within(t), `SELECT request_id, concat_ws(' ', experiment, variant, tier, item_ids, predictions) FROM shadow_decisions`)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for list.Next() {
		var id, text string
		if err := list.Scan(&id, &text); err != nil {
			t.Fatal(err)
		}
		shadows[id] = text
	}
	for n := range requests {
		var req schemas.Request
		if err := schemas.DecodeRequest(goodMessage(n).Value, &req); err != nil {
			t.Fatal(err)
		}
		var want schemas.Decision
		if err := scorer.Decide(&req, nil, &want); err != nil {
			t.Fatal(err)
		}
		ids, predictions := "", ""
		for i, item := range want.Items {
			if i > 0 {
				ids, predictions = ids+",", predictions+","
			}
			ids, predictions = ids+item.ItemID, predictions+fmt.Sprint(item.Prediction)
		}
		if text := fmt.Sprintf("trial quiet %s {%s} {%s}", want.Tier, ids, predictions); shadows[req.RequestID] != text {
			t.Fatalf("shadow of %s: %s, want %s", req.RequestID, shadows[req.RequestID], text)
		}
	}
}
