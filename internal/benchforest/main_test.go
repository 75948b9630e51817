package main

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"recstream/internal/rounds"
	"recstream/internal/rounds/roundstest"
)

// twoLeaves writes a model of one tree in LightGBM's format, which splits on the first feature of the item.
func twoLeaves(t *testing.T) (directory string) {
	t.Helper()
	var names, infos []string
	for range rowWidth {
		names, infos = append(names, "f"+string(rune('A'+len(names)))), append(infos, "[-3:3]")
	}
	tree := "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=20\nsplit_gain=1\nthreshold=0.5\ndecision_type=2\n" +
		"left_child=-1\nright_child=-2\nleaf_value=-0.25 0.75\nleaf_weight=1 1\nleaf_count=10 30\n" +
		"internal_value=0\ninternal_weight=2\ninternal_count=40\nis_linear=0\nshrinkage=1\n\n\n"
	text := "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=39\n" +
		"objective=binary sigmoid:1\nfeature_names=" + strings.Join(names, " ") +
		"\nfeature_infos=" + strings.Join(infos, " ") + "\ntree_sizes=" + strconv.Itoa(len(tree)) + "\n\n" +
		tree + "end of trees\n\nparameters:\n[objective: binary]\n\nend of parameters\n"
	directory = t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "1x2.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestRunWritesTheFiguresOfWhatIsInstalled(t *testing.T) {
	figures, table := roundstest.Run(t, run, "-models", twoLeaves(t))
	for _, key := range []string{
		"ours_ns_1x2_5k", "ours_ns_1x2_100k_c200", "leaves_single_ns_1x2_5k", "leaves_dense_ns_max_1x2_5k_c100",
		"ratio_to_leaves_1x2_5k", "ratio_to_leaves_1x2_100k", "build_ms_1x2_5k", "bytes_1x2_100k", "shap_us_row_1x2",
	} {
		if v, ok := figures[key].(float64); !ok || v <= 0 {
			t.Errorf("%s is %v", key, figures[key])
		}
	}
	if figures["allocs_per_request"] != 0.0 {
		t.Errorf("%v allocations a request", figures["allocs_per_request"])
	}
	for _, peer := range []string{peerLightGBM, peerLleaves, peerTL2cgen} {
		if missing, _ := figures["missing"].(string); !strings.Contains(missing, peer+": ") || !strings.Contains(table, peer+": ") {
			t.Errorf("nothing is said of %s, which is missing", peer)
		}
	}
}

func TestCompareRefusesOtherScores(t *testing.T) {
	w := newWorkload(maxCandidates, maxCandidates)
	constant := func(v float64) *scorer {
		return &scorer{score: func(_ []float64, candidates []int32, out []float64) error {
			for i := range candidates {
				out[i] = v
			}
			return nil
		}}
	}
	for _, test := range []struct {
		name  string
		exact bool
		off   float64
		wrong bool
	}{
		{"the same", true, 0, false},
		{"a bit off", true, 1e-15, true},
		{"added up in another order", false, 1e-12, false},
		{"another score", false, 1e-6, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := compare([]lane{
				{contender: &contender{exact: true}, scorer: constant(0.125)},
				{contender: &contender{exact: test.exact}, scorer: constant(0.125 + test.off)},
			}, w)
			if (err != nil) != test.wrong {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestBestIsTheFasterWayOfAPeer(t *testing.T) {
	c := &cell{lanes: []lane{
		{contender: &contender{name: "ours", peer: peerOurs}, ns: [][]float64{{10, 20, 40}}},
		{contender: &contender{name: "slow", peer: peerLeaves}, ns: [][]float64{{90, 95, 900}}},
		{contender: &contender{name: "fast", peer: peerLeaves}, ns: [][]float64{{50, 80, 2000}}},
	}}
	best := c.best(0, peerLeaves)
	if best.name != "fast" {
		t.Fatalf("best is %s", best.name)
	}
	if got, want := rounds.Ratio(best.ns[0], c.best(0, peerOurs).ns[0]), (rounds.Spread{Median: 5, Least: 4, Largest: 50}); got != want {
		t.Errorf("ratios are %v, want %v", got, want)
	}
	if c.best(0, peerLightGBM) != nil {
		t.Error("a peer that was not measured has a best lane")
	}
}

func TestRunRefusesWrongFlags(t *testing.T) {
	roundstest.Refuses(t, run, "-models", twoLeaves(t))
	for name, args := range map[string][]string{"no models": {}, "a directory without": {"-models", t.TempDir()}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
