//go:build !race

package schemas

// raceEnabled says that allocations cannot be counted.
const raceEnabled = false
