package rounds

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// Figures are the outcome of a benchmark: numbers and texts by name.
type Figures map[string]any

// Add adds what was measured of something: the median as name_of, the least value as name_min_of, the largest as
// name_max_of, with two decimals.
func (f Figures) Add(name, of string, s Spread) {
	f[name+"_"+of] = Rounded(s.Median, 2)
	f[name+"_min_"+of] = Rounded(s.Least, 2)
	f[name+"_max_"+of] = Rounded(s.Largest, 2)
}

// Rounded keeps some decimals.
func Rounded(v float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(v*unit) / unit
}

// Write writes the figures to a file as one flat JSON object; where path is empty nobody wants them.
func (f Figures) Write(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
