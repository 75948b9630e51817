// Package similarity says how alike two items are, by what the catalogue tells of them. It owns the measure, the
// notion of two items that are almost the same, and the Index that makes both fast.
//
// The similarity of a and b is between 0, nothing in common, and 1, alike in all that is compared:
//
//	similarity(a, b) = (5·cos(genres) + 2·(same franchise) + 2·cos(tags) + near(years)) / 10
//
//	cos(A, B) = |A∩B| / √(|A|·|B|)            the cosine of two sets, as Ochiai has it
//	near      = max(0, 1 - |year difference|/10)
//
// What is missing on either side counts 0: no genres, no tags, no franchise, no year. So an item of which everything
// is known is 1 to itself, and one of which less is known is less. Names are compared exactly, and one that an item has
// twice counts once; an empty one is none. Years are taken to the whole number below; those outside 1 to 9999 are
// missing.
//
// Two items are nearly identical if they are that similar or have the same title, but for case, punctuation, spaces
// and what stands in brackets, and years that are at most one apart or missing: "Alien (Director's Cut)" of 2003
// is not "ALIEN" of 1979, and is of 2002.
//
// A Taste is a weighted set of items, such as what a user has watched. The similarity of an item to it is the weighted
// mean of its similarities to the members. Every part of the measure is a sum over the features of both items, and
// the mean of sums is a sum of means: a taste keeps one number a feature, and an item costs what it has features,
// however many members there are.
//
// It promises that an Index never changes, so any number of goroutines read one without locks, and that nothing
// allocates but New and a Taste's first use with an Index. No clock, no I/O.
package similarity
