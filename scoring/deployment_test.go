package scoring

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"recstream/schemas"
	"recstream/scoring/experiment"
	"recstream/scoring/feature"
	"recstream/scoring/model"
	"recstream/scoring/profile"
)

var eight = time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)

// personal declares features of every part: of the request, of the item, of the user, and of both.
var personal = []feature.Feature{
	{Name: "mood_funny", Source: feature.SourceRequest, Kind: feature.KindOneHot, Field: "mood", Value: "funny"},
	{Name: "year", Source: feature.SourceItem, Kind: feature.KindNumber, Field: "year"},
	{Name: "activity", Source: feature.SourceUser, Kind: feature.KindNumber, Field: "activity"},
	{Name: "affinity", Source: feature.SourceUserItem, Kind: feature.KindNumber, Field: "genre_affinity", Aggregate: feature.AggregateSum},
}

// personalModel is a bundle with random trees over the personal features.
func personalModel(t testing.TB, version string, change ...func(*model.Manifest)) *model.Model {
	return randomModel(t, version, personal, [][]float64{{0.5}, {1940, 1960, 1985, 2010}, {0.5, 2, 5}, {-1, 0.1, 1, 3}}, change...)
}

// randomModel is a bundle with random trees over features, whose splits are at the thresholds, by feature. Its
// manifest can be changed before it is opened.
func randomModel(t testing.TB, version string, features []feature.Feature, thresholds [][]float64, change ...func(*model.Manifest)) *model.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(len(version)), uint64(version[0])))
	var names []string
	for _, f := range features {
		names = append(names, f.Name)
	}
	text := lightGBM(names, 40, func() (feature int, threshold, left, right float64) {
		feature = random.IntN(len(features))
		return feature, thresholds[feature][random.IntN(len(thresholds[feature]))], random.NormFloat64(), random.NormFloat64()
	})
	dir := t.TempDir()
	manifest := model.Manifest{Name: "personal", Version: version, File: "model.txt", Format: "lightgbm",
		Objective: "binary sigmoid:1", SHA256: model.Digest(text), Features: features}
	for _, c := range change {
		c(&manifest)
	}
	encoded, err := manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{model.ManifestFile: encoded, "model.txt": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Ref.ID = int32(version[0])
	return m
}

// lightGBM is a LightGBM file of n trees with one split each.
func lightGBM(features []string, n int, split func() (feature int, threshold, left, right float64)) []byte {
	var sizes []string
	var trees bytes.Buffer
	for i := range n {
		before := trees.Len()
		f, threshold, left, right := split()
		fmt.Fprintf(&trees, "Tree=%d\nnum_leaves=2\nnum_cat=0\nsplit_feature=%d\nsplit_gain=1\nthreshold=%v\ndecision_type=2\n"+
			"left_child=-1\nright_child=-2\nleaf_value=%v %v\nleaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=2\n"+
			"internal_count=2\nis_linear=0\nshrinkage=1\n\n\n", i, f, threshold, left, right)
		sizes = append(sizes, fmt.Sprint(trees.Len()-before))
	}
	infos := strings.TrimSuffix(strings.Repeat("[-1:1] ", len(features)), " ")
	return fmt.Appendf(nil, "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=%d\n"+
		"objective=binary sigmoid:1\nfeature_names=%s\nfeature_infos=%s\ntree_sizes=%s\n\n%send of trees\n\n"+
		"feature_importances:\nyear=1\n\nparameters:\n[boosting: gbdt]\nend of parameters\n\npandas_categorical:null\n",
		len(features)-1, strings.Join(features, " "), infos, strings.Join(sizes, " "), trees.Bytes())
}

func ada() *schemas.Profile {
	return &schemas.Profile{UserID: "ada", AsOf: eight.Add(-48 * time.Hour), Activity: 6,
		Genres: []schemas.GenreWeight{{Genre: "Action", Weight: 2}, {Genre: "Drama", Weight: -2}, {Genre: "Music", Weight: 0.5}}}
}

// With features of the user, too, the answer is the naive one, and the decision keeps what it knew of the user.
func TestPersonalFeaturesEqualNaiveRanking(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	items := randomItems(random, 120)
	m := personalModel(t, "1")
	e := newEngine(t, items)
	deploy(t, e, Deployment{Model: m})
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	if !s.NeedsProfile(&schemas.Request{UserID: "ada"}) {
		t.Error("the scorer needs no profiles")
	}
	for _, known := range []*schemas.Profile{nil, ada()} {
		for range 50 {
			req := randomRequest(random, len(items))
			req.RequestedAt = eight
			var got schemas.Decision
			if err := s.Decide(&req, known, &got); err != nil {
				t.Fatal(err)
			}
			want := naivePersonal(e, m, &req, known)
			if got.Tier != schemas.TierModel || !equalItems(got.Items, want.Items) ||
				!equalFloats(got.UserFeatures, want.UserFeatures) || !equalFloats(got.PairFeatures, want.PairFeatures) {
				t.Fatalf("request %+v:\ngot  %+v\nwant %+v", req, got, want)
			}
		}
	}
}

