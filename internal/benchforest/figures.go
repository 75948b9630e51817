package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"recstream/internal/rounds"
)

// figures are the outcome of a run.
type figures struct {
	options   options
	cells     []*cell
	explained []explained
	compiling map[string]float64 // seconds, by "peer_model"
	missing   []string           // peers, with the reasons
}

// best is the lane, of those that are a way of one of the peers, with the least median; nil where there is none.
func (c *cell) best(count int, peers ...string) *lane {
	var best *lane
	for i := range c.lanes {
		l := &c.lanes[i]
		if slices.Contains(peers, l.peer) && (best == nil || rounds.SpreadOf(l.ns[count]).Median < rounds.SpreadOf(best.ns[count]).Median) {
			best = l
		}
	}
	return best
}

// rivals are what ratios are given to.
var rivals = []struct {
	key, about string
	peers      []string
}{
	{"leaves", "leaves", []string{peerLeaves}},
	{"lightgbm", "LightGBM", []string{peerLightGBM}},
	{"best_compiled", "the best compiled", []string{peerLleaves, peerTL2cgen}},
}

// object returns the figures by name.
func (f *figures) object() rounds.Figures {
	o := f.options.Figures()
	o["missing"] = strings.Join(f.missing, "; ")
	allocs, deviation := 0.0, 0.0
	for _, c := range f.cells {
		f.addCell(o, c)
		allocs, deviation = max(allocs, c.allocs), max(deviation, c.deviation)
	}
	o["allocs_per_request"], o["max_deviation"] = allocs, deviation
	for key, seconds := range f.compiling {
		o["compile_s_"+key] = seconds
	}
	for i := range f.explained {
		f.explained[i].add(o)
	}
	return o
}

// addCell adds what was measured of a model with a catalogue. Keys without a number of candidates are of the
// most, 1,000.
func (f *figures) addCell(o rounds.Figures, c *cell) {
	of := c.model + "_" + c.catalogue
	for count, n := range counts {
		name := of
		if n != maxCandidates {
			name += "_c" + strconv.Itoa(n)
		}
		ours := c.best(count, peerOurs)
		for i := range c.lanes {
			o.Add(c.lanes[i].name+"_ns", name, rounds.SpreadOf(c.lanes[i].ns[count]))
		}
		for _, rival := range rivals {
			if theirs := c.best(count, rival.peers...); theirs != nil {
				o.Add("ratio_to_"+rival.key, name, rounds.Ratio(theirs.ns[count], ours.ns[count]))
			}
		}
	}
	ours := c.best(0, peerOurs)
	o["method_"+of] = ours.method
	o["build_ms_"+of] = rounds.Rounded(ours.preparing.Seconds()*1e3, 2)
	o["parse_ms_"+of] = rounds.Rounded(ours.loading.Seconds()*1e3, 2)
	o["bytes_"+of] = ours.bytes
}

// add adds what was measured of explaining. Keys without a model are of the first.
func (e *explained) add(o rounds.Figures) {
	o["shap_us_row_"+e.model] = rounds.Rounded(rounds.SpreadOf(e.ours).Median, 2)
	if len(e.lightGBM) > 0 {
		o["shap_lightgbm_us_row_"+e.model] = rounds.Rounded(rounds.SpreadOf(e.lightGBM).Median, 2)
		o["ratio_shap_to_lightgbm_"+e.model] = rounds.Rounded(rounds.Ratio(e.lightGBM, e.ours).Median, 2)
	}
}

// compileTimes reads how long the peers took to compile each model; what is not known is left out.
func compileTimes(at places, models []model) map[string]float64 {
	seconds := map[string]float64{}
	for peer, directory := range map[string]string{peerLleaves: at.lleaves, peerTL2cgen: at.tl2cgen} {
		for i := range models {
			text, err := os.ReadFile(filepath.Join(directory, models[i].name+".seconds"))
			if err != nil {
				continue
			}
			if s, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil {
				seconds[peer+"_"+models[i].name] = s
			}
		}
	}
	return seconds
}
