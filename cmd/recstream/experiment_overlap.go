package main

import (
	"fmt"
	"io"
	"strconv"

	"recstream/scoring/experiment"
)

// overlapUsers is how many made-up users overlaps are counted with: shares are true to about a hundredth.
const overlapUsers = 10_000

// warnOfOverlaps says which running experiments take users from a new one, or lose some to it: a user takes part in
// the first by name.
func warnOfOverlaps(w io.Writer, x *experiment.Experiment, others []storedExperiment) {
	for i := range others {
		o := &others[i]
		if !o.Running || o.Name == x.Name {
			continue
		}
		first, second := x, &o.Experiment
		if o.Name < x.Name {
			first, second = second, first
		}
		if share := shareTaken(first, second); share > 0 {
			fmt.Fprintf(w, "experiment %s comes before %s by name and takes %s of its users; to keep them apart, give both ranges of one namespace that do not overlap\n",
				first.Name, second.Name, percent(share))
		}
	}
}

// shareTaken is the share of the second experiment's users that the first takes, 0 where either has no variants:
// shadows take nobody.
func shareTaken(first, second *experiment.Experiment) float64 {
	users, taken := 0, 0
	for i := range overlapUsers {
		user := "user-" + strconv.Itoa(i)
		if v, ok := second.Assign(user); !ok || v < 0 {
			continue
		}
		users++
		if v, ok := first.Assign(user); ok && v >= 0 {
			taken++
		}
	}
	return float64(taken) / float64(max(users, 1))
}