func naivePersonal(e *Engine, m *model.Model, req *schemas.Request, known *schemas.Profile) schemas.Decision {
	if known != nil {
		faded := *known
		profile.At(&faded, known, req.RequestedAt, profile.DefaultHalfLife)
		known = &faded
	}
	type candidate struct {
		schemas.ScoredItem
		raw  float64
		pair float64
	}
	c := e.state.Load().catalog
	var list []candidate
	var d schemas.Decision
	for i := range c.Items() {
		item := c.Item(int32(i))
		if req.Candidates != nil && !slices.Contains(req.Candidates, item.ID) ||
			req.Candidates == nil && !slices.Contains(c.InContext(req.Context), int32(i)) {
			continue
		}
		var in feature.Inputs
		x := make([]float64, len(personal))
		m.Features().Prepare(&in, req, known)
		m.Features().Vector(x, &in, item)
		raw := m.Raw(x)
		p := m.Prediction(raw)
		list = append(list, candidate{schemas.ScoredItem{ItemID: item.ID, Title: item.Title, Prediction: p, Score: p}, raw, x[3]})
		d.UserFeatures = []float64{x[2]}
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.raw, a.raw), cmp.Compare(a.ItemID, b.ItemID)) })
	for _, c := range list[:min(len(list), req.Limit)] {
		d.Items, d.PairFeatures = append(d.Items, c.ScoredItem), append(d.PairFeatures, c.pair)
	}
	return d
}

