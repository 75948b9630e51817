package model_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"recstream/scoring/feature"
	"recstream/scoring/model"
)

// Every prefix of a model is refused, but for the one that lacks only Python's last two lines, which other
// writers of LightGBM's format do not write.
func TestEveryTruncationIsRefused(t *testing.T) {
	text := smallModel(t)
	complete := bytes.Index(text, []byte("\nend of parameters\n")) + len("\nend of parameters\n")
	for n := range text {
		m, err := model.Parse("cut", text[:n])
		if n == complete {
			checkSamePredictions(t, m, text)
			continue
		}
		if _, ok := errors.AsType[*model.LoadError](err); !ok {
			t.Fatalf("the first %d of %d bytes: model %v, error %v; want a LoadError", n, len(text), m, err)
		}
	}
}

// The same for a model that LightGBM wrote, cut at the lines' ends and beside them, where a cut is hardest
// to see.
func TestTruncationsOfLightGBMsFileAreRefused(t *testing.T) {
	text := read(t, "testdata/other.txt")
	const end = "\nend of parameters\n"
	complete := bytes.Index(text, []byte(end)) + len(end)
	last := bytes.LastIndex(text, []byte("Tree="))
	for i, b := range text {
		if b != '\n' || (i < last && i%8 != 0) { // a sample of the trees, and all that follows the last one's start
			continue
		}
		for _, n := range []int{i, i + 1, i + 2} {
			if n == complete || n >= len(text) {
				continue
			}
			if m, err := model.Parse("cut", text[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes load as %+v", n, len(text), m.Ref)
			}
		}
	}
}

// A text with some bytes or numbers changed is refused, or predicts finite numbers.
func TestMutationsAreRefusedOrFinite(t *testing.T) {
	text := smallModel(t)
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 2000 {
		m, err := model.Parse("mutated", mutate(random, text))
		if err != nil {
			if _, ok := errors.AsType[*model.LoadError](err); !ok {
				t.Fatalf("error %v is no LoadError", err)
			}
			continue
		}
		accepted++
		for range 20 {
			if p := m.Probability(randomFeatures(random)); math.IsNaN(p) || p < 0 || p > 1 {
				t.Fatalf("probability %v", p)
			}
		}
	}
	// Most bytes are digits of leaves and thresholds, or of statistics that nothing depends on.
	if accepted == 0 || accepted == 2000 {
		t.Errorf("%d of 2000 accepted: the mutations test nothing", accepted)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(twoTrees()))
	f.Add([]byte("tree\nversion=v4\n"))
	x := make([]float64, feature.Num)
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := model.Parse("fuzzed", text)
		if err != nil {
			return
		}
		if p := m.Probability(x); math.IsNaN(p) {
			t.Errorf("probability %v", p)
		}
	})
}

// mutate returns a copy of text with one to three changes: a byte, a bit, or a whole number.
func mutate(random *rand.Rand, text []byte) []byte {
	text = bytes.Clone(text)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(text))
		switch random.IntN(3) {
		case 0:
			text[at] = byte(random.IntN(256))
		case 1:
			text[at] ^= 1 << random.IntN(8)
		case 2:
			text = replaceNumber(random, text, at)
		}
	}
	return text
}

// replaceNumber replaces the first number from at on by another one of the same length where that goes, so
// that the sizes of the blocks still hold.
func replaceNumber(random *rand.Rand, text []byte, at int) []byte {
	isDigit := func(b byte) bool { return b >= '0' && b <= '9' }
	for at < len(text) && !isDigit(text[at]) {
		at++
	}
	end := at
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	if end-at <= 2 {
		for i := at; i < end; i++ {
			text[i] = '0' + byte(random.IntN(10))
		}
		return text
	}
	other := strconv.FormatUint(random.Uint64(), 10)
	return append(append(text[:at:at], other...), text[end:]...)
}

func smallModel(t *testing.T) []byte {
	t.Helper()
	text := []byte(twoTrees())
	if _, err := model.Parse("whole", text); err != nil {
		t.Fatal(err)
	}
	return text
}

func checkSamePredictions(t *testing.T, got *model.Model, text []byte) {
	t.Helper()
	want, err := model.Parse("whole", text)
	if err != nil || got == nil {
		t.Fatalf("model %v, error %v", got, err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		x := randomFeatures(random)
		if g, w := got.Probability(x), want.Probability(x); g != w {
			t.Fatalf("predicts %v, the whole file %v", g, w)
		}
	}
}

func randomFeatures(random *rand.Rand) []float64 {
	x := make([]float64, feature.Num)
	for i := range 15 {
		x[i] = float64(random.IntN(2))
	}
	x[15], x[16] = random.Float64()*200, 1900+random.Float64()*130
	return x
}
