package experiment

import "strconv"

// hashV2 is GrowthBook's hash, version 2, of a value such as a user id under a seed: from 0 up to 1, in steps
// of 1/10,000. It hashes twice, since once leaves experiments with similar seeds correlated.
//
//	fnv32a(string(fnv32a(seed + value))) mod 10000 / 10000
//
// Source: https://docs.growthbook.io/lib/build-your-own, "Hashing".
func hashV2(seed, value string) float64 {
	var digits [10]byte
	inner := strconv.AppendUint(digits[:0], uint64(fnv32a(seed, value)), 10)
	h := fnvOffset
	for _, b := range inner {
		h = (h ^ uint32(b)) * fnvPrime
	}
	return float64(h%10000) / 10000
}

// hashV1 is version 1, which GrowthBook keeps for namespaces: fnv32a(value + seed) mod 1000 / 1000.
func hashV1(seed, value string) float64 {
	return float64(fnv32a(value, seed)%1000) / 1000
}

// The parameters of 32-bit FNV-1a. The standard library's hash/fnv wants bytes, and would allocate them.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

// fnv32a is the 32-bit FNV-1a hash of a followed by b.
func fnv32a(a, b string) uint32 {
	h := fnvOffset
	for i := range len(a) {
		h = (h ^ uint32(a[i])) * fnvPrime
	}
	for i := range len(b) {
		h = (h ^ uint32(b[i])) * fnvPrime
	}
	return h
}
