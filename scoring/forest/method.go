package forest

import (
	"context"
	"math"
)

// Method names how an Evaluator works.
type Method string

// The methods. Where masks and classes go together, requests of few candidates are scored with masks, and those of
// many with classes.
const (
	MethodClasses     Method = "classes"     // a byte, or a few, for each tree and item
	MethodMasks32     Method = "masks-32"    // a mask of 32 bits for each tree and item
	MethodMasks64     Method = "masks-64"    // of 64 bits, for trees of more than 32 leaves
	MethodMasksWide   Method = "masks-wide"  // several of 64 bits, for trees of more than 64 leaves
	MethodQuickScorer Method = "quickscorer" // nothing for each item: little memory, many times slower

	MethodMasks32Classes   = MethodMasks32 + "+" + MethodClasses
	MethodMasks64Classes   = MethodMasks64 + "+" + MethodClasses
	MethodMasksWideClasses = MethodMasksWide + "+" + MethodClasses
)

// engine is a method at work.
type engine interface{ newScorer() scorer }

// scorer is an engine with the buffers of one goroutine. Its sums are not divided yet.
type scorer interface {
	score(x []float64, candidates []int32, pairs, out []float64)
}

// Bounds of what is tried.
const (
	maxClassLeaves = 1 << 10 // of a tree, for classes
	maxColumns     = 512     // for classes: the tables of more do not stay in the processor's caches
	// Where requests of so many candidates are scored faster with classes, masks are not worth their memory.
	fewCandidates = 120
	// Where it takes more candidates than so, classes are not worth theirs.
	manyCandidates = 1000
)

// prepare chooses the method and gets it ready.
func (e *Evaluator) prepare(ctx context.Context, maxBytes int64) error {
	words, pairBins := wordsOf(e.forest), binsOf(e.forest, e.pair)
	maskBytes := e.maskBytes(words, pairBins)
	masksFit, classesFit := maskBytes <= maxBytes, false
	var columns []column
	from := math.MaxInt
	if len(e.pair) == 0 && e.forest.MaxLeaves() <= maxClassLeaves {
		columns = columnsOf(e.forest, e.item)
		bytes := e.classBytes(columns)
		classesFit = bytes <= maxBytes
		if len(columns) <= maxColumns {
			from = e.breakEven(columns, words, maskBytes)
		}
		if masksFit && maskBytes+bytes > maxBytes && from > fewCandidates {
			from = math.MaxInt
		}
	}
	switch {
	case classesFit && (!masksFit || from <= fewCandidates):
		return e.prepareClasses(ctx, columns)
	case masksFit && from <= manyCandidates:
		return e.prepareBoth(ctx, words, columns, from)
	case masksFit:
		return e.prepareMasks(ctx, words, pairBins)
	}
	e.prepareQuickScorer(words)
	return ctx.Err()
}

// breakEven is from how many candidates on classes are faster than masks, or math.MaxInt. The costs are measured
// ones, relative to the look-up of a class: once where the processor's caches hold all masks, once where not.
func (e *Evaluator) breakEven(columns []column, words []word, maskBytes int64) int {
	const (
		cache   = 32 << 20
		prepare = 2.5 // of a class, once a request
	)
	class, mask := 1.0, 1.25
	if maskBytes > cache {
		class, mask = 1.3, 2.75
	}
	all := 0
	for i := range columns {
		all += len(columns[i].classes)
	}
	gain := mask*float64(len(words)) - class*float64(len(columns))
	if gain <= 0 {
		return math.MaxInt
	}
	return int(min(prepare*float64(all)/gain, math.MaxInt32))
}

// maskBits is the size of a mask: 32 where that is enough for every tree.
func (e *Evaluator) maskBits() int64 {
	if e.forest.MaxLeaves() <= 32 {
		return 32
	}
	return 64
}

// maskBytes is what the masks of all items and bins take.
func (e *Evaluator) maskBytes(words []word, pairBins []bins) int64 {
	rows := int64(e.numItems)
	for i := range pairBins {
		rows += int64(pairBins[i].len())
	}
	return rows * e.maskBits() / 8 * int64(len(words))
}

// classBytes is what the classes of all items take.
func (e *Evaluator) classBytes(columns []column) int64 {
	return int64(e.numItems) * int64((len(columns)+7)/8*8)
}

func (e *Evaluator) prepareQuickScorer(words []word) {
	c := cutsOf(e.forest, words, false, e.request, e.item, e.pair)
	e.method, e.engine = MethodQuickScorer, &quickScorer{e, words, c}
	e.bytes += c.bytes
}

func (e *Evaluator) prepareClasses(ctx context.Context, columns []column) error {
	e.method = MethodClasses
	e.bytes += e.classBytes(columns)
	var err error
	if e.single {
		e.engine, err = newClasses[float32](ctx, e, columns)
	} else {
		e.engine, err = newClasses[float64](ctx, e, columns)
	}
	return err
}

func (e *Evaluator) prepareMasks(ctx context.Context, words []word, b []bins) error {
	switch largest := e.forest.MaxLeaves(); {
	case largest <= 32:
		e.method = MethodMasks32
	case largest <= 64:
		e.method = MethodMasks64
	default:
		e.method = MethodMasksWide
	}
	c := cutsOf(e.forest, words, false, e.request, e.item, e.pair)
	e.bytes += e.maskBytes(words, b) + c.bytes
	var err error
	switch small := e.maskBits() == 32; {
	case small && e.single:
		e.engine, err = newMasks[uint32, float32](ctx, e, words, c, b)
	case small:
		e.engine, err = newMasks[uint32, float64](ctx, e, words, c, b)
	case e.single:
		e.engine, err = newMasks[uint64, float32](ctx, e, words, c, b)
	default:
		e.engine, err = newMasks[uint64, float64](ctx, e, words, c, b)
	}
	return err
}

// prepareBoth prepares masks for requests of fewer candidates than from, and classes for the others.
func (e *Evaluator) prepareBoth(ctx context.Context, words []word, columns []column, from int) error {
	if err := e.prepareClasses(ctx, columns); err != nil {
		return err
	}
	many := e.engine
	if err := e.prepareMasks(ctx, words, nil); err != nil {
		return err
	}
	e.engine = &both{few: e.engine, many: many, from: from}
	e.method += "+" + MethodClasses
	return nil
}

// both is two methods, of which the number of candidates decides.
type both struct {
	few, many engine
	from      int // candidates that are many
}

func (b *both) newScorer() scorer {
	return &bothScorer{b.few.newScorer(), b.many.newScorer(), b.from}
}

type bothScorer struct {
	few, many scorer
	from      int
}

func (s *bothScorer) score(x []float64, candidates []int32, pairs, out []float64) {
	if len(candidates) < s.from {
		s.few.score(x, candidates, pairs, out)
	} else {
		s.many.score(x, candidates, pairs, out)
	}
}
