package chaos

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	scale = flag.Float64("faults.scale", 0.01, "share of the full counts of faults and requests")
	seed  = flag.Uint64("faults.seed", 0, "what faults and workloads are drawn from; 0 chooses a seed")
	keep  = flag.String("faults.keep", os.TempDir(), "directory for the histories and logs of runs that failed")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	if err := sideBySide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Printf("faults: seed %d, scale %g\n", *seed, *scale)
	status := m.Run()
	shared.close()
	if !testing.Short() {
		table.print()
	}
	os.Exit(status)
}

// atATime is how many scenarios run side by side: they wait for most of their time.
const atATime = 4

// sideBySide has so many scenarios run side by side, unless the command line says how many.
func sideBySide() (err error) {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		err = flag.Set("test.parallel", strconv.Itoa(atATime))
	}
	return err
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

// onlyThorough leaves a test out of a short run, for what it needs.
func onlyThorough(t *testing.T, what string) {
	t.Helper()
	if !thorough() {
		t.Skipf("a short run has no time for %s: see make test-faults", what)
	}
}

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
