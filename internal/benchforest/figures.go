package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"recstream/internal/spread"
)

// figures are the outcome of a run.
type figures struct {
	rounds    int
	cells     []*cell
	explained []explained
	compiling map[string]float64 // seconds, by "peer_model"
	missing   []string           // peers, with the reasons
}

// ratios divides round by round: both were measured within the same second, whatever else the machine did.
func ratios(theirs, ours []float64) spread.Spread {
	values := make([]float64, len(ours))
	for i := range values {
		values[i] = theirs[i] / ours[i]
	}
	return spread.Of(values)
}

// best is the lane, of those that are a way of one of the peers, with the least median; nil where there is none.
func (c *cell) best(count int, peers ...string) *lane {
	var best *lane
	for i := range c.lanes {
		l := &c.lanes[i]
		if slices.Contains(peers, l.peer) && (best == nil || spread.Of(l.ns[count]).Median < spread.Of(best.ns[count]).Median) {
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
func (f *figures) object() map[string]any {
	o := map[string]any{"rounds": f.rounds, "cpus": runtime.NumCPU(), "go": runtime.Version(), "missing": strings.Join(f.missing, "; ")}
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
func (f *figures) addCell(o map[string]any, c *cell) {
	of := "_" + c.model + "_" + c.catalogue
	for count, n := range counts {
		suffix := of
		if n != maxCandidates {
			suffix += "_c" + strconv.Itoa(n)
		}
		ours := c.best(count, peerOurs)
		for i := range c.lanes {
			s := spread.Of(c.lanes[i].ns[count])
			o[c.lanes[i].name+"_ns"+suffix] = rounded(s.Median)
			o[c.lanes[i].name+"_ns_min"+suffix] = rounded(s.Least)
			o[c.lanes[i].name+"_ns_max"+suffix] = rounded(s.Largest)
		}
		for _, rival := range rivals {
			if theirs := c.best(count, rival.peers...); theirs != nil {
				r := ratios(theirs.ns[count], ours.ns[count])
				o["ratio_to_"+rival.key+suffix] = rounded(r.Median)
				o["ratio_to_"+rival.key+"_min"+suffix] = rounded(r.Least)
				o["ratio_to_"+rival.key+"_max"+suffix] = rounded(r.Largest)
			}
		}
	}
	ours := c.best(0, peerOurs)
	o["method"+of] = ours.method
	o["build_ms"+of] = rounded(ours.preparing.Seconds() * 1e3)
	o["parse_ms"+of] = rounded(ours.loading.Seconds() * 1e3)
	o["bytes"+of] = ours.bytes
}

// add adds what was measured of explaining. Keys without a model are of the first.
func (e *explained) add(o map[string]any) {
	o["shap_us_row_"+e.model] = rounded(spread.Of(e.ours).Median)
	if len(e.lightGBM) > 0 {
		o["shap_lightgbm_us_row_"+e.model] = rounded(spread.Of(e.lightGBM).Median)
		o["ratio_shap_to_lightgbm_"+e.model] = rounded(ratios(e.lightGBM, e.ours).Median)
	}
}

// rounded keeps two decimals.
func rounded(v float64) float64 { return math.Round(v*100) / 100 }

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

// write writes the figures as one flat JSON object.
func (f *figures) write(path string) error {
	text, err := json.MarshalIndent(f.object(), "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
