package chaos

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	scale = flag.Float64("faults.scale", 0.02, "share of the full counts of faults and requests")
	seed  = flag.Uint64("faults.seed", 0, "what faults and workloads are drawn from; 0 chooses a seed")
	keep  = flag.String("faults.keep", os.TempDir(), "directory for the histories and logs of runs that failed")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("faults: seed %d, scale %g\n", *seed, *scale)
	status := m.Run()
	shared.close()
	if !testing.Short() {
		table.print()
	}
	os.Exit(status)
}

// share returns the scaled part of a full count, at least one.
func share(full int) int { return max(1, int(math.Round(float64(full)*(*scale)))) }

// scaledTime returns the scaled part of a full time, at least some seconds.
func scaledTime(full time.Duration) time.Duration {
	return max(5*time.Second, time.Duration(float64(full)*(*scale)).Round(time.Second))
}

// thorough reports whether the share is large enough for what takes longer to set up than a short run lasts, such as
// several brokers where one will do.
func thorough() bool { return *scale >= 0.1 }

// report says what one scenario came to.
type report struct {
	class      string // as the list of faults has it
	name       string
	faults     int
	requests   int
	violations int
	took       time.Duration
}

func (r report) String() string {
	return fmt.Sprintf("faults: %s %s: %d faults, %d requests, %d violations, %s",
		r.class, r.name, r.faults, r.requests, r.violations, r.took.Round(100*time.Millisecond))
}

// reports collects what the scenarios came to.
type reports struct {
	sync.Mutex
	all []report
}

var table reports

func (rs *reports) add(r report) {
	rs.Lock()
	defer rs.Unlock()
	rs.all = append(rs.all, r)
}

// print writes all reports as a table, by class.
func (rs *reports) print() {
	rs.Lock()
	defer rs.Unlock()
	slices.SortStableFunc(rs.all, func(a, b report) int { return strings.Compare(a.class+a.name, b.class+b.name) })
	fmt.Printf("\n%-5s  %-50s  %7s  %9s  %10s  %9s\n", "class", "fault", "faults", "requests", "violations", "took")
	for _, r := range rs.all {
		fmt.Printf("%-5s  %-50s  %7d  %9d  %10d  %9s\n", r.class, r.name, r.faults, r.requests, r.violations, r.took.Round(100*time.Millisecond))
	}
}
