//go:build race

package schemas

// raceEnabled: under the race detector sync.Pool forgets at random, and allocations say nothing.
const raceEnabled = true
