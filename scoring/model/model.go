package model

import (
	"bufio"
	"fmt"
	"math"
	"sync"

	"github.com/dmitryikh/leaves"

	"recstream/schemas"
	"recstream/scoring/feature"
)

// Model is a loaded model. It does not change, so any number of goroutines may use it.
type Model struct {
	// Ref names the model. A caller may complete it before the model is shared.
	Ref schemas.ModelRef

	ensemble *leaves.Ensemble
	sigmoid  float64
	trees    int
	sums     sync.Pool // of *[1]float64: leaves writes its result into a slice, which would be allocated
}

// Trees is the number of trees.
func (m *Model) Trees() int { return m.trees }

// Raw returns the sum of the trees for the features x, in the order of feature.Names: the log-odds of the
// positive class divided by the sigmoid factor. It panics unless x has feature.Num values, since the
// evaluator would silently answer 0.
func (m *Model) Raw(x []float64) float64 {
	if len(x) != feature.Num {
		panic(fmt.Sprintf("model: %d features, not %d", len(x), feature.Num))
	}
	sum, _ := m.sums.Get().(*[1]float64)
	if sum == nil {
		sum = new([1]float64)
	}
	defer m.sums.Put(sum)
	if err := m.ensemble.Predict(x, 0, sum[:]); err != nil {
		panic(fmt.Sprintf("model: %v", err)) // only lengths, which are right
	}
	return sum[0]
}

// Probability returns the probability of the positive class for the features x, as LightGBM computes it:
// 1/(1+exp(-sigmoid·raw)). It panics as Raw does.
func (m *Model) Probability(x []float64) float64 {
	return 1 / (1 + math.Exp(-m.sigmoid*m.Raw(x)))
}

// evaluator loads the verified trees into leaves. A panic there would be a gap in the verification, and
// must still be no more than a refusal.
func evaluator(f *file) (e *leaves.Ensemble, err error) {
	defer func() {
		if v := recover(); v != nil {
			e, err = nil, fmt.Errorf("evaluator: panic: %v", v)
		}
	}()
	e, err = leaves.LGEnsembleFromReader(bufio.NewReader(verifiedText(f)), false)
	if err != nil {
		return nil, fmt.Errorf("evaluator: %w", err)
	}
	if e.NEstimators() != len(f.trees) || e.NFeatures() != feature.Num {
		return nil, fmt.Errorf("evaluator: read %d trees and %d features, not %d and %d",
			e.NEstimators(), e.NFeatures(), len(f.trees), feature.Num)
	}
	return e, nil
}
