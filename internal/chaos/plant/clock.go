//go:build faults

package plant

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// clock is a clock that is wrong by what stands in the file that EnvClock names, as it stands there at the moment.
func clock(now func() time.Time) func() time.Time {
	path := os.Getenv(EnvClock)
	if path == "" {
		return now
	}
	return func() time.Time {
		text, err := os.ReadFile(path) //nolint:gosec // the test's own file
		if err != nil {
			panic(fmt.Sprintf("%s: %v", EnvClock, err))
		}
		wrong, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			panic(fmt.Sprintf("%s: %v", EnvClock, err))
		}
		return now().Add(wrong)
	}
}