// equalFloats compares to the bit, so that NaN equals NaN.
func equalFloats(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

func TestPersonalDecisionsAllocateNothing(t *testing.T) {
	e := newEngine(t, numbered(300))
	deploy(t, e, Deployment{Model: personalModel(t, "1")})
	s, known := e.NewScorer(), ada()
	if err := s.Begin(); err != nil { // for all of them: what Begin takes comes from a sync.Pool, which may forget
		t.Fatal(err)
	}
	req := schemas.Request{Limit: 10, Candidates: namesOf(200), RequestedAt: eight}
	var d schemas.Decision
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Decide(&req, known, &d); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// trial is an experiment with a variant of each kind and a shadow.
func trial(t *testing.T) Deployment {
	few := DefaultParams()
	few.MaxItems = 1
	most := 0.8
	return Deployment{
		Model: loadModel(t, demoModel),
		Experiments: []Experiment{{
			Experiment: experiment.Experiment{Name: "trial", Coverage: &most, Variants: []experiment.Variant{
				{Name: "control"}, {Name: "other"}, {Name: "few"}, {Name: "lost"},
			}, Shadows: []experiment.Variant{{Name: "quiet"}}},
			Arms:    []Arm{{}, {Model: loadModel(t, otherModel)}, {Params: &few}, {Reason: schemas.ReasonModelMissing}},
			Shadows: []Arm{{Model: personalModel(t, "2")}},
		}},
	}
}

func TestExperimentDecides(t *testing.T) {
	e := newEngine(t, randomItems(rand.New(rand.NewPCG(17, 18)), 60))
	d := trial(t)
	deploy(t, e, d)
	s := e.NewScorer()
	seen := map[string]int{}
	for i := range 400 {
		user := fmt.Sprint("user-", i)
		got := decide(t, s, &schemas.Request{RequestID: "r", UserID: user, Limit: 3})
		variant, in := d.Experiments[0].Assign(user)
		if !in {
			if got.Experiment != nil || s.NumShadows(user) != 0 {
				t.Fatalf("%s takes no part, and has %+v", user, got.Experiment)
			}
			seen["none"]++
			continue
		}
		name := d.Experiments[0].Variants[variant].Name
		seen[name]++
		if got.Experiment == nil || *got.Experiment != (schemas.ExperimentRef{Name: "trial", Variant: name}) {
			t.Fatalf("%s has %+v, want %s", user, got.Experiment, name)
		}
		want := map[string]string{"control": "model model 3", "other": "model other 3", "few": "model model 1", "lost": "previous_model model 3"}[name]
		model := ""
		if got.Model != nil {
			model = got.Model.Name
		}
		if is := fmt.Sprint(got.Tier, " ", model, " ", len(got.Items)); is != want {
			t.Fatalf("%s, %s: %q, want %q", user, name, is, want)
		}
		if name == "few" && got.ConfigVersion == e.ConfigVersion() {
			t.Error("other parameters have the same version")
		}
	}
	if len(seen) != 5 {
		t.Errorf("users went to %v", seen)
	}
	if got := decide(t, s, &schemas.Request{Limit: 3}); got.Experiment != nil {
		t.Errorf("an anonymous user takes part: %+v", got.Experiment)
	}
}

// A shadow decides as its model would, and leaves the real decision alone.
func TestShadow(t *testing.T) {
	items := randomItems(rand.New(rand.NewPCG(19, 20)), 60)
	e, alone := newEngine(t, items), newEngine(t, items)
	d := trial(t)
	deploy(t, e, d)
	deploy(t, alone, Deployment{Model: d.Experiments[0].Shadows[0].Model})
	s := e.NewScorer()
	req := schemas.Request{RequestID: "r", UserID: "ada", Limit: 5, RequestedAt: eight}
	before := decide(t, s, &req)
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	if n := s.NumShadows("ada"); n != 1 {
		t.Fatalf("%d shadows", n)
	}
	var shadow, want schemas.Decision
	if err := s.Shadow(0, &req, ada(), &shadow); err != nil {
		t.Fatal(err)
	}
	if err := alone.NewScorer().Decide(&req, ada(), &want); err != nil {
		t.Fatal(err)
	}
	want.Experiment = &schemas.ExperimentRef{Name: "trial", Variant: "quiet"}
	if !reflect.DeepEqual(shadow, want) {
		t.Errorf("the shadow is\n%+v\nwant\n%+v", shadow, want)
	}
	if after := decide(t, s, &req); !reflect.DeepEqual(before, after) {
		t.Errorf("after the shadow\n%+v\nbefore\n%+v", after, before)
	}
	if err := s.Shadow(1, &req, nil, &shadow); err == nil {
		t.Error("a shadow that is not there is no error")
	}
}

// A model that stands in for the active one says so.
func TestPreviousModel(t *testing.T) {
	e := newEngine(t, numbered(30))
	deploy(t, e, Deployment{Previous: loadModel(t, demoModel), Reason: schemas.ReasonModelLoadFailed})
	d := decide(t, e.NewScorer(), &schemas.Request{})
	if d.Tier != schemas.TierPrevious || d.Model == nil || !slices.Equal(d.Degraded, []schemas.Reason{schemas.ReasonModelLoadFailed}) {
		t.Errorf("%+v", d)
	}
}

// What did not change is not built again.
func TestDeployKeepsEvaluators(t *testing.T) {
	e := newEngine(t, numbered(30))
	d := trial(t)
	deploy(t, e, d)
	before := e.state.Load().base.rungs[0].model
	d.Experiments = nil
	deploy(t, e, d)
	if e.state.Load().base.rungs[0].model != before {
		t.Error("the evaluator was built again")
	}
	setCatalog(t, e, numbered(31), 2)
	if e.state.Load().base.rungs[0].model == before {
		t.Error("the evaluator of another catalogue is kept")
	}
}

// A scorer that has nothing to do keeps no old state in memory.
func TestEndLetsGo(t *testing.T) {
	e := newEngine(t, randomItems(rand.New(rand.NewPCG(21, 22)), 40))
	deploy(t, e, Deployment{Model: personalModel(t, "1")})
	s := e.NewScorer()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	decide(t, s, &schemas.Request{})
	old := weak.Make(e.state.Load())
	deploy(t, e, Deployment{Model: personalModel(t, "2")})
	s.End()
	for range 3 { // pools let go at the second collection
		runtime.GC()
	}
	if old.Value() != nil {
		t.Error("the old state is still there")
	}
	if d := decide(t, s, &schemas.Request{}); d.Model.Version != "2" {
		t.Errorf("after the end: %+v", d.Model)
	}
}

func TestEvaluatorsAndAnswered(t *testing.T) {
	e := newEngine(t, randomItems(rand.New(rand.NewPCG(21, 22)), 40))
	first, second := loadModel(t, demoModel), personalModel(t, "1")
	deploy(t, e, Deployment{Model: first})
	if e.Answered(first) {
		t.Error("answered before the first request")
	}
	decide(t, e.NewScorer(), &schemas.Request{})
	if !e.Answered(first) || e.Answered(second) {
		t.Errorf("answered: %v and %v", e.Answered(first), e.Answered(second))
	}
	deploy(t, e, Deployment{Model: second, Experiments: []Experiment{{
		Experiment: experiment.Experiment{Name: "ab", Variants: []experiment.Variant{{Name: "a"}, {Name: "b"}}},
		Arms:       []Arm{{}, {Model: first}},
	}}})
	list := e.Evaluators()
	if len(list) != 2 || list[0].Model.Name != "personal" || list[0].Remembered || list[0].Bytes <= 0 || list[0].Method == "" || !list[1].Remembered {
		t.Errorf("evaluators %+v", list)
	}
}
